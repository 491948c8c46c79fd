# shellcheck shell=bash disable=SC2154,SC2016 # scripts/attack sets it; code that must not run
# Attacks by what comes from a gateway, a store, a configuration or a database.

# sourced BUNDLE: what a person does with it, as docs/reflectt-node.md says.
sourced() {
	(cd "$dir" && dash -c 'set -a; . "$1"' sh "$1/env")
	[[ ! -e $dir/PWNED ]] || through 'its env ran a command'
}

token_in_hello() {
	local evil_token
	for evil_token in '$(touch PWNED)' $'x\ntouch PWNED' '`touch PWNED`' "x'; touch PWNED; '"; do
		rm -rf "$dir"/frames* "$dir/bundles"
		hostile "$evil_token"
		local gateway=$!
		"${clean[@]}" OPENCLAW_GATEWAY_TOKEN=any "$program" join --name victim --bundle-dir "$dir/bundles" --gateway-url "ws://127.0.0.1:$port"
		[[ -s $dir/frames ]] || through 'the gateway was not asked: this shows nothing'
		sourced "$dir/bundles/victim"
		kill "$gateway"
		wait "$gateway"
	done
}

token_in_store() {
	boot seed --client a --bundle-dir "$dir/bundles"
	local device_token
	device_token=$(sed -n "s/^OPENCLAW_GATEWAY_TOKEN=//p" "$dir/bundles/a/env" | tr -d "'\"")
	sed -i "s|$device_token|\$(touch PWNED)|" "$state/devices/paired.json"
	grep -qF 'touch PWNED' "$state/devices/paired.json" || through 'nothing was planted: this shows nothing'
	rm -r "$dir/bundles/a/identity/device-auth.json" "$dir/bundles/a/env"
	boot seed --client a --bundle-dir "$dir/bundles"
	[[ ! -e $dir/bundles/a/env ]] || sourced "$dir/bundles/a"
}

secrets_in_logs() {
	local secret=5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2 out
	boot seed
	out=$(
		"${clean[@]}" BOOTSTRAP_IDENTITY_FILE="$secret" "$program" seed 2>&1
		"${clean[@]}" OPENCLAW_GATEWAY_TOKEN_FILE="$secret" "$program" probe 2>&1
		"${clean[@]}" BOOTSTRAP_BRIDGE_TOKEN_FILE="$secret" "$program" bridge --listen "$second" 2>&1
		boot probe --gateway-url "ws://127.0.0.1:1/?token=$secret" 2>&1
		boot probe --json --gateway-url "ws://127.0.0.1:1/?token=$secret" 2>&1
		boot probe --gateway-url "ws://user:$secret@127.0.0.1:1/" 2>&1
	)
	[[ -n $out ]] || through 'nothing was said: this shows nothing'
	[[ $out != *"$secret"* ]] || through "$(grep -cF "$secret" <<<"$out") lines hold the secret"
}

status_prints() {
	boot seed --client a
	sed -i 's|"operator.read"|"operator.read","\\u001b[31mred"|; s|"displayName": *"[^"]*"|"displayName":"\\u001b]0;x\\u0007"|' "$state/devices/paired.json"
	grep -qF 'u001b' "$state/devices/paired.json" || through 'nothing was planted: this shows nothing'
	printf '{"$include":"\\u001b]0;title\\u0007.json5"}' >"$state/openclaw.json"
	sed -i '1s|{|{"$(touch PWNED)":{"deviceId":"$(touch PWNED)","publicKey":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE","displayName":"x","role":"operator","scopes":["operator.admin"]},|' "$state/devices/paired.json"
	local out
	out=$(
		boot status 2>&1
		boot status --json 2>&1
	)
	printf '%s\n' "$out" | cat -v
	[[ -n $out && $out != *$'\e'* ]] || through 'raw escape sequences reach the terminal'
	! grep -E '(approve|revoke|remove|devices)[^'"'"']*\$\(touch' <<<"$out" || through 'a command to paste holds a command'
}

expansion_bomb() {
	mkdir "$state"
	local text='{"env":{"A0":"xxxxxxxxxxxxxxxx"' n
	for n in {1..27}; do text+=",\"A$n\":\"\${A$((n - 1))}\${A$((n - 1))}\""; done
	# Sorted as text A10 is before A2: the names are of one length.
	text=$(sed -E 's/A([0-9])([^0-9])/A0\1\2/g' <<<"$text")
	printf '%s},"gateway":{"auth":{"token":"${A27}"}}}' "$text" >"$state/openclaw.json"
	evil limit 10 300 "$program" status || through 'it takes what a machine has'
}

include_bomb() {
	mkdir "$state"
	printf '{"a":[1%s]}' "$(printf ',1%.0s' {1..7999})" >"$state/x.json"
	printf '{"$include":["x.json"%s]}' "$(printf ',"x.json"%.0s' {1..989})" >"$state/openclaw.json"
	evil limit 10 500 "$program" status || through 'it takes what a machine has'
}

# database STATEMENT...: after the gateway's own tables.
database() {
	mkdir -p "$state/state"
	evil database "$state/state/openclaw.sqlite" "$(cat internal/statedb/testdata/gateway.sql)" "$@" || through 'the database could not be made: this shows nothing'
	evil limit 10 300 "$program" seed --client a || through 'seed hangs, or takes what a machine has'
	evil limit 10 300 "$program" status || through 'status hangs, or takes what a machine has'
}

database_trigger() {
	database 'CREATE TRIGGER t AFTER INSERT ON device_pairing_paired BEGIN
		UPDATE schema_meta SET updated_at = (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000000) SELECT max(i) FROM n); END'
}

database_view() {
	database 'DROP TABLE device_pairing_paired' 'CREATE VIEW device_pairing_paired AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
		SELECT i AS device_id, "" AS public_key, "" AS display_name, "" AS operator_label, "" AS platform, "" AS device_family, "" AS client_id,
		"" AS client_mode, "" AS browser_origin, "" AS role, "" AS roles_json, "" AS scopes_json, "" AS approved_scopes_json, "" AS remote_ip,
		"" AS tokens_json, "" AS approved_via, "" AS node_surface_json, "" AS pending_node_surface_json, 1 AS created_at_ms, 1 AS approved_at_ms,
		1 AS last_seen_at_ms, "" AS last_seen_reason FROM n'
}

database_row() {
	database "INSERT INTO device_pairing_paired(device_id, public_key, scopes_json, tokens_json, created_at_ms, approved_at_ms)
		VALUES('x', 'x', '[]', printf('%.*c', 400000000, 'x'), 1, 1)"
}
