# shellcheck shell=bash
# Scenarios: what people run in their CI, and the image that a release has.
# shellcheck disable=SC2154

# action_run INPUT=VALUE...: the steps of action.yml, as they stand.
action_run() { PATH=$(dirname "$(command -v "$docker")"):$PATH RUNNER_TEMP=$work "$work/action" action.yml "$@" >"$work/said" 2>&1; }

# said WHAT: the last run of the action printed it.
said() { grep -qE -- "$1" "$work/said"; }

# left_nothing: neither containers nor networks are left.
left_nothing() {
	local left
	left=$("$docker" ps --all --format '{{.Names}}' --filter name=^bootstrap. && "$docker" network ls --format '{{.Name}}' --filter name=^bootstrap.)
	[[ -z $left ]] || fail "the action leaves $left"
}

ci_action() {
	build_tool action . || fail "cannot build the runner of steps: $(tail -n 1 "$work/tool.log")"
	local code=0
	action_run "image=$quick" "wait=$boot_limit" "env=OPENCLAW_GATEWAY_TOKEN=$token" || code=$?
	cat "$work/said"
	[[ $code == 0 ]] || fail "the action ends with $code"
	said '^output exit-code=0$' || fail "its exit code is $(grep '^output exit-code' "$work/said")"
	said '^output verdict=\{.*"ok": true,' || fail "its verdict is $(grep '^output verdict' "$work/said")"
	said '^\| exit code \| 0 \|$' || fail "the summary has no exit code"
	[[ -s $(sed -n 's/^output log=//p' "$work/said") ]] || fail "it keeps no log"
	left_nothing

	# An input is no code, and a gateway with a password's file gets no token.
	if action_run "image=$quick" "wait=a[\$(touch $work/evaluated)]" || [[ -e $work/evaluated ]]; then
		fail "the action runs what stands in the input wait"
	fi
	if action_run "image=$quick" env=OPENCLAW_GATEWAY_PASSWORD_FILE=/absent || said '^::add-mask::'; then
		fail "the action makes a token beside a password's file"
	fi
	left_nothing

	# A gateway that ends, and a container in which nothing pairs anybody.
	if action_run "image=$quick" 'command=sh
-c
echo the reason; exit 3'; then
		fail "the action likes a gateway that ends"
	fi
	if ! { said '^output exit-code=3$' && said 'the container ended with code 3' && said '^the reason$'; }; then
		fail "a gateway that ends: $(grep '^output' "$work/said")"
	fi
	left_nothing
	quiet_build "$run-plain" "$work" --build-arg "FROM=$image" <<-'FILE'
		ARG FROM
		FROM $FROM
		ENTRYPOINT []
	FILE
	code=0
	action_run "image=$run-plain" wait=5 'command=sleep 600' || code=$?
	"$docker" rmi --force "$run-plain"
	[[ $code == 1 ]] || fail "the action likes a gateway that pairs nobody"
	said '^output exit-code=1[0-9]$' || fail "a gateway that pairs nobody: $(grep '^output' "$work/said")"
	left_nothing
	evidence "let in: ok; a gateway that ends: its code 3; one that pairs nobody: $(sed -n 's/^output exit-code=//p' "$work/said"); nothing left"
}

ci_lines() {
	local name code=0
	for name in gateway bundles ci; do
		if "$docker" container inspect "$name" || "$docker" volume inspect "$name" || "$docker" network inspect "$name"; then
			not_run "this engine has something called $name already, which is left alone"
		fi
	done
	mkdir "$work/bin"
	ln -s "$(command -v "$docker")" "$work/bin/docker"
	"$docker" tag "$quick" your-gateway
	awk '/^```sh$/ {on = 1; next} /^```$/ {exit} on' docs/ci.md >"$work/smoke.sh"
	(cd "$work" && PATH=$work/bin:$PATH sh smoke.sh) || code=$?
	"$docker" rmi your-gateway
	[[ $code == 0 ]] || fail "the lines of docs/ci.md end with $code"
	[[ -s $work/gateway.log ]] || fail "no log is kept"
	evidence "$(grep -cv '^set' "$work/smoke.sh") lines of docs/ci.md, run by sh: let in, log kept"
}

# The image of a release, as "docker load" takes it, is what other images copy from.
ci_image() {
	local arch loaded
	arch=$(dpkg --print-architecture)
	arch=${arch/armhf/armv7}
	if [[ ! -f dist/bootstrap-oci.tar ]]; then
		make --no-print-directory packages "ARCHES=$arch"
	fi
	loaded=$("$docker" load --input dist/bootstrap-oci.tar | sed -n "s/^Loaded image: \(.*-$arch\)$/\1/p")
	[[ -n $loaded ]] || fail "docker load finds no image for $arch"
	[[ $(once "$loaded" version) == "$("dist/bootstrap-linux-$arch" version)" ]] || fail "it is another program: $(once "$loaded" version)"
	quiet_build "$run-copy" "$work" --build-arg "FROM=$loaded" --build-arg "BASE=$plain" <<-'FILE'
		ARG FROM
		ARG BASE
		FROM $FROM AS bootstrap
		FROM $BASE
		COPY --from=bootstrap /bootstrap /usr/local/bin/bootstrap
		ENTRYPOINT ["bootstrap", "run", "--"]
	FILE
	[[ $(once "$run-copy" echo started) == started ]] || fail "the image that copies from it does not run"
	"$docker" images --format '{{.Repository}}:{{.Tag}}' --filter "reference=${loaded%-*}-*" | xargs "$docker" rmi --force "$run-copy"
	evidence "docker load, run; copied into another image by COPY --from"
}
