# Everything that a developer does often. `make help` lists it.

GO      := scripts/go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Whole-machine tests come after the others, two packages at a time: they wait more than they
# work, and each has a rack of its own. They run the program as it is shipped, without cgo, and
# share what is compiled with it. go test does not see that they depend on it, and must not take
# their last results for those of now.
WHOLE    = CGO_ENABLED=0 -count=1 -timeout 15m -p 2
UNITS    = $(shell $(GO) list ./... | grep -v /integration)
SYSTEM   = $(shell $(GO) list ./... | grep /integration)
# How long `make fuzz` tries each target.
T ?= 30s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/spearhead, one static binary
	@scripts/setup build
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/spearhead ./cmd/spearhead

.PHONY: builder
builder: ## build bin/spearhead-buildkitd, with which nodes carry docker build out (some minutes the first time)
	@scripts/setup build
	@scripts/buildkit

.PHONY: deb
deb: build ## build a Debian package of what is in bin (make builder first, to have builds in it)
	@scripts/deb

.PHONY: dev
dev: ## install what is missing, build, start a data center on this machine (needs root)
	@scripts/setup dev
	@$(MAKE) --no-print-directory build
	bin/spearhead dev up
	@scripts/next-steps

.PHONY: test
test: ## all tests that this machine can run, with a closing count (needs root for all of them)
	@scripts/setup test
	@$(GO) run ./internal/cmd/gotest -race -timeout 15m $(UNITS) -- $(WHOLE) $(SYSTEM)

.PHONY: root-test
root-test: ## the tests of the packages that touch the kernel (needs root)
	@scripts/setup test
	@$(GO) run ./internal/cmd/gotest -race -timeout 15m ./agent/... ./image/... ./network/... ./rack/... ./runtime/... ./zfs/...

.PHONY: integration
integration: ## the tests of a whole data center with the docker client (needs root)
	@scripts/setup test
	@$(GO) run ./internal/cmd/gotest $(WHOLE) ./integration/...

.PHONY: clients
clients: ## install every client that people use (some minutes the first time) and test with each
	@scripts/setup clients
	@$(GO) run ./internal/cmd/gotest -timeout 15m ./integration/clients

.PHONY: metal
metal: ## test on Debian machines with systemd, cgroup v2 and OpenZFS under QEMU (needs root; many minutes the first time)
	@scripts/setup metal
	@SPEARHEAD_METAL=1 $(GO) run ./internal/cmd/gotest -timeout 120m ./integration/metal/...

.PHONY: bench
bench: ## benchmarks; docs/benchmarks.md says how to read them
	@scripts/setup test
	$(GO) test -run '^$$' -bench . -benchmem $(UNITS) $(SYSTEM)

.PHONY: lint
lint: ## formatting, vet and staticcheck
	@scripts/lint

.PHONY: fuzz
fuzz: ## run each fuzz target for T (make fuzz T=5m)
	@scripts/fuzz $(T)

.PHONY: clean
clean: ## remove what was built; a rack is removed by: bin/spearhead dev down
	rm -rf bin
