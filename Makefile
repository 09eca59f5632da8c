# Short targets; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two commands: `export A=$(false)` would succeed.
PLANE = assets="$$(tests/control-plane/build)"; export KUBEBUILDER_ASSETS="$$assets" NO_PROXY=127.0.0.1,localhost
PYTHON = env="$$(tests/promptflow/build)"; export PROMPTFLOW_ENV="$$env"

.PHONY: help demo demo-promptflow test lint crds check knobs explore bench build doctor clean-cache

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a bad prompt is released, fails its canary and is rolled back (KEEP=1 leaves it running)
	@tests/prerequisites rust cc plane
	@$(PLANE); echo "building operator, simulator and demo (the first time some minutes)" >&2
	@$(PLANE); cargo build --quiet --features sim --bins && exec target/debug/promptrelease-sim demo $(if $(KEEP),--keep)

demo-promptflow: doctor ## the same story with the real Prompt flow: it evaluates, serves and judges (about 5 min; needs Python 3.11 or 3.12)
	@$(PLANE); $(PYTHON); echo "building operator, simulator and demo (the first time some minutes)" >&2
	@$(PLANE); $(PYTHON); cargo build --quiet --features sim --bins && exec target/debug/promptrelease-sim demo --promptflow "$$PROMPTFLOW_ENV" $(if $(KEEP),--keep)

test: doctor ## every test, the stories on a real API server among them
	@$(PLANE); $(PYTHON); echo "building and running the tests against $$KUBEBUILDER_ASSETS" >&2; cargo test --all-features --no-fail-fast

lint: ## formatting and clippy, warnings are errors
	@cargo fmt --check
	@cargo clippy --all-features --all-targets -- -D warnings

crds: ## write crds/, deploy/, docs/api.md, docs/troubleshooting.md and the samples' digests anew
	@cargo run --quiet --bin crdgen -- all

check: ## fail if a generated file is not what `make crds` writes
	@cargo run --quiet --bin crdgen -- check

knobs: doctor ## every story with each of the simulator's knobs the other way (some hours; KNOBS=a,b: with these)
	@$(PLANE); KNOBS="$${KNOBS:-all}" cargo test --all-features --test it -- stories::knobs --nocapture

explore: ## the traffic protocol, every interleaving as far as memory goes (EXPLORE_STATES=n: so many states)
	@cargo test --release --test explore -- --include-ignored --nocapture --test-threads 1

bench: ## the figures of docs/benchmarks.md
	@tests/prerequisites rust cc plane
	@$(PLANE); cargo test --release --features sim --test it -- bench --ignored --nocapture --test-threads 1

build: ## the operator as it is shipped, and the command of people and continuous integration
	@cargo build --release --bin promptrelease-operator --bin promptrelease

doctor: ## check what must be installed
	@tests/prerequisites

clean-cache: ## remove the cached control plane and Prompt flow (about 720 MB)
	@rm -rf "$${PROMPTRELEASE_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/promptrelease}"/{control-plane,promptflow}
