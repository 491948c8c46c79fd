package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/settings"
)

// importedIdentity reads the key that the settings point at; zero without one.
// It runs before rights are dropped: a secret may be readable for root only.
func (a *app) importedIdentity(ctx context.Context, s settings.Settings) (identity.Identity, error) {
	text, from := string(s.Identity), "BOOTSTRAP_IDENTITY"
	if s.IdentityFile != "" {
		var err error
		text, err = readKey(ctx, s.IdentityFile)
		switch {
		case ctx.Err() != nil:
			return identity.Identity{}, ctx.Err()
		case err != nil:
			if slip := misplaced(s.IdentityFile, err); slip != nil {
				return identity.Identity{}, &identity.Error{Fault: "what --identity-file (BOOTSTRAP_IDENTITY_FILE) names: " + slip.Error(), Fix: "the key itself goes into BOOTSTRAP_IDENTITY"}
			}
			return identity.Identity{}, &identity.Error{Path: s.IdentityFile, Fault: "it cannot be read", Err: err}
		}
		from = s.IdentityFile
	}
	if text == "" && s.IdentityFile == "" {
		return identity.Identity{}, nil
	}
	id, err := identity.Parse(text, time.Now())
	if fault := (*identity.Error)(nil); errors.As(err, &fault) {
		fault.Path = from
	}
	return id, err
}

// maxSecretSize bounds what is read of a secret.
const maxSecretSize = 64 << 10

// readKey is [readSecret], and ends with the context: at a terminal nobody may type.
func readKey(ctx context.Context, path string) (string, error) {
	type secret struct {
		text string
		err  error
	}
	read := make(chan secret, 1)
	go func() {
		text, err := readSecret(path)
		read <- secret{text, err}
	}()
	select {
	case got := <-read:
		return got.text, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readSecret reads a secret from a file, or from standard input by the name -.
func readSecret(path string) (string, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxSecretSize))
		return strings.TrimSpace(string(data)), err
	}
	data, err := atomicfile.ReadMounted(path, maxSecretSize)
	return strings.TrimSpace(string(data)), err
}

// readToken reads a token from a file. One with a line break cannot be put into an
// HTTP header, and one with a NUL, as in a file of UTF-16, in no environment.
func readToken(path string) (string, error) {
	token, err := readSecret(path)
	switch {
	case err != nil:
	case token == "":
		err = errors.New("it is empty")
	case strings.ContainsFunc(token, unicode.IsControl):
		err = errors.New("a token is one line of text, and this has a line break, a NUL or another control character within")
	}
	if slip := misplaced(path, err); slip != nil {
		return "", slip
	}
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return token, nil
}

// misplaced is the error about a file that is not there, where its name may be the
// secret itself: then neither may be repeated. Nil for other errors, and where the
// file's directory is there, for then the name is a path.
func misplaced(name string, err error) error {
	fault := (*fs.PathError)(nil)
	if !errors.As(err, &fault) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	dir := filepath.Dir(name)
	if info, err := os.Stat(dir); err == nil && info.IsDir() && dir != "/" && dir != "." {
		return nil
	}
	return fmt.Errorf("there is no such file, and its name is not repeated, for it may be the secret itself: %w", fault.Err)
}
