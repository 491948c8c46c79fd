// Package gateway knows what is installed and where: what an argv starts, which
// release that is, which folder keeps its state, which address and port it will
// listen on, and which token it will ask for.
//
// It answers as the gateway itself would, because a wrong guess seeds the wrong
// store. Every rule was read in the published packages and, where marked
// "measured", seen on a running gateway; the releases compared are 2026.2.26,
// 2026.3.13, 2026.4.29, 2026.5.7, 2026.5.28, 2026.7.35, 2026.8.2 and 2026.9.6.
// A release that is not known is taken for a new one.
//
// The room only reads: it never writes, starts, signals or logs anything, and it
// never opens the database. What the process environment holds comes in as a
// value (Environment), so that every answer can be tested. Where an answer is not
// certain it says so (InDoubt, Problems) and goes on; only a package folder that
// was named and cannot be read is an error.
package gateway
