// Package rights owns who the gateway runs as: users, the walk to a state
// directory that trusts no link of somebody else's, what that directory needs
// before the drop, and the drop of root's rights for good. It knows nothing of
// gateways, settings or pairing, and never logs; errors carry a Hint, the next
// command to type.
package rights
