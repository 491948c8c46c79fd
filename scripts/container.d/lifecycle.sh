# shellcheck shell=bash
# Scenarios: start, stop, crash and signals.
# shellcheck disable=SC2016,SC2154 # other parts set it; scripts for shells in containers

restart() {
	volume state
	start gateway --hostname gateway "$(state state)" "$quick"
	ready gateway
	local first=$SECONDS device
	device=$(inside gateway bootstrap identity show | head -n 1)
	"$docker" restart --time 120 "$run-gateway" >/dev/null
	await "$boot_limit" inside gateway bootstrap probe
	says gateway 'already paired, nothing changed' || fail "the second start changed something"
	[[ $(inside gateway bootstrap identity show | head -n 1) == "$device" ]] || fail "another device after the restart"
	evidence "same device, nothing changed, ready again after $((SECONDS - first)) s"
	first=$SECONDS
	stop gateway
	[[ $(exit_code gateway) == 0 ]] || fail "docker stop: exit $(exit_code gateway)"
	says gateway '"source":"gateway","code":0' || fail "the log does not say that the gateway ended it"
	evidence "; docker stop: exit 0, the gateway's own, after $((SECONDS - first)) s"
}

# A gateway that cannot use its configuration ends with 1 or 78; so do we.
exit_codes() {
	local ours theirs
	theirs=0
	once --env OPENCLAW_GATEWAY_TOKEN=x "$plain" openclaw gateway --port 18789 --bind nonsense || theirs=$?
	ours=0
	once --env OPENCLAW_GATEWAY_TOKEN=x "$quick" openclaw gateway --port 18789 --bind nonsense || ours=$?
	[[ $theirs != 0 && $ours == "$theirs" ]] || fail "the gateway alone ends with $theirs, ours with $ours"
	ours=0
	once --env OPENCLAW_GATEWAY_TOKEN=x "$quick" sh -c 'kill -SEGV $$' || ours=$?
	[[ $ours == 139 ]] || fail "a child that died of SIGSEGV gives $ours"
	ours=0
	once "$quick" no-such-command || ours=$?
	[[ $ours == 127 ]] || fail "a command that is not there gives $ours"
	evidence "the gateway's own $theirs; 139 for SIGSEGV; 127 for no such command"
}

crash() {
	volume state
	start first --hostname gateway "$(state state)" "$quick"
	ready first
	"$docker" kill "$run-first" >/dev/null
	remove first

	start other "$(state state)" "$quick"
	await 60 says other 'waiting for the owner lease' || fail "another host name: the wait is not announced"
	evidence "another name: waits, $(logs other | grep -o '"remaining":"[^"]*"' | head -n 1 | cut -d '"' -f 4) left, hint given"
	if [[ ${SMOKE_FULL-} == 1 ]]; then
		local began=$SECONDS
		boot_limit=$((boot_limit + 330)) ready other
		evidence "and starts after $((SECONDS - began)) s"
		stop other # or its own lease would stay behind
	else
		stop other
		[[ $(exit_code other) == 143 ]] || fail "stopped while it waits: exit $(exit_code other)"
	fi
	remove other

	start again --hostname gateway "$(state state)" "$quick"
	local began=$SECONDS
	ready again
	if says again 'waiting for the owner lease'; then
		fail "the fixed host name had to wait"
	fi
	evidence "; same name: no wait, ready after $((SECONDS - began)) s"
}

hangup() {
	volume state
	start first "$(state state)" "$quick"
	ready first
	"$docker" kill --signal HUP "$run-first" >/dev/null
	await 120 ended first || fail "it does not end on SIGHUP"
	[[ $(exit_code first) == 0 ]] || fail "exit $(exit_code first)"
	remove first
	start second "$(state state)" "$quick"
	ready second
	if says second 'waiting for the owner lease'; then
		fail "a lease was left behind"
	fi
	evidence "exit 0; a container of another name starts without waiting"
}
ended() { ! running "$1"; }

orphans() {
	start gateway "$quick"
	ready gateway
	inside gateway sh -c 'for i in $(seq 200); do (sleep 1 &); done'
	await 30 no_sleepers || fail "the sleepers are still there"
	local zombies
	zombies=$(inside gateway ps -e -o stat= | grep -c '^Z' || true)
	[[ $zombies == 0 ]] || fail "$zombies zombies"
	stop gateway
	local reaped
	reaped=$(logs gateway | sed -n 's/.*"orphans_reaped":\([0-9]*\).*/\1/p')
	((reaped >= 200)) || fail "only $reaped reaped"
	evidence "$reaped reaped, no zombie, exit $(exit_code gateway)"
}
no_sleepers() { ! inside gateway sh -c 'ps -e -o stat=,comm= | grep -v "^Z" | grep -q sleep'; }

# What reads the log ends, or stops to read. The gateway's own output goes to a
# file: what becomes of a gateway without readers is its own affair (2026.9.6 ends).
unread_log() {
	local peer first_process stopping began took
	mkdir -m 755 "$work/quiet"
	mkdir -m 777 "$work/ready"
	printf '#!/bin/sh\nexec /usr/local/bin/openclaw "$@" >/tmp/gateway.log 2>&1\n' >"$work/quiet/openclaw"
	chmod 755 "$work/quiet/openclaw"
	local flags=(--volume "$work/quiet:/opt/quiet:ro" --env PATH=/opt/quiet:/usr/local/bin:/usr/bin:/bin
		--volume "$work/ready:/ready" --stop-timeout 120 --entrypoint bash)
	local entry='exec bootstrap run -- openclaw gateway --bind lan --port 18789'

	start ended --env BOOTSTRAP_READY_FILE=/ready/ended "${flags[@]}" "$quick" -c "$entry 2> >(head -n 1)"
	await "$boot_limit" test -e "$work/ready/ended" || fail "without a reader: not ready after $boot_limit s"
	stop ended
	[[ $(exit_code ended) == 0 ]] || fail "without a reader: exit $(exit_code ended)"
	evidence "the reader of stderr has ended: paired, docker stop: exit 0"

	# A log driver whose peer takes the connection and reads nothing, and a pipe that
	# is full before we start. "docker stop" waits for that driver for ever (Docker
	# 20.10, with "sleep" in the container too), so the first process is watched, and
	# the engine is asked for the exit code once the peer is gone.
	node -e 'require("net").createServer({pauseOnConnect: true}).listen(process.argv[1])' "$work/fluentd" &
	peer=$!
	# shellcheck disable=SC2064 # now
	trap "kill $peer 2>/dev/null || true" EXIT
	await 30 test -S "$work/fluentd"
	start blocked --env BOOTSTRAP_READY_FILE=/ready/blocked --log-driver fluentd \
		--log-opt "fluentd-address=unix://$work/fluentd" --log-opt fluentd-max-retries=1 --log-opt fluentd-retry-wait=100ms "${flags[@]}" "$quick" \
		-c "yes filler >&2 & sleep 3; $entry"
	first_process=$("$docker" inspect --format '{{.State.Pid}}' "$run-blocked")
	await "$boot_limit" test -e "$work/ready/blocked" || fail "with a blocked log: not ready after $boot_limit s"
	began=$SECONDS
	stop blocked &
	stopping=$!
	await 110 gone "$first_process" || fail "with a blocked log: it does not end on TERM"
	took=$((SECONDS - began))
	kill "$peer"
	wait "$stopping"
	[[ $(exit_code blocked) == 0 ]] || fail "with a blocked log: exit $(exit_code blocked)"
	evidence "; the log driver blocks: paired, docker stop: exit 0 after $took s"
}
gone() { [[ ! -e /proc/$1 ]]; }

under_init() {
	start gateway --init "$quick"
	paired gateway
	says gateway '"handover":"exec"' || fail "it has not handed over by exec"
	# The helper that pairs in a new database ends with its proof.
	await "$boot_limit" nothing_of_us || fail "something of us stays: $(inside gateway ps -C bootstrap -o args=)"
	stop gateway
	[[ $(exit_code gateway) == 0 ]] || fail "exit $(exit_code gateway)"
	evidence "handed over by exec, paired; docker stop: exit 0"
}

nothing_of_us() { ! inside gateway ps -C bootstrap -o pid= >/dev/null; }

terminal() {
	local said code=0
	command -v script >/dev/null || not_run "script (package bsdutils) is missing: there is no other way to a terminal here"
	said=$(printf 'echo "tty: $(tty)"; echo job-control: $-; exit 7\n' |
		script --quiet --return --command "$docker run -it --rm --label $label $quick bash" /dev/null) || code=$?
	[[ $code == 7 ]] || fail "the shell's exit code 7 became $code: $said"
	[[ $said == *'tty: /dev/pts/'* ]] || fail "no terminal: $said"
	[[ $said != *'no job control'* ]] || fail "no job control"
	evidence "$(grep -o 'tty: /dev/pts/[0-9]*' <<<"$said" | head -n 1), job control, exit 7 passed on"
}
