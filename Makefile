# "make help" lists the targets.

# What "bootstrap version" says. Without a tag the commit alone tells.
RELEASE  := $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo dev)
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
# The commit's time and not the build's: builds of one commit are equal.
TIME     := $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
MODIFIED := $(if $(COMMIT),$(if $(shell git --no-optional-locks status --porcelain --untracked-files=no),true,false))

export RELEASE COMMIT MODIFIED
export COMMIT_TIME := $(TIME)
# The image's label has the commit in full.
export REVISION := $(shell git rev-parse HEAD 2>/dev/null)

# The race detector alone needs a C compiler; the program never does.
CC_FOUND := $(shell command -v $$(go env CC))
RACE     := $(if $(CC_FOUND),-race)

FUZZTIME ?= 60s

.DEFAULT_GOAL := help
.PHONY: help build test test-short faults attack browser fuzz lint vuln docs bench demo smoke matrix releases-check cover release packages packages-check emulated reproducible licenses transcripts picture clean preflight

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the static program bin/bootstrap
	@scripts/build bin/bootstrap

test: preflight ## Run everything: vet, unit tests, tests on real gateways
	go vet ./...
	@# gotestsum names every skipped test, with its reason, at the end. The longest first:
	@# those on real gateways mostly wait.
	"$$(scripts/tools gotestsum)" --format pkgname --packages './internal/gatewaytest ./...' -- $(RACE) -count=1 -timeout 60m

test-short: ## Run the tests that need no gateway
	go test -short ./...

faults: build ## Kill the program, or fail it, at each system call that changes a volume
	@scripts/faults || [ $$? -eq 75 ]

attack: build ## Attack the program as other users, gateways and strangers (root)
	BOOTSTRAP=bin/bootstrap scripts/attack

browser: build ## Open the Control UI of a real gateway in a real browser (root)
	scripts/browser

fuzz: ## Run every fuzz target for FUZZTIME (60s) each
	FUZZTIME=$(FUZZTIME) scripts/fuzz

lint: ## Check Go and shell code, and Dockerfiles
	scripts/lint

vuln: ## Scan for known vulnerabilities, where the network allows it
	@scripts/vuln || [ $$? -eq 75 ]

docs: ## Make docs/reference.md and the man page from the program
	go test ./internal/cli -run 'TestTheReference|TestTheManPage' -update

bench: build ## Measure size, start time and memory
	scripts/bench

demo: build ## Show the main job on a real gateway
	scripts/demo

smoke: ## Run real containers: Docker, Compose, Swarm (root on Debian, or a Docker engine)
	scripts/container-smoke

matrix: ## Run some releases through every way of seeding them, and print the table
	scripts/matrix

releases-check: ## Check that docs/releases.md has every stable release that npm has
	@scripts/check-releases || [ $$? -eq 75 ]

cover: ## Say how much of each package the tests reach, without and with real gateways
	@scripts/cover

release: ## Build dist/: programs, archives, bills of materials, checksums
	@scripts/release dist $(ARCHES)

packages: release ## Build dist/ and pack it: .deb, .rpm, .apk, npm, an OCI image
	@scripts/packages dist $(ARCHES)

packages-check: ## Install every package of dist/ and run what it installs (root, Debian)
	@scripts/check-packages dist

emulated: ## Run tests and programs of dist/ for arm64 and armv7, emulated (root, Debian)
	@scripts/emulated dist

reproducible: ## Build a release twice, elsewhere, and compare every byte
	@scripts/check-reproducible $(ARCHES)

licenses: ## Check that the dependencies' licences are fine
	@scripts/licenses check

transcripts: ## Try the first-use cases in bare containers, and write docs/transcripts.md anew
	@scripts/transcripts

picture: ## Draw docs/how-it-works.svg anew (needs graphviz)
	@scripts/picture

clean: ## Remove what was built (installed gateways stay in the cache)
	rm -rf bin dist

# What the tests of real gateways need, each named, and what goes without.
preflight:
	@missing=; \
	for program in git npm flock; do \
		command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	if [ "$$(id -u)" -eq 0 ]; then \
		command -v ip >/dev/null || missing="$$missing ip(iproute2)"; \
	else \
		echo "not root: tests that need a second network namespace are skipped"; \
	fi; \
	if [ -n "$$missing" ]; then \
		echo "make test: missing:$$missing" >&2; \
		exit 1; \
	fi
	@$(if $(RACE),:,echo "no C compiler: the tests run WITHOUT the race detector")
