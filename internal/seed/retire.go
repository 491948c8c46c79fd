package seed

import "context"

// A client has one key. Where its bundle is lost and made anew, as on a directory
// that does not outlive the container, the keys before it would each keep a token
// that works: they are retired, in the step that pairs the new one. That holds for
// keys that bootstrap made alone, by the ledger; a key that its client keeps itself
// is its client's concern.

// formers are the ids of the keys that a device takes the place of.
func (l *ledger) formers(device Device, wanted map[string]bool) (ids []string) {
	if !device.Made || device.Local {
		return nil
	}
	for _, id := range l.byName(device.Name) {
		record := l.data.Devices[id]
		if record.Made && record.RevokedAtMs == 0 && !wanted[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// formerRemoved are those of a device's former keys that somebody has removed, or
// whose token somebody took back, and that no run has noticed yet: the client is to
// stay out, whatever its key.
func formerRemoved(ctx context.Context, from store, l *ledger, formers []string, present map[string]entry, mark string) (ids []string, err error) {
	for _, id := range formers {
		e, here := present[id]
		gone := here && e.tokenRevoked()
		if !here {
			if gone, err = removed(ctx, from, l, id, mark); err != nil {
				return nil, err
			}
		}
		if gone {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// retire notes in the ledger which keys are about to leave the store: killed after
// that, the next run must not take it for a removal. They are in the audit log
// already.
func (s *Session) retire(ids []string) error {
	for _, id := range ids {
		s.ledger.change(id, func(record *ledgerRecord) { record.Retired = true })
	}
	return s.keepLedger()
}

// forgetRetired drops the former keys of a device that has been paired, once no
// gateway can bring them back.
func (l *ledger) forgetRetired(formers []string, certain bool) {
	for _, id := range formers {
		if certain {
			l.remove(id)
		} else {
			l.change(id, func(record *ledgerRecord) { record.Retired = true })
		}
	}
}
