# shellcheck shell=bash
# Containers of the smoke test. All that is made has the label of this run, and
# goes when its scenario ends.
# shellcheck disable=SC2154 # docker, run, label and the images are set elsewhere

token=smoke-gateway-token

# await SECONDS COMMAND...: until it succeeds.
await() {
	local limit=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < limit)) || return 1
		sleep 0.5
	done
}

network() { "$docker" network create --label "$label" "$run" >/dev/null; }
volume() { "$docker" volume create --label "$label" "$run-$1" >/dev/null; }

# state VOLUME: the flag that mounts it as the state directory.
state() { printf '%s' "--volume=$run-$1:/home/node/.openclaw"; }

# start NAME FLAG... IMAGE [COMMAND...] runs it in the background.
start() {
	local name=$1
	shift
	"$docker" run --detach --name "$run-$name" --label "$label" --env "OPENCLAW_GATEWAY_TOKEN=$token" "$@" >/dev/null
}

inside() {
	local name=$1
	shift
	"$docker" exec "$run-$name" "$@"
}

# once FLAG... IMAGE [COMMAND...] runs it to its end.
once() { "$docker" run --rm --label "$label" "$@"; }

remove() { "$docker" rm --force "${@/#/$run-}" >/dev/null; }
logs() { "$docker" logs "$run-$1" 2>&1; }
running() { [[ $("$docker" inspect --format '{{.State.Running}}' "$run-$1") == true ]]; }
exit_code() { "$docker" inspect --format '{{.State.ExitCode}}' "$run-$1"; }
says() { logs "$1" | grep -F -- "$2" >/dev/null; }

# paired NAME waits until "bootstrap probe" succeeds in the container.
paired() {
	local began=$SECONDS
	until inside "$1" bootstrap probe; do
		running "$1" || fail "$1 ended with code $(exit_code "$1") before it was paired"
		((SECONDS - began < boot_limit)) || fail "$1 was not paired after $boot_limit s"
		sleep 1
	done
}

# ready NAME waits until the program itself has proven the pairing.
ready() {
	local began=$SECONDS
	until says "$1" 'the pairing is proven'; do
		running "$1" || fail "$1 ended with code $(exit_code "$1") before it was ready"
		((SECONDS - began < boot_limit)) || fail "$1 was not ready after $boot_limit s"
		sleep 1
	done
}

# answers NAME: a gateway serves there, paired or not.
answers() { inside "$1" node -e 'fetch("http://127.0.0.1:18789/startupz").then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))'; }

# stop NAME ends it as "docker stop" does, with the time to drain that README gives it: a
# gateway waits up to 315 s for an agent at work, on a busy machine for one that has
# just answered.
stop() { "$docker" stop --time 330 "$run-$1" >/dev/null; }

# device VOLUME prints the id of the device in the state directory.
device() { once "$(state "$1")" --entrypoint bootstrap "$image" identity show | awk '$1 == "device" {print $3}'; }

# sweep removes all that a scenario has left.
sweep() {
	"$docker" ps --all --quiet --filter "label=$label" | xargs --no-run-if-empty "$docker" rm --force --volumes
	"$docker" network ls --quiet --filter "label=$label" | xargs --no-run-if-empty "$docker" network rm
	"$docker" volume ls --quiet --filter "label=$label" | xargs --no-run-if-empty "$docker" volume rm --force
}
