# shellcheck shell=bash
# The cases, in the order in which somebody meets them.
# shellcheck disable=SC2154,SC2317 # set and called by scripts/transcripts

write_all() {
	cat <<-TEXT
		# What it says when something is wrong

		Real runs in bare containers, made by \`make transcripts\`. \`bare\` is Debian with the program as ENTRYPOINT
		(\`bootstrap run --\`, then \`openclaw gateway --bind lan --port 18789\`), \`gateway\` the same with Node and
		openclaw $release. What differs from run to run stands in <angle brackets>, and the gateway's own lines are left out.
	TEXT
	section '1. A wrong command line' 'A word is misspelt; the flags of the gateway are given to us; "run --" is forgotten; nothing is left to start; a command of ours stands where the image has its own; a variable is misspelt.'
	block wrong_arguments
	section '2. No gateway in the image' 'And none that answers.'
	block no_gateway
	section '3. No token' 'A gateway that listens beyond loopback needs one: one is made where there is none. A client elsewhere has to be given it.'
	block no_token
	section '4. A token in two places that disagree' 'The gateway reads its configuration first, most clients the environment.'
	block two_tokens
	section '5. The port is taken' 'A second container in the network of the first one.'
	block port_taken
	section '6. The volume belongs to somebody else' 'Or it is read-only.'
	block wrong_rights
	section '7. The gateway is too old' 'Of the gateway there is the package.json alone here: it is what is read.'
	block too_old
	section '8. A clock is wrong' "The gateway ($clock_release) lives an hour ahead: a container has no clock of its own, so its Date.now is changed."
	block wrong_clock
	section '9. A shell in the image' 'What is no gateway is never kept from starting, and its exit code is ours.'
	block shell
	section '10. No colour, and a narrow terminal' 'Seen through "cat -v". A pipe gets JSON lines.'
	block colours
	section '11. The examples of every --help, pasted' 'In the container of a running gateway, or in a new one where a state directory has to be empty. Long answers are cut.'
	block examples
}

wrong_arguments() {
	in_gateway -- opencalw gateway
	in_gateway --entrypoint bootstrap -- run --bind lan
	in_gateway --entrypoint bootstrap -- openclaw gateway
	in_gateway --entrypoint bootstrap -- run
	in_gateway -- status
	in_gateway --env BOOTSTRAP_PRESETS=read
}

no_gateway() {
	in_bare
	in_bare --entrypoint bootstrap -- probe
	in_bare --entrypoint bash -- -c 'bootstrap seed; bootstrap probe'
}

no_token() {
	typed docker run -d --name my-gateway gateway
	"$docker" run --detach --tty --name "$run-gateway" --hostname gateway --label "$label" --network "$run" --network-alias gateway \
		--env NO_COLOR=1 --env TERM=xterm "${mounts[@]}" "$gateway_image" >/dev/null
	await 180 says gateway 'the pairing is proven' || return 1
	typed "docker logs my-gateway | grep bootstrap:"
	answered ours_of gateway
	in_running bootstrap probe
	in_bare "--network=container:$run-gateway" --entrypoint bootstrap -- join --name agent-1
}

ours_of() { logs "$1" | grep -aoE '(bootstrap|warning|error): .*|^  hint: .*'; }

two_tokens() {
	echo '{"gateway": {"mode": "local", "auth": {"token": "one"}}}' >"$work/openclaw.json"
	in_gateway --env OPENCLAW_GATEWAY_TOKEN=another --volume "$work/openclaw.json:/etc/openclaw.json" --entrypoint bootstrap -- status
	in_gateway --env OPENCLAW_GATEWAY_TOKEN=one --env OPENCLAW_GATEWAY_TOKEN_FILE=/run/secrets/token
}

port_taken() {
	in_gateway "--network=container:$run-gateway"
}

wrong_rights() {
	mkdir -p "$work/volume"
	chmod 755 "$work/volume"
	in_gateway --user 1000:1000 --volume "$work/volume:/data"
	in_gateway --volume "$work/volume:/data:ro"
	in_gateway --user 1000:1000 --volume "$work/volume:/data" --entrypoint bootstrap -- status
}

too_old() {
	mkdir -p "$work/old"
	echo '{"name": "openclaw", "version": "2026.1.29", "bin": {"openclaw": "openclaw.mjs"}}' >"$work/old/package.json"
	in_bare --volume "$work/old:/old" --entrypoint bootstrap -- status --gateway-package /old
}

wrong_clock() {
	local mounts=("${clock_mounts[@]}" "--volume=$PWD/scripts/transcripts.d/clock.js:/clock.js:ro")
	typed docker run -d --name ahead --env OPENCLAW_GATEWAY_TOKEN=... gateway
	"$docker" run --detach --tty --name "$run-ahead" --hostname ahead --label "$label" --env NO_COLOR=1 --env TERM=xterm \
		--env "OPENCLAW_GATEWAY_TOKEN=$token" --env NODE_OPTIONS='--require /clock.js' "${mounts[@]}" "$gateway_image" >/dev/null
	await 180 says ahead 'the pairing is NOT proven' || return 1
	typed "docker logs ahead | grep -A 1 warning:"
	answered warnings_of ahead
	typed docker exec -it ahead bootstrap probe
	answered "$docker" exec --tty --env NO_COLOR=1 "$run-ahead" bootstrap probe
	remove ahead
}

warnings_of() { logs "$1" | grep -aA 1 -E '^warning:'; }

shell() {
	# It speaks after we have said that it was started.
	in_gateway -- bash -c 'sleep 1; echo hello from a shell; exit 3'
	typed docker run --rm -it gateway bash
	answered shell_session
}

shell_session() {
	keys | script --quiet --flush --return --command "$docker run --rm --interactive --tty --label $label --hostname gateway \
		--env NO_COLOR=1 --env TERM=dumb --env PS1='gateway# ' ${mounts[*]} $gateway_image bash --norc" /dev/null
}

# keys are typed when the shell is ready for them.
keys() {
	await 60 grep -q 'gateway# $' "$work/said"
	echo tty
	await 60 grep -q /dev/pts "$work/said"
	echo 'exit 3'
}

colours() {
	local each
	for each in NO_COLOR=1 NO_COLOR=; do
		typed "docker run --rm -it --env $each --entrypoint bootstrap gateway run | cat -v"
		"$docker" run --rm --tty --label "$label" --env TERM=xterm --env "$each" --entrypoint bootstrap "$gateway_image" run </dev/null | tr -d '\r' | cat -v || true
	done
	typed "docker run --rm --entrypoint bootstrap gateway run 2>&1 | cat -v"
	"$docker" run --rm --label "$label" --entrypoint bootstrap "$gateway_image" run 2>&1 </dev/null | sed -E 's/"time":"[^"]*"/"time":"<time>"/' | cat -v || true
	in_gateway --entrypoint sh -- -c 'stty cols 48; bootstrap probe --help' | awk 'NR <= 24; NR == 25 { print "..." }'
}

# examples runs what every help page shows, as it stands there.
examples() {
	local command example
	for command in run seed probe status approve join bridge 'seed rotate' 'seed revoke' 'identity show' 'identity create' 'identity import' 'identity export' version; do
		# shellcheck disable=SC2086 # two words
		"$docker" run --rm --label "$label" --entrypoint bootstrap "$bare_image" $command --help </dev/null | sed -n '/^OPTIONS:/,$d; s/^     \([^ ].*\)/\1/p' >"$work/lines"
		[[ -s $work/lines ]] || echo "# bootstrap $command --help has no example"
		while read -r example; do
			paste_example "$example"
		done <"$work/lines"
	done
}

# paste_example: what would stay is told to end after a while.
paste_example() {
	local ask=("$docker" exec --tty --env NO_COLOR=1 --env "OPENCLAW_GATEWAY_TOKEN=$(inside gateway cat /data/bootstrap/gateway-token)" "$run-gateway")
	typed "$1"
	case $1 in
	# There has to be no identity yet.
	*'identity import -') ask=("$docker" run --rm --tty --label "$label" --env NO_COLOR=1 --entrypoint bash "$bare_image" -c "$1") ;;
	*--watch* | *' bridge '*) ask+=(timeout --preserve-status --signal=TERM 10 bash -c "exec $1") ;;
	*) ask+=(bash -c "$1") ;;
	esac
	answered "${ask[@]}" | awk 'NR <= 12 || /^\[exit/; NR == 13 { print "..." }'
}
