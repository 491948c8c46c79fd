# shellcheck shell=bash
# A Docker engine for the smoke test: the one that answers, or one of our own that
# leaves nothing behind.

# install_packages installs what is missing, on Debian; names come as
# COMMAND:PACKAGE.
install_packages() {
	local missing=() need
	for need in "$@"; do
		command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
	done
	((${#missing[@]})) || return 0
	if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
		echo "container-smoke: missing: ${missing[*]}; install them, or run as root where apt-get is" >&2
		return 1
	fi
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# shellcheck disable=SC2154 # work is set by the script that sources this file
# start_engine sets docker, the client, and DOCKER_HOST where the engine is ours.
start_engine() {
	engine_pid='' engine_dir=''
	docker=docker
	if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
		echo "engine: the one that runs here"
		return
	fi
	if ((EUID != 0)); then
		echo "container-smoke: no Docker engine answers, and only root can start one" >&2
		return 1
	fi
	install_packages dockerd:docker.io iptables:iptables
	# The client that came with this engine; another one on PATH may want a plugin
	# for building.
	[[ ! -x /usr/bin/docker ]] || docker=/usr/bin/docker
	engine_dir=$(mktemp -d /tmp/bootstrap-engine.XXXXXX)
	# A network and mounts of its own: bridges, firewall rules and mounts are gone
	# when the last process in it is.
	unshare --net --mount -- sh -c 'ip link set lo up && exec dockerd "$@"' sh \
		--data-root "$work/docker" --exec-root "$engine_dir/exec" --pidfile "$engine_dir/pid" \
		--host "unix://$engine_dir/docker.sock" >"$work/engine.log" 2>&1 </dev/null &
	engine_pid=$!
	export DOCKER_HOST=unix://$engine_dir/docker.sock
	echo "engine: our own, pid $engine_pid"
	await 120 engine_settled || true
	if ! "$docker" info >/dev/null 2>&1; then
		echo "container-smoke: the engine does not answer; its last words:" >&2
		tail -n 20 "$work/engine.log" >&2
		return 1
	fi
}

# engine_settled tells whether our engine answers, or has died.
engine_settled() { "$docker" info >/dev/null 2>&1 || ! kill -0 "$engine_pid" 2>/dev/null; }

# stop_engine ends the engine that is ours; it takes its containers with it.
stop_engine() {
	[[ -n ${engine_pid-} ]] || return 0
	kill -TERM "$engine_pid" 2>/dev/null || true
	wait "$engine_pid" 2>/dev/null || true
	engine_pid=''
	rm -rf "$engine_dir"
}
