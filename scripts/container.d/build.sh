# shellcheck shell=bash
# Scenario: the program's own image, compiled from the sources.
# shellcheck disable=SC2154

from_source() {
	local toolchain=bootstrap-smoke/go built=bootstrap-smoke/from-source listed
	go_image "$toolchain"
	# BuildKit, as the file wants it: not every client has it.
	if ! DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile --tag "$built" \
		--build-arg "GO_IMAGE=$toolchain" --build-arg RELEASE=smoke .; then
		"$docker" rmi "$toolchain" || true
		fail "docker build: $(grep -i error "$work/log" | tail -n 1)"
	fi
	[[ $(once "$built" version) == *smoke* ]] || fail "it does not say its release"
	"$docker" create --name "$run-export" --label "$label" "$built"
	listed=$("$docker" export "$run-export" | tar -t | grep -v '/$' | grep -vE '^(\.dockerenv|etc/(hosts|hostname|resolv\.conf|mtab)|dev/console)$' | tr '\n' ' ')
	[[ $listed == 'bootstrap etc/ssl/certs/ca-certificates.crt ' ]] || fail "the image contains $listed"
	evidence "FROM scratch: the program, the CA roots, nothing else ($("$docker" image inspect --format '{{.Size}}' "$built") bytes)"
	"$docker" rmi --force "$built" "$toolchain"
}

# go_image TAG: the Go of this machine, with the modules that go.mod names, in
# place of golang:1.26.
go_image() {
	local context=$work/go modules
	modules=$(go env GOMODCACHE)
	mkdir -p "$context/go"
	tar -C "$(go env GOROOT)" --exclude=./test --exclude=./doc --exclude=./api --exclude=testdata \
		--exclude='*_test.go' -c . | tar -C "$context/go" -x
	# Those too that no package of ours needs, and no build has fetched.
	go mod download
	GOMODCACHE=$context/modules GOFLAGS=-modcacherw GOSUMDB=off \
		GOPROXY=file://$modules/cache/download go mod download
	quiet_build "$1" "$context" --build-arg "FROM=$base" <<-'FILE'
		ARG FROM
		FROM $FROM
		COPY go /usr/local/go
		COPY modules/cache/download /modules
		ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			GOPROXY=file:///modules GOSUMDB=off GOTOOLCHAIN=local
	FILE
	rm -rf "$context"
}
