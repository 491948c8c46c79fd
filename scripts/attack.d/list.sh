# shellcheck shell=bash
# The table: what is attacked, as docs/security.md names it, the function, and whether
# a real gateway takes part.
list_attacks() {
	attack "the bridge's client on the network becomes local" made_local gateway
	attack 'silent upgrades use up the gateway' silent_upgrades gateway
	attack 'another user takes the port while the gateway boots' port_taken gateway
	attack 'a device token of the gateway is shell code' token_in_hello
	attack 'a token in the store is shell code' token_in_store
	attack "the volume's user moves the state directory away" moved_away
	attack 'the state directory comes and goes, 10,000 times' swap_state
	attack "the state directory is swapped for a link to root's" swap_link
	attack "bundles lie behind a link to root's" bundles_through_link
	attack "the bundles' directory is swapped for a link to root's" swap_bundles
	attack "host-join as root in another user's home" host_join_into_a_home
	attack "the token's file in the volume is a link to root's" token_file_in_the_volume
	attack "the ready file is another user's" ready_file_of_a_stranger
	attack 'what root leaves behind: descriptors, capabilities, setuid, memory' left_by_root
	attack 'a body that never comes holds a connection' body_never_comes
	attack '9,000 idle connections to the health port' idle_health
	attack 'a socket is moved, and another put in its place' moved_socket
	attack 'the limit of --bridge-join starts anew with each start' bridge_join_again
	attack 'secrets in logs' secrets_in_logs
	attack 'escape sequences and commands in what status prints' status_prints
	attack 'a configuration of 559 bytes grows to 2 GB' expansion_bomb
	attack '990 includes' include_bomb
	attack 'a database with a recursive trigger' database_trigger
	attack 'a database with an endless view' database_view
	attack 'a database with a row of 400 MB' database_row
}
