// Package gatewaytest runs real OpenClaw gateways for tests: it installs a
// release, starts it on a copy of a booted state directory, waits until it
// answers, and ends everything when the test ends, however it ends.
//
// It is for _test.go files only and must not import the rooms that it helps to
// judge: what it says about a gateway has to hold when our own code is wrong.
//
// A test that needs a real gateway is skipped under "go test -short" and
// nowhere else; one that needs a second network namespace also without root.
// Both say so in the skip.
//
// # Environment
//
//	BOOTSTRAP_GATEWAY_CACHE  directory of installed releases and booted states
//	BOOTSTRAP_PROGRAM        the program under test; unset, it is built
package gatewaytest
