# shellcheck shell=bash
# Scenarios: clients that cannot sign, through the bridge.
# shellcheck disable=SC2154

# reflectt_image TAG: an image of reflectt-node's shape.
reflectt_image() {
	mkdir -p "$work/reflectt"
	cp scripts/container.d/reflectt-node.js "$work/reflectt/index.js"
	quiet_build "$1" "$work/reflectt" --build-arg "FROM=$base" <<-'FILE'
		ARG FROM
		FROM $FROM
		COPY index.js /app/dist/index.js
		WORKDIR /app
		CMD ["node", "dist/index.js"]
	FILE
}

# The two containers of docker/compose.reflectt.yaml, started by one command.
reflectt_compose() {
	local said
	build_tool compose github.com/docker/compose/v2/cmd || not_run "cannot build docker compose: $(tail -n 1 "$work/tool.log")"
	# shellcheck disable=SC2034 # compose reads them
	tool_compose=$work/compose compose_file=docker/compose.reflectt.yaml
	unset OPENCLAW_GATEWAY_TOKEN
	# Ports of its own: other scenarios run meanwhile.
	export GATEWAY_IMAGE=$quick REFLECTT_IMAGE=bootstrap-smoke/reflectt REFLECTT_PORT=14445 GATEWAY_PORT=28789
	reflectt_image "$REFLECTT_IMAGE"
	trap 'compose down --volumes --timeout 1; "$docker" rmi --force "$REFLECTT_IMAGE"' EXIT
	compose up --no-build --detach --wait --wait-timeout "$boot_limit" || {
		compose logs
		fail "docker compose up does not become healthy"
	}
	await 60 reflectt_says 'models.list answered' || fail "reflectt-node says: $(compose logs reflectt | tail -n 1)"
	if compose exec -T reflectt env | grep TOKEN | grep -vx OPENCLAW_GATEWAY_TOKEN=none-the-bridge-signs; then
		fail "reflectt-node has a token"
	fi
	compose exec -T reflectt sh -c 'test ! -e /home/node/.openclaw/bootstrap' || fail "reflectt-node sees the gateway's folder"
	evidence "$(compose logs --no-log-prefix reflectt | tail -n 1); it has no token but the placeholder;"
	# The same without the bridge, with the gateway's right token.
	said=$(once --network "container:$(compose ps --quiet gateway)" --env ONCE=1 --env OPENCLAW_GATEWAY_URL=ws://gateway:18789 \
		--env "OPENCLAW_GATEWAY_TOKEN=$(compose exec -T gateway cat .openclaw/bootstrap/gateway-token)" "$REFLECTT_IMAGE") && fail "it works without the bridge: $said"
	evidence "without the bridge: $(tail -n 1 <<<"$said")"
}
reflectt_says() { compose logs --no-log-prefix reflectt | grep -F -- "$1" >/dev/null; }

# One container that holds both.
reflectt_one_image() {
	# Not local: the trap reads them when this function has ended.
	shape=bootstrap-smoke/reflectt-shape both=bootstrap-smoke/openclaw-reflectt
	reflectt_image "$shape"
	trap '"$docker" rmi --force "$shape" "$both"' EXIT
	DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile.reflectt --tag "$both" \
		--build-arg "GATEWAY_IMAGE=$quick" --build-arg "REFLECTT_IMAGE=$shape" docker
	"$docker" run --detach --name "$run-both" --label "$label" --publish 4445:4445 "$both"
	ready both
	await 60 says both 'models.list answered' || fail "reflectt-node says: $(logs both | grep '^reflectt: ' | tail -n 1)"
	await 60 healthy both || fail "it does not become healthy"
	evidence "docker run -d -p 4445:4445: healthy; $(logs both | grep '^reflectt: ' | tail -n 1);"
	stop both
	[[ $(exit_code both) == 0 ]] || fail "docker stop: exit $(exit_code both)"
	evidence "docker stop: exit 0"
	[[ $(once --entrypoint reflectt-beside "$both" bash -c 'echo a shell; jobs') == 'a shell' ]] || fail "a shell in the image does not work"
}
healthy() { [[ $("$docker" inspect --format '{{.State.Health.Status}}' "$run-$1") == healthy ]]; }

# openclaw's CLI has no key yet, and the bridge is a host name away.
cli_through_bridge() {
	local said secret=smoke-bridge-token
	network
	mkdir -p "$work/secrets"
	printf %s "$secret" >"$work/secrets/bridge"
	chmod 755 "$work" "$work/secrets"
	start gateway --network "$run" --network-alias gateway.local --network-alias gateway --volume "$work/secrets:/secrets:ro" \
		--env BOOTSTRAP_CLIENTS=agent:pairing --env BOOTSTRAP_BRIDGE=0.0.0.0:18790 --env BOOTSTRAP_BRIDGE_TOKEN_FILE=/secrets/bridge \
		--env BOOTSTRAP_BRIDGE_HOSTS=gateway.local,gateway "$quick"
	ready gateway
	via() { # URL FLAG... -- COMMAND...: the CLI, a container of its own
		local url=$1 flags=()
		shift
		while [[ $1 != -- ]]; do
			flags+=("$1")
			shift
		done
		shift
		once --network "$run" --env "OPENCLAW_GATEWAY_URL=$url" --env "OPENCLAW_GATEWAY_TOKEN=$secret" "${flags[@]}" "$plain" "$@" 2>&1
	}
	said=$(via ws://gateway.local:18790/agent -- openclaw devices list) || fail "ws://gateway.local is refused: $said"
	evidence "ws://gateway.local:18790/agent: devices list answers;"
	said=$(via ws://gateway:18790/agent -- openclaw devices list) && fail "the CLI takes plaintext to a plain host name by now"
	[[ $said == *'SECURITY ERROR'* ]] || fail "ws://gateway is refused for another reason: $said"
	said=$(via ws://gateway:18790/agent --env OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 -- openclaw devices list) || fail "with the variable: $said"
	evidence "ws://gateway: the CLI's SECURITY ERROR, gone with OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1;"
	secret=not-the-bridge-token
	said=$(via ws://gateway.local:18790/agent -- openclaw devices list) && fail "let in with another token"
	[[ $said == *'bridge token is missing or wrong'* ]] || fail "with another token: $said"
	evidence "with another token: refused"
}
