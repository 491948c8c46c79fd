package approve

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// admit approves one request. An error is about the connection or our own
// files; that the gateway said no is none.
func (w *watcher) admit(ctx context.Context, client *protocol.Client, request Request, v verdict, in situation) (Paired, error) {
	first := v.rule.Has(FirstOperator)
	if w.remembers(first) {
		if err := w.Memory.reserve(request.DeviceID, first, w.now()); err != nil {
			return Paired{}, err
		}
	}
	if err := w.Audit(newRecord(Approving, request, v, "")); err != nil {
		return Paired{}, errors.Join(err, w.cancel(request.DeviceID, first))
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	device, err := Approve(calling, client, request.RequestID)
	if said := (*protocol.RPCError)(nil); errors.As(err, &said) {
		w.hold(request)
		return Paired{}, errors.Join(w.cancel(request.DeviceID, first), w.record(Refused, request, v, said.Error()))
	}
	if err != nil {
		// It may have been approved, so the reservation is kept.
		return Paired{}, err
	}
	if fault := differs(request, device, in.paired); fault != "" {
		return Paired{}, errors.Join(w.undo(calling, client, request, device, v, fault, in), w.confirm(request.DeviceID, first))
	}
	if err := w.confirm(request.DeviceID, first); err != nil {
		return Paired{}, err
	}
	w.Report(newRecord(Approving, request, v, ""))
	return device, nil
}

// remembers tells whether an approval counts beyond this process. Where it does
// not, writing would only cost time.
func (w *watcher) remembers(first bool) bool { return first || w.Policy.Max > 0 }

func (w *watcher) confirm(deviceID string, first bool) error {
	if !w.remembers(first) {
		return nil
	}
	return w.Memory.confirm(func(id string) bool { return id == deviceID })
}

// cancel makes a place free again, also for those who were too many.
func (w *watcher) cancel(deviceID string, first bool) error {
	if !w.remembers(first) {
		return nil
	}
	maps.DeleteFunc(w.noted, func(_ wish, n note) bool { return n.isOutside() })
	return w.Memory.cancel(deviceID)
}

// settle finds out about devices whose approval was under way when the connection or
// the process ended: each is paired, or may ask again.
func (w *watcher) settle(paired map[string]Paired) error {
	return w.Memory.confirm(func(deviceID string) bool {
		_, in := paired[deviceID]
		return in
	})
}

// differs says how an approval is not the one that was judged; empty where it
// is.
func differs(request Request, got Paired, paired map[string]Paired) string {
	before := paired[request.DeviceID]
	switch {
	case got.DeviceID != request.DeviceID || got.PublicKey != request.PublicKey:
		return "the gateway approved another device or key: " + protocol.Clean(got.DeviceID)
	case !subset(got.Roles, slices.Concat(before.Roles, request.Roles)):
		return "the device got roles that were not judged: " + list(got.Roles)
	case !subset(got.Scopes, slices.Concat(before.Scopes, request.Scopes)):
		return "the device got scopes that were not judged: " + list(without(got.Scopes, request.Scopes))
	}
	return ""
}

// undo removes a device that came in by an approval meant for something else.
// One that was paired before stays: somebody relies on it.
func (w *watcher) undo(ctx context.Context, client *protocol.Client, request Request, got Paired, v verdict, fault string, in situation) error {
	_, before := in.paired[got.DeviceID]
	switch {
	case before:
		fault += "; it was paired before and is left, look at it"
	default:
		if err := Remove(ctx, client, got.DeviceID); err != nil {
			fault += "; it could NOT be removed again: " + err.Error()
		} else {
			fault += "; it was removed again"
		}
	}
	w.noted[wishOf(request)] = note{again: w.now().AddDate(1, 0, 0)}
	return w.record(Undone, request, v, fault)
}

func (w *watcher) record(action Action, request Request, v verdict, reason string) error {
	record := newRecord(action, request, v, reason)
	w.Report(record)
	return w.Audit(record)
}
