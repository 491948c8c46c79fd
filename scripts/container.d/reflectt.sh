# shellcheck shell=bash
# Scenarios: reflectt-node, by the gateway's plugin and through the bridge; clients
# that cannot sign.
# shellcheck disable=SC2154

# Until a gateway has installed a plugin, started and been found healthy, or an agent has
# answered: 70 s of a processor's time, which other scenarios want, too.
live_limit=$((2 * boot_limit))

# reflectt_image TAG PROGRAM...: an image of reflectt-node's shape, whose program
# consists of these.
reflectt_image() {
	local tag=$1 program
	shift
	mkdir -p "$work/reflectt"
	: >"$work/reflectt/index.js"
	for program in "$@"; do
		cp "scripts/container.d/$program" "$work/reflectt/"
		echo "require('./$program');" >>"$work/reflectt/index.js"
	done
	quiet_build "$tag" "$work/reflectt" --build-arg "FROM=$base" <<-'FILE'
		ARG FROM
		FROM $FROM
		COPY . /app/dist/
		WORKDIR /app
		CMD ["node", "dist/index.js"]
	FILE
}

# model_image TAG: the gateway as shipped, and a hook that sets the model.
model_image() {
	mkdir -p "$work/model"
	cp scripts/container.d/model-config "$work/model/"
	quiet_build "$1" "$work/model" --build-arg "FROM=$image" <<-'FILE'
		ARG FROM
		FROM $FROM
		COPY --chmod=0755 model-config /etc/bootstrap/pre-start.d/05-model
	FILE
}

# agent_runs_a_tool EXEC...: a message to reflectt-node becomes a run of the gateway's
# agent, whose tool writes a file beside the gateway, and the reply comes back. EXEC
# runs a command in the gateway's container, whose loopback has reflectt-node.
agent_runs_a_tool() {
	local word=smoke$RANDOM heard
	"$@" node -e 'fetch("http://127.0.0.1:4445/chat/messages", {method: "POST", headers: {"content-type": "application/json"},
		body: JSON.stringify({from: "smoke", content: process.argv[1]})}).then((r) => process.exit(r.ok ? 0 : 1))' "@main please write $word"
	await "$live_limit" chat_has "wrote $word" "$@" || fail "no reply: $(chat "$@" | tail -n 3)"
	heard=$("$@" cat /tmp/written-by-the-agent)
	[[ $heard == "$word" ]] || fail "the agent's tool has written: $heard"
	evidence "@main please write $word: exec has written $heard, reply: $(chat "$@" | tail -n 1);"
}
chat() {
	"$@" node -e 'fetch("http://127.0.0.1:4445/chat/messages").then((r) => r.json()).then(({messages}) => {
		for (const message of messages) console.log(message.from + ": " + message.content);
	})'
}
chat_has() {
	local words=$1
	shift
	chat "$@" | grep -F -- "$words" >/dev/null
}

# Two containers from empty volumes, by one command: the gateway's plugin reaches
# reflectt-node.
reflectt_tool() {
	build_tool compose github.com/docker/compose/v2/cmd || not_run "cannot build docker compose: $(tail -n 1 "$work/tool.log")"
	# shellcheck disable=SC2034 # compose reads them
	tool_compose=$work/compose compose_file=docker/compose.reflectt.yaml
	unset OPENCLAW_GATEWAY_TOKEN
	export GATEWAY_IMAGE=bootstrap-smoke/gateway-model-two REFLECTT_IMAGE=bootstrap-smoke/reflectt-live-two REFLECTT_PORT=14447 GATEWAY_PORT=28791
	export REFLECTT_PLUGIN=$PWD/scripts/container.d/reflectt-plugin
	reflectt_image "$REFLECTT_IMAGE" reflectt-live.js model.js
	model_image "$GATEWAY_IMAGE"
	trap 'compose down --volumes --timeout 1; "$docker" rmi --force "$REFLECTT_IMAGE" "$GATEWAY_IMAGE"' EXIT
	compose up --no-build --detach --wait --wait-timeout "$live_limit" || {
		compose logs
		fail "docker compose up does not become healthy"
	}
	agent_runs_a_tool compose exec -T gateway
	compose exec -T gateway bootstrap probe || fail "the gateway is not paired"
	# Once on each volume: this is what the next start does.
	compose exec -T gateway /etc/bootstrap/pre-start.d/10-reflectt-plugin | grep -Fx 'the plugin is installed already' || fail "the plugin would be installed twice"
}

# The same in one container.
reflectt_tool_one() {
	# Not local: the trap reads them when this function has ended.
	shape=bootstrap-smoke/reflectt-live-one gateway=bootstrap-smoke/gateway-model-one both=bootstrap-smoke/openclaw-reflectt-live
	reflectt_image "$shape" reflectt-live.js model.js
	model_image "$gateway"
	trap '"$docker" rmi --force "$shape" "$gateway" "$both"' EXIT
	DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile.reflectt --tag "$both" \
		--build-arg "GATEWAY_IMAGE=$gateway" --build-arg "REFLECTT_IMAGE=$shape" docker
	# A tarball, whose name the mount has changed.
	tar -C scripts/container.d --transform 's,^reflectt-plugin,package,' -czf "$work/plugin" reflectt-plugin
	volume state
	"$docker" run --detach --name "$run-both" --label "$label" "$(state state)" \
		--volume "$work/plugin:/plugin:ro" --env REFLECTT_PLUGIN=/plugin "$both"
	await "$live_limit" healthy_or_over both || true
	healthy both || fail "it does not become healthy"
	agent_runs_a_tool inside both
	stop both
	[[ $(exit_code both) == 0 ]] || fail "docker stop: exit $(exit_code both)"
	evidence "docker stop: exit 0"
}

# The two containers of docker/compose.reflectt.yaml without a plugin, started by one
# command.
reflectt_compose() {
	local said
	build_tool compose github.com/docker/compose/v2/cmd || not_run "cannot build docker compose: $(tail -n 1 "$work/tool.log")"
	# shellcheck disable=SC2034 # compose reads them
	tool_compose=$work/compose compose_file=docker/compose.reflectt.yaml
	unset OPENCLAW_GATEWAY_TOKEN
	# Ports of its own: other scenarios run meanwhile.
	export GATEWAY_IMAGE=$quick REFLECTT_IMAGE=bootstrap-smoke/reflectt REFLECTT_PORT=14445 GATEWAY_PORT=28789
	reflectt_image "$REFLECTT_IMAGE" reflectt-node.js
	trap 'compose down --volumes --timeout 1; "$docker" rmi --force "$REFLECTT_IMAGE"' EXIT
	compose up --no-build --detach --wait --wait-timeout "$live_limit" || {
		compose logs
		fail "docker compose up does not become healthy"
	}
	await "$live_limit" reflectt_says 'models.list answered' || fail "reflectt-node says: $(compose logs reflectt | tail -n 1)"
	if compose exec -T reflectt env | grep TOKEN | grep -vx OPENCLAW_GATEWAY_TOKEN=none-the-bridge-signs; then
		fail "reflectt-node has a token"
	fi
	compose exec -T reflectt sh -c 'test ! -e /home/node/.openclaw/bootstrap' || fail "reflectt-node sees the gateway's directory"
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
	reflectt_image "$shape" reflectt-node.js
	trap '"$docker" rmi --force "$shape" "$both"' EXIT
	DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile.reflectt --tag "$both" \
		--build-arg "GATEWAY_IMAGE=$quick" --build-arg "REFLECTT_IMAGE=$shape" docker
	"$docker" run --detach --name "$run-both" --label "$label" --publish 4445:4445 "$both"
	ready both
	await "$live_limit" says both 'models.list answered' || fail "reflectt-node says: $(logs both | grep '^reflectt: ' | tail -n 1)"
	await "$live_limit" healthy both || fail "it does not become healthy"
	evidence "docker run -d -p 4445:4445: healthy; $(logs both | grep '^reflectt: ' | tail -n 1);"
	stop both
	[[ $(exit_code both) == 0 ]] || fail "docker stop: exit $(exit_code both)"
	evidence "docker stop: exit 0"
	[[ $(once --entrypoint reflectt-beside "$both" bash -c 'echo a shell; jobs') == 'a shell' ]] || fail "a shell in the image does not work"
}
healthy_or_over() { healthy "$1" || ! running "$1"; }
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
