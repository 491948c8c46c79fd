# shellcheck shell=bash
# Scenario: podman, as docker/systemd/openclaw.container has it started.
# shellcheck disable=SC2154

# podman_run FLAG...: podman without rights, whose network is loopback alone. What is
# root here becomes uid 1000 in a mount namespace of its own, where that user reaches
# the root file system; to the container it is root.
podman_run() {
	local -x HOME=$podman_home XDG_RUNTIME_DIR=$podman_home/run TMPDIR=$podman_home
	local -x NOTIFY_SOCKET=$podman_home/notify
	local command=(podman --cgroup-manager cgroupfs --runtime runc "$@")
	if ((EUID != 0)); then
		"${command[@]}"
		return
	fi
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare --mount --propagation slave sh -c 'mount --bind "$1" /mnt && shift && exec setpriv --reuid 1000 --regid 1000 --clear-groups "$@"' \
		sh "$work/rootfs" "${command[@]}"
}

# quadlet_says UNITS prints the units that podman's generator makes of them; 1 where
# there is no generator (podman 4.3, Debian 12).
quadlet_says() {
	local generator
	for generator in /usr/libexec/podman/quadlet /usr/lib/podman/quadlet; do
		[[ -x $generator ]] || continue
		QUADLET_UNIT_DIRS=$1 "$generator" -dryrun
		return
	done
	return 1
}

podman_quadlet() {
	install_packages podman:podman runc:runc || not_run "there is no podman here"
	build_tool notify . || fail "cannot build the listener: $(tail -n 1 "$work/tool.log")"
	local said=$work/heard quadlet='quadlet not here' root=$work/rootfs user=1000 listener
	podman_home=$(mktemp -d /tmp/bootstrap-podman.XXXXXX)
	trap 'podman_end' EXIT

	if quadlet_says "$PWD/docker/systemd" >"$work/units" 2>&1; then
		quadlet='quadlet reads the unit'
		grep -q 'podman run .*--sdnotify=container' "$work/units" || fail "quadlet: $(tail -n 1 "$work/units")"
	fi
	if command -v systemd-analyze >/dev/null; then
		sed "s,/usr/bin/bootstrap,$PWD/bin/bootstrap," docker/systemd/bootstrap.service >"$work/bootstrap.service"
		systemd-analyze verify --man=no "$work/bootstrap.service" || fail "bootstrap.service: $(tail -n 1 "$work/log")"
	fi

	mkdir "$root" "$podman_home/run"
	"$docker" create --name "$run-export" --label "$label" "$quick"
	"$docker" export "$run-export" | tar -C "$root" -x --exclude='dev/*'
	# One user id is mapped, as for a user without subordinate ids: all of the image is
	# that user's. What another one owns is nobody's in there, and not trusted.
	if ((EUID == 0)); then
		chown -R --no-dereference "$user:$user" "$root" "$podman_home"
	else
		chmod -R u+rwX "$root"
	fi
	"$work/notify" "$podman_home/notify" >"$said" 2>&1 &
	listener=$!
	await 10 test -S "$podman_home/notify" || fail "nobody listens: $(cat "$said")"

	podman_start
	podman_await "$said"
	podman_gateway_mute
	podman_run stop --time 120 "$run-g"
	[[ $(podman_run inspect --format '{{.State.ExitCode}}' "$run-g") == 0 ]] || fail "it ends with $(podman_run inspect --format '{{.State.ExitCode}}' "$run-g")"
	kill "$listener"
	evidence "rootless podman $(podman --version | awk '{print $3}'), --sdnotify=container: READY=1 with the proof, not before; the gateway has no NOTIFY_SOCKET; $quadlet"
}

# podman_start starts the gateway, as the user that is uid 1000 outside.
podman_start() {
	local at=$work/rootfs
	((EUID != 0)) || at=/mnt
	podman_run run --detach --name "$run-g" --hostname gateway --network none --sdnotify=container \
		--ulimit nofile=1024:4096 --ulimit nproc=4096:4096 --user 0 \
		--env "OPENCLAW_GATEWAY_TOKEN=$token" --env HOME=/home/node --env OPENCLAW_STATE_DIR=/home/node/.openclaw \
		--env OPENCLAW_CONFIG_PATH=/etc/openclaw.json --rootfs "$at" \
		bootstrap run -- openclaw gateway --port 18789 --allow-unconfigured
}

# podman_await SAID waits for READY=1, before which no device is let in, and with which
# it is.
podman_await() {
	local began=$SECONDS
	if podman_run exec "$run-g" bootstrap probe && ! grep -q 'READY=1' "$1"; then
		fail "the device is let in, and systemd does not know it"
	fi
	until grep -q 'READY=1' "$1"; do
		[[ $(podman_run inspect --format '{{.State.Running}}' "$run-g") == true ]] || fail "the gateway has ended: $(podman_run logs "$run-g" 2>&1 | tail -n 3)"
		((SECONDS - began < boot_limit)) || fail "no READY=1 after $boot_limit s: $(tr '\n' ' ' <"$1")"
		sleep 0.2
	done
	podman_run exec "$run-g" bootstrap probe || fail "READY=1, and the device is not let in"
}

# podman_gateway_mute: no process but bootstrap knows the socket.
podman_gateway_mute() {
	# shellcheck disable=SC2016 # the container's shell expands it
	podman_run exec "$run-g" sh -c 'cat /proc/[0-9]*/environ 2>/dev/null | tr "\0" "\n" | grep OPENCLAW_STATE_DIR' >/dev/null || fail "the gateway's environment cannot be read"
	# shellcheck disable=SC2016 # the same
	if podman_run exec "$run-g" sh -c 'unset NOTIFY_SOCKET; for p in /proc/[0-9]*; do test "$p" = /proc/$$ || cat "$p/environ" 2>/dev/null; done | tr "\0" "\n" | grep NOTIFY_SOCKET'; then
		fail "the gateway has the socket"
	fi
}

# podman_end leaves nothing behind.
podman_end() {
	podman_run logs --tail 15 "$run-g" 2>&1 | cut -c 1-300 || true
	podman_run rm --force "$run-g" >/dev/null 2>&1 || true
	# What podman leaves running to keep its namespace.
	kill "$(cat "$podman_home/run/libpod/tmp/pause.pid")" 2>/dev/null || true
	jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
	rm -rf "$podman_home"
}
