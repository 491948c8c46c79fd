# shellcheck shell=bash
# Scenarios: who is let in.
# shellcheck disable=SC2154

# cli FLAG... -- COMMAND...: openclaw's CLI in a container of its own, with the
# gateway's token and an address that is not loopback.
cli() {
	local flags=()
	while [[ $1 != -- ]]; do
		flags+=("$1")
		shift
	done
	shift
	once --network "$run" --env OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 --env OPENCLAW_GATEWAY_URL=ws://gateway:18789 \
		--env "OPENCLAW_GATEWAY_TOKEN=$token" "${flags[@]}" "$@"
}

# new_cli VOLUME: a CLI that has been used once, and so has a key of its own.
new_cli() {
	volume "$1"
	# Fails, for there is no gateway; it has made its key before.
	once "$(state "$1")" "$plain" openclaw agent --message hello || true
	key=$(once "$(state "$1")" --entrypoint bootstrap "$image" identity export)
	[[ -n $key ]] || fail "the CLI has made no key"
}

# #19352: same command and environment in both runs.
own_key() {
	network
	new_cli cli
	local ask=("$(state cli)" -- "$plain" openclaw gateway call status --json) said
	start before --network "$run" --network-alias gateway "$plain"
	await "$boot_limit" answers before
	if said=$(cli "${ask[@]}" 2>&1); then
		fail "the plain gateway has let the CLI in"
	fi
	[[ $said == *'device pairing required'* ]] || fail "the plain gateway refuses with: $said"
	remove before

	start after --network "$run" --network-alias gateway --env "BOOTSTRAP_CLIENTS=cli:full=$key" "$quick"
	paired after
	cli "${ask[@]}" >/dev/null || fail "the gateway with our ENTRYPOINT refuses the CLI"
	cli "$(state cli)" -- "$plain" openclaw devices list >/dev/null || fail "devices list is refused"
	evidence "plain: \"device pairing required\"; ours: status and devices list answer"
}

# #19352: a second one that has nothing but our bundle. Releases since 2026.8.1
# keep their key in a database, so a CLI of the release before reads it as a file.
bundle() {
	local installed app said
	installed=$(scripts/gateway-install "$old_release")
	app=$(sed -n 's,/node_modules/openclaw/openclaw.mjs$,,p' <<<"$installed")
	network
	volume bundles
	start gateway --network "$run" --network-alias gateway --env BOOTSTRAP_CLIENTS=agent --env BOOTSTRAP_BUNDLE_DIR=/bundles \
		--volume "$run-bundles:/bundles" "$quick"
	paired gateway
	local flags=(--network "$run" --env OPENCLAW_STATE_DIR=/bundles/agent --env OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1)
	# The agent: read-only, and the state directory is not there at all.
	said=$(once "${flags[@]}" --env OPENCLAW_GATEWAY_URL=ws://gateway:18789 --volume "$run-bundles:/bundles:ro" \
		--read-only --entrypoint bootstrap "$image" probe) || fail "the bundle is refused: $said"
	[[ $said == *operator.read,\ operator.write* && $said != *admin* ]] || fail "the bundle has other scopes: $said"
	once "${flags[@]}" --volume "$run-bundles:/bundles" --volume "$app:/app:ro" "$plain" \
		sh -c '. /bundles/agent/env && export OPENCLAW_GATEWAY_TOKEN OPENCLAW_GATEWAY_URL=ws://gateway:18789 &&
			exec openclaw gateway call status --json' >/dev/null || fail "the CLI $old_release is refused with the bundle"
	evidence "agent: read and write alone; CLI $old_release: status answers"
}

# The way without any seeding: a person approves inside the gateway's container.
by_hand() {
	local ask said request
	network
	new_cli cli
	ask=("$(state cli)" -- "$plain" openclaw gateway call status --json)
	start gateway --network "$run" --network-alias gateway "$quick"
	paired gateway
	said=$(cli "${ask[@]}" 2>&1) && fail "let in without any approval"
	request=$(grep -o 'requestId: [0-9a-f-]*' <<<"$said" | head -n 1)
	request=${request#requestId: }
	inside gateway openclaw devices list | grep -F "${request:0:8}" || fail "devices list does not show request $request"
	inside gateway openclaw devices approve "$request" || fail "devices approve is refused"
	cli "${ask[@]}" >/dev/null || fail "refused after the approval"
	evidence "refused, approved with devices approve, let in"
}
