# shellcheck shell=bash
# Scenarios: users, volumes and read-only containers.
# shellcheck disable=SC2016,SC2154 # other parts set it; scripts for shells in containers

read_only() {
	volume state
	start gateway --read-only --tmpfs /tmp --tmpfs /home/node/.cache:uid=1000,gid=1000,mode=0700 --cap-drop ALL \
		--security-opt no-new-privileges "$(state state)" "$quick"
	paired gateway
	[[ $(inside gateway sh -c 'touch /x 2>&1' || true) == *'Read-only'* ]] || fail "the root is not read-only"
	stop gateway
	[[ $(exit_code gateway) == 0 ]] || fail "exit $(exit_code gateway)"
	evidence "with --cap-drop ALL and no-new-privileges: paired, stop exit 0"
}

# As TrueNAS (568) and OpenShift do.
any_user() {
	# A directory of the machine: Docker gives an empty volume to the image's user.
	install -d -o 568 -g 568 "$work/fresh"
	start gateway --user 568:568 --volume "$work/fresh:/home/node/.openclaw" "$quick"
	paired gateway
	[[ $(inside gateway id -u) == 568 ]] || fail "uid $(inside gateway id -u)"
	inside gateway getent passwd 568 && fail "there is a passwd entry"
	stop gateway
	[[ $(exit_code gateway) == 0 ]] || fail "exit $(exit_code gateway)"
	evidence "uid 568 without a passwd entry: paired, stop exit 0"
}

root_owned() {
	local began=$SECONDS
	mkdir -p "$work/bind"
	start refused --volume "$work/bind:/home/node/.openclaw" "$quick"
	await 60 ended refused
	[[ $(exit_code refused) == 4 ]] || fail "as uid 1000: exit $(exit_code refused)"
	says refused 'chown -R 1000:1000' || fail "the command that fixes it is not said"
	evidence "as 1000: exit 4 within $((SECONDS - began)) s and \"chown -R 1000:1000\";"

	start gateway --user 0 --env BOOTSTRAP_USER=node --volume "$work/bind:/home/node/.openclaw" "$quick"
	paired gateway
	[[ $(inside gateway ps -o user= -p 1) == node ]] || fail "pid 1 is $(inside gateway ps -o user= -p 1)"
	[[ $(stat -c %u "$work/bind") == 1000 ]] || fail "the directory belongs to $(stat -c %u "$work/bind")"
	[[ -z $(find "$work/bind" -uid 0 -print -quit) ]] || fail "root has files there: $(find "$work/bind" -uid 0)"
	evidence "as root with BOOTSTRAP_USER=node: handed over, paired, all of it 1000's"
}

new_volume() {
	volume state
	start first --hostname gateway "$(state state)" "$quick"
	paired first
	local before after
	before=$(device state)
	remove first
	"$docker" volume rm "$run-state" >/dev/null
	volume state
	start second --hostname gateway "$(state state)" "$quick"
	paired second
	after=$(device state)
	[[ -n $before && -n $after && $before != "$after" ]] || fail "devices: $before, $after"
	evidence "paired again as a new device (${before:0:8}, then ${after:0:8})"
}

# What Kubernetes makes of docker/k8s: volumes of root's with the group of fsGroup,
# a token in a file, and the same user and rights.
pod() {
	install -d -o 0 -g 1000 -m 2775 "$work/claim"
	install -d "$work/secret"
	printf %s "$token" >"$work/secret/gateway-token"
	chgrp 1000 "$work/secret/gateway-token"
	chmod 0440 "$work/secret/gateway-token"
	start gateway --hostname gateway-0 --user 1000:1000 --read-only --cap-drop ALL --security-opt no-new-privileges \
		--env OPENCLAW_GATEWAY_TOKEN= --env OPENCLAW_GATEWAY_TOKEN_FILE=/run/secrets/openclaw/gateway-token \
		--tmpfs /tmp:gid=1000,mode=2777 --tmpfs /home/node/.cache:gid=1000,mode=2777 \
		--volume "$work/claim:/home/node/.openclaw" --volume "$work/secret:/run/secrets/openclaw:ro" \
		--entrypoint bootstrap "$quick" run -- openclaw gateway --bind lan --port 18789 --allow-unconfigured
	paired gateway
	await "$boot_limit" answers gateway || fail "/startupz does not answer"
	# By the pod's address, as the kubelet asks.
	inside gateway node -e 'const url = `http://${os.networkInterfaces().eth0[0].address}:18789/healthz`;
		fetch(url).then(r => process.exit(r.ok ? 0 : 1))' || fail "/healthz does not answer"
	inside gateway sh -c 'OPENCLAW_GATEWAY_TOKEN=$(cat "$OPENCLAW_GATEWAY_TOKEN_FILE") openclaw devices list' || fail "devices list inside the pod"
	stop gateway
	[[ $(exit_code gateway) == 0 ]] || fail "exit $(exit_code gateway)"
	evidence "as the pod runs it: paired, /startupz and /healthz answer, stop exit 0"
}
