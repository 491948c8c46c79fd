// Package seed owns pairing without a human: it decides which store the
// gateway will read, adds operator devices to it, and remembers in a ledger
// what it added. Everything that is not ours (other devices, unknown fields
// and columns) is kept byte for byte.
//
// It never creates the gateway's database, removes only what it added and only
// when it is asked to, and never replaces a store that it cannot read.
package seed
