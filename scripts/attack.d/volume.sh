# shellcheck shell=bash disable=SC2154 # scripts/attack sets it
# Attacks by the user of a volume, or another user of the machine, on a start as root.

# volume: a directory of the volume's user, with the state directory in it.
volume() {
	state=$dir/data/.openclaw
	clean+=(OPENCLAW_STATE_DIR="$state")
	install -d -o "$volume_user" -g "$volume_user" -m 755 "$dir/data" "$state"
}

moved_away() {
	volume
	as "$volume_user" mv "$state" "$dir/data/hidden"
	printf '#!/bin/sh\nid -u\n' >"$dir/openclaw"
	chmod 755 "$dir/openclaw"
	[[ $(boot run -- id -u) != 0 ]] || through 'a command runs as root'
	rm -rf "$state"
	[[ $(boot run -- "$dir/openclaw" gateway) != 0 ]] || through 'a gateway runs as root'
}

# Before, the walk of the owner ended where there was nothing; a moment later there was.
swap_state() {
	volume
	as "$volume_user" "${clean[@]}" "$attacker" swap "$state" "$dir/data/hidden" "$dir/tmp/count" &
	local root=0
	while under_swaps 120; do
		[[ $(timeout 60 "${clean[@]}" "$program" run -- id -u) != 0 ]] || root=$((root + 1))
	done
	until_swapped
	((root == 0)) || through "$root of $starts starts stayed root"
	intact
}

# under_swaps N, again and again: N times at least, and until the swapper, which was
# started last, has done its rounds, however slow the machine is.
starts=0
under_swaps() {
	starts=$((starts + 1))
	((starts <= $1)) || { [[ ! -e $dir/tmp/count.enough ]] && kill -0 $!; }
}

# until_swapped ends a swapper.
until_swapped() {
	touch "$dir/tmp/count.stop"
	until_there "$dir/tmp/count" && sleep 0.2
	echo "$(cat "$dir/tmp/count") swaps, $starts starts"
	[[ -e $dir/tmp/count.enough ]] || through 'the swapper ended early: this shows nothing'
}

swap_link() {
	volume
	as "$volume_user" ln -s "$dir/roots" "$dir/data/link"
	as "$volume_user" "${clean[@]}" "$attacker" swap "$state" "$dir/data/link" "$dir/tmp/count" &
	while under_swaps 120; do
		[[ $(timeout 60 "${clean[@]}" "$program" run -- id -u) != 0 ]] || through 'a command runs as root'
	done
	until_swapped
	intact
}

bundles_through_link() {
	install -d -o "$volume_user" "$dir/theirs"
	as "$volume_user" ln -s "$dir/roots" "$dir/theirs/link"
	boot seed --client a --bundle-dir "$dir/theirs/link/bundles"
	intact
}

swap_bundles() {
	install -d -m 700 "$dir/roots/a" "$dir/roots/a/identity"
	install -d -o "$volume_user" "$dir/theirs" "$dir/theirs/bundles"
	as "$volume_user" ln -s "$dir/roots" "$dir/theirs/link"
	as "$volume_user" "${clean[@]}" "$attacker" swap "$dir/theirs/bundles" "$dir/theirs/link" "$dir/tmp/count" &
	while under_swaps 80; do
		timeout 60 "${clean[@]}" "$program" seed --client a --bundle-dir "$dir/theirs/bundles"
	done
	until_swapped
	intact 4
}

host_join_into_a_home() {
	local home=$dir/re
	install -d -o "$volume_user" "$home" "$home/openclaw" "$home/openclaw/victim"
	hostile a-device-token
	clean+=(REFLECTT_HOME="$home" OPENCLAW_AGENT_ID=victim OPENCLAW_GATEWAY_TOKEN="$token" BOOTSTRAP="$program"
		BOOTSTRAP_BRIDGE_URL=ws://127.0.0.1:1)
	as "$volume_user" ln -s "$dir/roots/file" "$home/openclaw/victim/env.new"
	"${clean[@]}" scripts/reflectt-host-join
	intact
}

# What the hint for a token of our own looks like, pointed at root's.
token_file_in_the_volume() {
	volume
	echo roots-own-secret-000000 >"$dir/roots/secret"
	chmod 600 "$dir/roots/secret"
	as "$volume_user" mkdir "$state/bootstrap"
	as "$volume_user" ln -s "$dir/roots/secret" "$state/bootstrap/gateway-token"
	[[ $(boot run --gateway-token-file "$state/bootstrap/gateway-token" -- env) != *roots-own-secret* ]] ||
		through "root's file is handed to the volume's user"
}

ready_file_of_a_stranger() {
	volume
	as "$stranger" touch "$dir/tmp/bootstrap.ready"
	local code=0 first
	# As PID 1, where there is a ready file without being asked for.
	as "$volume_user" unshare --user --map-current-user --pid --fork "${clean[@]}" "$program" run --handover supervise -- true || code=$?
	((code == 0)) || through "no start at all: exit $code"
	first=$(stat -c %u "$dir/tmp/bootstrap.ready")
	[[ $first == "$stranger" ]] || through "the stranger's file is $first's"
}

left_by_root() {
	volume
	install -m 4755 /usr/bin/id "$dir/suid"
	local how
	for how in exec supervise; do
		[[ $(boot run --handover "$how" -- "$dir/suid") != *euid=0* ]] || through "$how: a setuid program gives root back"
		[[ $(boot run --handover "$how" -- sh -c 'cat <&9' 9<"$dir/roots/file") != keep ]] || through "$how: root's descriptor is open"
		[[ $(setpriv --inh-caps +net_raw -- "${clean[@]}" "$program" run --handover "$how" -- grep -E '^Cap...:.*[1-9a-f]' /proc/self/status) == '' ]] ||
			through "$how: capabilities are left"
	done
	# Without a drop: what the gateway is not given, it must not find beside it.
	clean+=(BOOTSTRAP_IDENTITY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f)
	# shellcheck disable=SC2016 # the child's shell reads it
	[[ $(as "$volume_user" "${clean[@]}" "$program" run --handover supervise -- sh -c 'tr "\0" "\n" </proc/$PPID/environ') != *BOOTSTRAP_IDENTITY=* ]] ||
		through "the key is in the supervisor's environment"
}
