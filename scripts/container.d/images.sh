# shellcheck shell=bash
# The images, built without an image registry: Debian from its packages, Node and
# openclaw from where scripts/gateway-install keeps them.
# shellcheck disable=SC2034,SC2154 # what other parts set and use

build_images() {
	base=bootstrap-smoke/base:$release plain=bootstrap-smoke/plain:$release
	image=bootstrap-smoke/gateway:$release quick=bootstrap-smoke/quick:$release
	image_program=bootstrap-smoke/bootstrap
	images=("$base" "$plain" "$image" "$quick" "$image_program")
	export DOCKER_BUILDKIT=1

	local rootfs installed
	rootfs=$(debian_rootfs)
	installed=$(scripts/gateway-install "$release")
	import_base "$rootfs" "$(sed -n 1p <<<"$installed")" "$(sed -n 2p <<<"$installed")"

	mkdir -p "$work/program"
	cp bin/bootstrap "$work/program/"
	quiet_build "$image_program" "$work/program" <<-'FILE'
		FROM scratch
		COPY bootstrap /bootstrap
	FILE
	# As shipped.
	quiet_build "$image" docker --build-arg "BASE_IMAGE=$base" --build-arg "BOOTSTRAP_IMAGE=$image_program" \
		--build-arg "OPENCLAW_VERSION=$release" <docker/Dockerfile.gateway
	# Without plugins a gateway boots in half the time.
	quiet_build "$quick" "$work/program" --build-arg "FROM=$image" <<-'FILE'
		ARG FROM
		FROM $FROM
		USER root
		RUN echo '{"gateway": {"mode": "local"}, "plugins": {"enabled": false}}' >/etc/openclaw.json
		ENV OPENCLAW_CONFIG_PATH=/etc/openclaw.json
		USER 1000:1000
	FILE
	# The same without us: what a container has today.
	quiet_build "$plain" "$work/program" --build-arg "FROM=$quick" <<-'FILE'
		ARG FROM
		FROM $FROM
		USER root
		RUN rm /usr/local/bin/bootstrap
		USER 1000:1000
		HEALTHCHECK NONE
		ENTRYPOINT []
		CMD ["openclaw", "gateway", "--bind", "lan", "--port", "18789"]
	FILE
}

# quiet_build TAG CONTEXT [FLAG...] reads the Dockerfile from standard input.
quiet_build() {
	local tag=$1 context=$2
	shift 2
	cat >"$work/Dockerfile"
	"$docker" build --tag "$tag" --file "$work/Dockerfile" "$@" "$context" >"$work/build.log" 2>&1 || {
		echo "container-smoke: cannot build $tag:" >&2
		tail -n 30 "$work/build.log" >&2
		return 1
	}
}

# debian_rootfs prints the path of a small Debian, made once.
debian_rootfs() {
	local tarball
	tarball=$cache/rootfs-bookworm-$(dpkg --print-architecture).tar
	if [[ ! -f $tarball ]]; then
		install_packages mmdebstrap:mmdebstrap >&2
		local sources=() each
		for each in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
			[[ ! -s $each ]] || sources+=("$each")
		done
		mmdebstrap --quiet --format=tar --variant=minbase --include=ca-certificates,procps,libstdc++6 \
			--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			bookworm "$tarball.partial" "${sources[@]}" >&2
		mv "$tarball.partial" "$tarball"
	fi
	echo "$tarball"
}

# import_base ROOTFS NODE ENTRY: one image of Debian, Node and openclaw.
import_base() {
	local rootfs=$1 node=$2 entry=$3 tarball=$work/base.tar
	cp "$rootfs" "$tarball"
	mkdir -p "$work/add/usr/local/bin"
	ln -s /app/node_modules/openclaw/openclaw.mjs "$work/add/usr/local/bin/openclaw"
	# File by file: "docker import" refuses a directory that is listed twice.
	tar -C "$work/add" --owner=0 --group=0 -rf "$tarball" ./usr/local/bin/openclaw
	tar -C "${node%/*}" --owner=0 --group=0 --transform 's,^,./usr/local/bin/,' -rf "$tarball" node
	tar -C "${entry%/node_modules/*}" --owner=0 --group=0 --transform 's,^,./app/,S' -rf "$tarball" node_modules
	"$docker" import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		"$tarball" "$base" >/dev/null
	rm "$tarball"
}
