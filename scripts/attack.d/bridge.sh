# shellcheck shell=bash disable=SC2016,SC2154 # code for other shells; scripts/attack sets it
# Attacks on what listens: the bridge, the health port, and the gateway's own port.

# upgrade PATH [HEADER...]: the request of a WebSocket client that then is silent.
upgrade() {
	printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' "$1"
	printf 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
	((${#@} == 1)) || printf '%s\r\n' "${@:2}"
	printf '\r\nx'
}

outside() { ip netns exec "$namespace" "$@"; }

# real FLAG... starts a real gateway below the program, reachable from outside, and
# waits until it is proven. On a machine that is too busy for its own deadlines a
# gateway gives its first boot up; then another one is begun.
real() {
	printf %s the-token-of-the-bridge >"$dir/bridge-token"
	for _ in 1 2 3; do
		rm -rf "$state" "$dir/log"
		configured
		"${clean[@]}" OPENCLAW_GATEWAY_TOKEN="$token" "$program" run --handover supervise --client a "$@" -- \
			"$node" "$entry" gateway --port "$port" --bind lan >"$dir/log" 2>&1 &
		while [[ -d /proc/$! ]]; do
			! grep -qF '"ready: the pairing is proven"' "$dir/log" || return 0
			! grep -qF '"the pairing is NOT proven' "$dir/log" || end_all "TMPDIR=$dir/tmp"
			sleep 0.1
		done
		cat "$dir/log"
	done
	through 'no gateway gets ready: this shows nothing'
	return 1
}

configured() {
	mkdir -p "$state"
	printf '{"plugins":{"enabled":false},"gateway":{"mode":"local"},"logging":{"file":"%s"}}' "$dir/gateway.log" >"$state/openclaw.json"
}

# knock TOKEN: a stranger's device at the bridge, with the bridge's token; its code.
knock() {
	code=0
	verdict=$("${stranger_clean[@]}" OPENCLAW_GATEWAY_TOKEN="$1" "$program" probe --json --auth shared --gateway-url "ws://127.0.0.1:$second") || code=$?
}

made_local() {
	local bridge_port=$((port + 100)) code=0 verdict judged=0
	real --bridge "0.0.0.0:$bridge_port" --bridge-token-file "$dir/bridge-token" --bridge-host localhost || return 0
	stranger_clean=(outside "${clean[@]}" OPENCLAW_STATE_DIR="$dir/other")
	"${stranger_clean[@]}" "$program" identity create
	# As another device: one whose request is pending would be told so.
	"${stranger_clean[@]}" OPENCLAW_STATE_DIR="$dir/straight" "$program" identity create
	"${stranger_clean[@]}" OPENCLAW_STATE_DIR="$dir/straight" OPENCLAW_GATEWAY_TOKEN="$token" \
		"$program" probe --auth shared --gateway-url "ws://$host:$port" || code=$?
	((code == 12)) || through "straight it is $code, not 12: this shows nothing"
	outside "${clean[@]}" BEARER=the-token-of-the-bridge "$attacker" proxy "127.0.0.1:$second" "http://$host:$bridge_port" "$dir/proxy" &
	until_there "$dir/proxy"
	knock "$token"
	echo "through the bridge: $code $verdict"
	((code != 0)) || through "a device of the network's is let in through the bridge: $verdict"
	for _ in {1..20}; do
		knock "a-wrong-token-$RANDOM"
		# What the bridge refuses by itself, the gateway has not judged.
		[[ $verdict == *BRIDGE_REFUSED* || $verdict == *"has failed too often"* ]] || judged=$((judged + 1))
	done
	echo "last verdict: $code $verdict"
	((judged < 10)) || through "the gateway has judged $judged of 20 guessed tokens"
}

silent_upgrades() {
	local bridge_port=$((port + 100)) failed=0 answer
	real --bridge "0.0.0.0:$bridge_port" --bridge-token-file "$dir/bridge-token" --health-listen "$second" --bridge-host localhost || return 0
	outside "${clean[@]}" "$attacker" idle "$host:$bridge_port" 70 "$dir/held" "$(upgrade a)" &
	until_there "$dir/held"
	for _ in {1..4}; do
		boot probe >/dev/null 2>&1 || failed=$((failed + 1))
		answer=$(evil hold tcp "127.0.0.1:$second" 5 $'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
		[[ $answer == *' 200 '* ]] || failed=$((failed + 1))
	done
	((failed == 0)) || through "$failed of 8 checks of a healthy gateway failed"
}

port_taken() {
	configured
	"${clean[@]}" OPENCLAW_GATEWAY_TOKEN="$token" "$program" run --handover supervise --approve token -- \
		"$node" "$entry" gateway --port "$port" >"$dir/log" 2>&1 &
	local boots=$!
	until_logged "$dir/log" '"starting the gateway"'
	as "$stranger" "${clean[@]}" "$attacker" gateway "127.0.0.1:$port" "$dir/tmp/frames" stolen &
	until_there "$dir/tmp/frames.ready" || through 'the port could not be taken: this shows nothing'
	for _ in {1..150}; do
		[[ ! -s $dir/tmp/frames && -d /proc/$boots ]] || break
		sleep 0.1
	done
	sleep 1
	cat "$dir/log"
	! grep -qs '"token":"' "$dir/tmp/frames" || through 'it got a token'
	! grep -qs '"signature":"' "$dir/tmp/frames" || through 'it got a signature'
	! grep -qF '"ready: the pairing is proven"' "$dir/log" || through 'its answer is taken for a proof'
}

body_never_comes() {
	boot seed --client a
	"${clean[@]}" "$program" bridge --listen "127.0.0.1:$second" --gateway-url "ws://127.0.0.1:$port" &
	until evil hold tcp "127.0.0.1:$second" 1 $'GET /livez HTTP/1.0\r\n\r\n'; do sleep 0.2; done
	evil hold tcp "127.0.0.1:$second" 40 "$(upgrade a 'Content-Length: 10')" || through 'after 40 s it is still held'
	evil hold tcp "127.0.0.1:$second" 40 'GET /livez HTTP/1.1' || through 'half a request is held for 40 s'
}

idle_health() {
	ulimit -n 20000
	"${clean[@]}" "$program" run --handover supervise --health-listen "127.0.0.1:$second" -- sleep 300 &
	local supervisor=$! before after
	until evil hold tcp "127.0.0.1:$second" 1 $'GET /livez HTTP/1.0\r\n\r\n'; do sleep 0.2; done
	before=$(resident "$supervisor")
	evil idle "127.0.0.1:$second" 9000 "$dir/held" $'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n' &
	until_there "$dir/held"
	after=$(resident "$supervisor")
	echo "$before kB, then $after kB"
	((after - before < 40000)) || through "they cost $(((after - before) / 1024)) MB"
}

resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }

moved_socket() {
	boot seed --client a
	chmod -R a+rX "$dir"
	install -d -o "$stranger" -m 755 "$dir/sockets"
	"${clean[@]}" "$program" bridge --listen "unix:$dir/sockets/a.sock" --gateway-url "ws://127.0.0.1:$port" &
	until_there "$dir/sockets/a.sock"
	sleep 1
	chown "$volume_user" "$dir/sockets/a.sock"
	chmod 666 "$dir/sockets/a.sock"
	ask_socket() { as "$1" "${clean[@]}" "$attacker" hold unix "$2" 3 $'GET /livez HTTP/1.0\r\n\r\n'; }
	[[ $(ask_socket "$volume_user" "$dir/sockets/a.sock") == HTTP* ]] || through 'its owner is not let in: this shows nothing'
	[[ -z $(ask_socket "$stranger" "$dir/sockets/a.sock") ]] || through 'any user is let in'
	as "$stranger" sh -c 'mv "$1/a.sock" "$1/b.sock" && touch "$1/a.sock"' sh "$dir/sockets"
	[[ -z $(ask_socket "$stranger" "$dir/sockets/b.sock") ]] || through "the directory's owner is let in"
}

bridge_join_again() {
	hostile a-device-token
	printf %s "$token" >"$dir/token"
	local bridge n
	for n in 1 2; do
		"${clean[@]}" "$program" bridge --listen "$second" --bridge-join read --gateway-url "ws://127.0.0.1:$port" --gateway-token-file "$dir/token" &
		bridge=$!
		until evil hold tcp "127.0.0.1:$second" 1 $'GET /livez HTTP/1.0\r\n\r\n'; do sleep 0.2; done
		evil ask "ws://127.0.0.1:$second" "start$n-" 70
		kill -TERM "$bridge"
		wait "$bridge"
	done
	n=$(find "$state/bootstrap/clients" -mindepth 1 -maxdepth 1 -type d | wc -l)
	echo "$n bundles"
	((n >= 70)) || through "only $n were joined: this shows nothing"
	((n <= 100)) || through "$n devices were joined"
}
