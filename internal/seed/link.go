package seed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// Link is a one-time way in for one browser, with the owner's rights. The gateway
// binds it to the key of the first browser that shows it, and removes it once that
// browser is paired (2026.8.2, 2026.9.6).
type Link struct {
	// ID names the link and gives nothing away: the start of the token's SHA-256.
	ID string `json:"id"`
	// Token is a secret, and is set by [Session.MakeLink] alone.
	Token   string    `json:"-"`
	Expires time.Time `json:"expires"` // in UTC
	// Opened: a browser has shown it, and is not paired yet.
	Opened bool `json:"opened,omitempty"`
}

// linkLifetime is DEVICE_BOOTSTRAP_TOKEN_TTL_MS of 2026.8.2 and 2026.9.6.
const linkLifetime = 10 * time.Minute

// firstLinkVersion is the schema of 2026.8.1, whose gateway is the first that knows
// the profile; the 2026.7.2 betas have 2 to 6.
const firstLinkVersion = 15

// errNoLinks says that no gateway that knows such links has made a database here.
var errNoLinks = errors.New("no gateway has made a database with one-time links here")

// ownerProfile is CONTROL_UI_OWNER_BOOTSTRAP_PROFILE, in the order of 2026.9.6. A
// profile that differs in one scope waits for a person, as any new device does.
const ownerPurpose = "control-ui-owner"

type bootstrapProfile struct {
	Roles   []string `json:"roles"`
	Scopes  []string `json:"scopes"`
	Purpose string   `json:"purpose,omitempty"`
}

func ownerProfile() bootstrapProfile {
	return bootstrapProfile{
		Roles: []string{roleOperator},
		Scopes: []string{
			"operator.admin", "operator.approvals", "operator.pairing", "operator.questions",
			"operator.read", "operator.talk.secrets", "operator.write",
		},
		Purpose: ownerPurpose,
	}
}

// NoLinks is the error of a state directory where a link would let nobody in.
func NoLinks(stateDir string) error {
	return &StoreError{
		Path: statedb.Path(stateDir), Err: errNoLinks,
		Fix: "start the gateway, 2026.8.1 or later, on this state directory (--state-dir), and ask again",
	}
}

// linkStore is the session's store, where it has links.
func linkStore(ctx context.Context, stateDir string, from store) (*sqliteStore, error) {
	database, is := from.(*sqliteStore)
	if !is || database.db.Version() < firstLinkVersion {
		return nil, NoLinks(stateDir)
	}
	return database, database.checkForms(ctx, statedb.Form{
		Table:   "device_bootstrap_tokens",
		Columns: []string{"token_key", "token", "ts", "device_id", "profile_json", "redeemed_profile_json", "issued_at_ms"},
		Key:     []string{"token_key"},
	})
}

// MakeLink puts one more link into the database, as "openclaw dashboard" does. The
// gateway keeps its token in clear, and so does this row; it is gone once it was
// used, revoked, or found to be too old. by is the uid of whoever asked.
func (s *Session) MakeLink(ctx context.Context, now time.Time, by int) (Link, error) {
	database, err := linkStore(ctx, s.options.StateDir, s.store)
	if err != nil {
		return Link{}, err
	}
	token := newToken()
	link := Link{ID: linkID(token), Token: token, Expires: now.Add(linkLifetime).UTC()}
	if err := s.auditLink("link-made", link, by); err != nil {
		return Link{}, err
	}
	err = database.db.Change(ctx, func(ctx context.Context, tx statedb.Tx) error {
		_, err := tx.Write(ctx, statedb.Query{
			Table: "device_bootstrap_tokens",
			SQL:   `INSERT INTO device_bootstrap_tokens (token_key, token, ts, profile_json, redeemed_profile_json, issued_at_ms) VALUES (?, ?, ?, ?, ?, ?)`,
			Args: []any{
				token, token, now.UnixMilli(), string(marshal(ownerProfile())),
				string(marshal(bootstrapProfile{Roles: []string{}, Scopes: []string{}})), now.UnixMilli(),
			},
		})
		return err
	})
	return link, database.fail(err)
}

// RevokeLinks takes every link out that could still be used, whoever made it, and
// returns them.
func (s *Session) RevokeLinks(ctx context.Context, now time.Time, by int) ([]Link, error) {
	database, err := linkStore(ctx, s.options.StateDir, s.store)
	if err != nil {
		return nil, err
	}
	links, err := database.links(ctx, now)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	for _, link := range links {
		if err := s.auditLink("link-revoked", link, by); err != nil {
			return nil, err
		}
	}
	err = database.db.Change(ctx, func(ctx context.Context, tx statedb.Tx) error {
		for i := range links {
			_, err := tx.Write(ctx, statedb.Query{
				Table: "device_bootstrap_tokens", Args: []any{links[i].Token},
				SQL: `DELETE FROM device_bootstrap_tokens WHERE token_key = ?`,
			})
			if err != nil {
				return err
			}
			links[i].Token = ""
		}
		return nil
	})
	return links, database.fail(err)
}

// Links lists the links that could still be used; none where the gateway knows no
// links. It takes no lock.
func Links(ctx context.Context, options Options, now time.Time) ([]Link, error) {
	links, err := fromStore(ctx, options, func(from store) ([]Link, error) {
		database, err := linkStore(ctx, options.StateDir, from)
		if errors.Is(err, errNoLinks) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return database.links(ctx, now)
	})
	for i := range links {
		links[i].Token = ""
	}
	return links, err
}

// links are those that are young enough, with their tokens.
func (s *sqliteStore) links(ctx context.Context, now time.Time) (links []Link, err error) {
	query := statedb.Query{
		Table: "device_bootstrap_tokens", Args: []any{now.Add(-linkLifetime).UnixMilli()},
		SQL: `SELECT token_key, coalesce(profile_json, ''), coalesce(device_id, ''), issued_at_ms FROM device_bootstrap_tokens
		      WHERE issued_at_ms >= ? ORDER BY issued_at_ms, token_key`,
	}
	err = s.db.Each(ctx, query, func(scan statedb.Scan) error {
		var token, profileJSON, device string
		var issued int64
		if err := scan(&token, &profileJSON, &device, &issued); err != nil {
			return err
		}
		if profile, ok := decode[bootstrapProfile](json.RawMessage(profileJSON)); ok && profile.Purpose == ownerPurpose { // else a setup code: another matter
			links = append(links, Link{ID: linkID(token), Token: token, Expires: statedb.Moment(issued).Add(linkLifetime).UTC(), Opened: device != ""})
		}
		return nil
	})
	return links, s.fail(err)
}

func linkID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// auditLink writes down that a link is about to be made, or revoked.
func (s *Session) auditLink(action string, link Link, by int) error {
	line := s.auditLine(action, "browser", "", nil)
	if action == "link-made" {
		line.Scopes = ownerProfile().Scopes
	}
	line.Link, line.By, line.UID = link.ID, &by, os.Geteuid()
	return s.audit(line)
}
