# shellcheck shell=bash
# Scenarios: Compose, Swarm and Kubernetes, each with the files that are shipped.
# shellcheck disable=SC2154

compose() {
	"$tool_compose" --project-name "$run" --file "${compose_file:-docker/compose.yaml}" "$@"
}

compose_up() {
	build_tool compose github.com/docker/compose/v2/cmd || not_run "cannot build docker compose: $(tail -n 1 "$work/tool.log")"
	tool_compose=$work/compose
	export OPENCLAW_GATEWAY_TOKEN=$token
	"$docker" image inspect openclaw-gateway:2026.9.6 >/dev/null 2>&1 &&
		not_run "this engine has an image openclaw-gateway:2026.9.6 already, which is left alone"
	"$docker" tag "$image" openclaw-gateway:2026.9.6
	trap 'compose --profile tools down --volumes --timeout 1; "$docker" rmi openclaw-gateway:2026.9.6' EXIT
	compose up --no-build --detach --wait --wait-timeout "$boot_limit" || {
		compose logs
		fail "docker compose up does not become healthy"
	}
	compose run --rm agent || fail "the agent is refused"
	if compose run --rm cli gateway call status; then
		fail "a CLI without any pairing has been let in"
	fi
	compose run --rm --no-TTY --entrypoint sh agent -c 'test ! -e /home/node/.openclaw/openclaw.json && test ! -e /home/node/.openclaw/state' ||
		fail "the agent sees the gateway's state"
	compose run --rm cli agent --message hello || true
	local key
	key=$(compose run --rm --no-TTY --entrypoint bootstrap cli identity export)
	BOOTSTRAP_CLIENTS=agent,cli:full=$key compose up --no-build --detach --wait --wait-timeout "$boot_limit"
	compose run --rm cli devices list || fail "the CLI is refused though the gateway was given its key"
	evidence "healthy; agent let in, sees no state; CLI refused, then let in by its key"
}

swarm() {
	local state stack=$run service=${run}_gateway
	state=$("$docker" info --format '{{.Swarm.LocalNodeState}}')
	[[ $state == inactive ]] || not_run "this engine is in a swarm already ($state), which is left alone"
	trap 'leave_swarm' EXIT
	"$docker" swarm init --advertise-addr 127.0.0.1
	printf %s "$token" | "$docker" secret create openclaw_gateway_token -
	GATEWAY_IMAGE=$quick "$docker" stack deploy --resolve-image never --compose-file docker/stack.yaml "$stack"
	"$docker" service scale --detach "$service=2"
	await "$((2 * boot_limit))" tasks_healthy 2 || {
		"$docker" service ps --no-trunc "$service"
		fail "two gateways are not healthy: $("$docker" service ps --format '{{.Name}} {{.CurrentState}} {{.Error}};' "$service" | tr '\n' ' ')"
	}
	local before after check task devices=()
	for task in 1 2; do
		await "$boot_limit" task_exec "$task" bootstrap probe || fail "gateway-$task is not paired"
		devices+=("$(task_exec "$task" bootstrap identity show | head -n 1)")
	done
	[[ ${devices[0]} != "${devices[1]}" ]] || fail "both gateways are the same device"
	evidence "gateway-1 and gateway-2 paired, each its own device;"
	before=$(task_container 2)
	# The second waits, so that there is a moment to look at.
	"$docker" service update --detach --update-delay 30m --env-add UPDATED=yes "$service"
	await "$((2 * boot_limit))" one_updated || fail "no gateway was updated"
	after=$("$docker" ps --quiet --filter "label=com.docker.swarm.service.name=$service" | wc -l)
	[[ $after == 2 ]] || fail "$after gateways run"
	for task in 1 2; do
		await "$boot_limit" task_exec "$task" bootstrap probe || fail "gateway-$task is not paired after the update"
		[[ $(task_exec "$task" bootstrap identity show | head -n 1) == "${devices[task - 1]}" ]] || fail "gateway-$task is another device"
	done
	[[ -n $before ]]
	evidence "one updated in place: both paired, devices kept;"
	# A restart would not let it in again.
	task_exec 1 bootstrap seed revoke self
	if task_exec 1 bootstrap probe; then
		fail "gateway-1 lets its device in, which was removed"
	fi
	check=$("$docker" inspect --format '{{index .Config.Healthcheck.Test 1}}' "$(task_container 1)")
	task_exec 1 sh -c "$check" || fail "gateway-1 counts as dead: its device was removed"
	evidence "a gateway whose device was removed counts as alive"
}

# task_container SLOT prints the container of a running task.
task_container() {
	"$docker" ps --quiet --filter "label=com.docker.swarm.service.name=${run}_gateway" --filter "name=${run}_gateway.$1." --filter status=running
}
task_exec() {
	local container
	container=$(task_container "$1")
	shift
	"$docker" exec "$container" "$@"
}
tasks_healthy() {
	local healthy
	healthy=$("$docker" ps --quiet --filter "label=com.docker.swarm.service.name=${run}_gateway" --filter health=healthy | wc -l)
	[[ $healthy == "$1" ]]
}
one_updated() {
	local task updated=0
	tasks_healthy 2 || return 1
	for task in 1 2; do
		[[ $(task_exec "$task" printenv UPDATED) != yes ]] || updated=$((updated + 1))
	done
	[[ $updated == 1 ]]
}
leave_swarm() {
	"$docker" stack rm "$run"
	await 60 no_tasks || true
	"$docker" swarm leave --force
	"$docker" volume rm --force "${run}_gateway-1" "${run}_gateway-2"
}
no_tasks() { [[ -z $("$docker" ps --all --quiet --filter "label=com.docker.stack.namespace=$run") ]]; }

kubernetes() {
	build_tool manifests . || not_run "cannot build the checker: $(tail -n 1 "$work/tool.log")"
	cp -R docker/k8s "$work/k8s"
	if "$work/manifests" "$work/k8s"; then
		fail "it builds without a token: somebody would run with none, or with a known one"
	fi
	echo not-a-real-token >"$work/k8s/gateway-token"
	"$work/manifests" "$work/k8s" || fail "$("$work/manifests" "$work/k8s" 2>&1 | tail -n 1)"
	evidence "$("$work/manifests" "$work/k8s" 2>&1 | grep -c '^valid') objects pass the API server's decoding and validation (1.34) and pod security \"restricted\""
	# The guide's pod lives in the same namespace.
	mkdir "$work/agent"
	# shellcheck disable=SC2016 # backquotes of Markdown
	awk '/^```yaml$/ {inside = 1; next} /^```$/ && inside {exit} inside' docs/kubernetes.md >"$work/agent/agent.yaml"
	echo 'resources: [agent.yaml]' >"$work/agent/kustomization.yaml"
	"$work/manifests" "$work/agent" || fail "docs/kubernetes.md: $("$work/manifests" "$work/agent" 2>&1 | tail -n 1)"
	evidence "and so does the agent of docs/kubernetes.md"
	# The checker must be able to say no.
	sed -i 's/runAsNonRoot: true/runAsNonRoot: false/' "$work/k8s/statefulset.yaml"
	if "$work/manifests" "$work/k8s"; then
		fail "the checker lets a pod run as root"
	fi
}

# build_tool NAME PACKAGE builds it from the module beside this file, once for all
# scenarios: Go does not share what two builds compile at the same time.
build_tool() {
	(
		exec 9>"$tools/$1.lock"
		flock 9
		[[ -x $tools/$1 ]] || (cd "scripts/container.d/$1" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$tools/$1" "$2") || exit
		cp "$tools/$1" "$work/$1"
	) >"$work/tool.log" 2>&1
}
