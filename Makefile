# One command each for what a developer does; the work is in scripts/.

.DEFAULT_GOAL := help
.PHONY: help check test bench fuzz build demo

# Say what there is.
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## Formatting, vet, go fix, staticcheck, known vulnerabilities, modules, rules of the repository
	@scripts/check.sh

test: ## All tests with the race detector; installs what is missing, starts its own PostgreSQL
	@scripts/test.sh

fuzz: ## Each fuzz target for FUZZTIME (default 20s)
	@scripts/fuzz.sh

bench: ## Speed of the API beside the floor of this machine
	go run ./cmd/holdfast bench api

build: ## The binary ./holdfast, without cgo
	CGO_ENABLED=0 go build -trimpath -o holdfast ./cmd/holdfast

demo: ## A throw-away account to try things on, until Ctrl-C
	go run ./cmd/holdfast demo
