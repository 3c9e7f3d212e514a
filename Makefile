# Everything a person or CI does here. Real parts (etcd, kube-apiserver, a predictor, …) are built once
# into ~/.cache/tenbin; build/control-plane is a link there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
STEP := integration/step.sh
FUZZ := actors/model/fuzz
TOOLS := build/tools
FUZZ_SECONDS ?= 60
IMAGE ?= tenbin:0.1.0
MANIFESTS := $(patsubst %,container/manifests/%.yaml,namespace crds rbac config deployment service)

.PHONY: help demo demo-down test lint fmt bench bench-crates fuzz soak control-plane manifests image \
  build-installer clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a fleet of three real clusters with tenbin before it; stays up (ONCE=1: ends at once)
	@integration/demo.sh

demo-down: ## ends what `make demo` left running
	@cargo run -q -p tenbin-integration --bin tenbin-fleet -- down

test: ## what a change needs: every test, against real control planes
	@rm -f build/steps
	@trap '$(STEP) --sum' EXIT; \
	$(STEP) "control plane" integration/control-plane/build.sh; \
	$(STEP) "predictor" integration/predictor/build.sh; \
	$(STEP) "cargo build -p tenbin" cargo build -p tenbin; \
	$(STEP) "build the tests" cargo test --workspace --no-run; \
	$(STEP) "tests of the crates" cargo test --workspace --exclude tenbin-integration --no-fail-fast; \
	$(STEP) "tests of real processes" integration/test.sh

lint: ## formatting and lints, warnings are errors; cargo-deny when it is installed
	@rm -f build/steps
	@trap '$(STEP) --sum' EXIT; export PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH"; \
	$(STEP) "cargo fmt --check" cargo fmt --all --check; \
	$(STEP) "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings; \
	if command -v systemd-analyze >/dev/null; \
	then $(STEP) "systemd-analyze verify" systemd/verify.sh; \
	else echo "skipped systemd/verify.sh: no systemd-analyze here"; fi; \
	$(STEP) "crds.yaml is that of the types" \
	  diff container/manifests/crds.yaml <(cargo run -q -p tenbin -- crds); \
	if cargo deny --version >/dev/null 2>&1; \
	then $(STEP) "cargo deny" cargo deny check bans licenses sources; \
	else echo "skipped cargo deny: make $(TOOLS)/bin/cargo-deny installs it (minutes, once)"; fi

fmt: ## formats the code
	@cargo fmt --all

bench: $(TOOLS)/nginx ## tenbin beside nginx and no proxy; appends to docs/performance.md (3 minutes)
	@integration/control-plane/build.sh >/dev/null
	@cargo build --release -p tenbin
	@cargo build --release -p tenbin-integration --bin tenbin-load
	@target/release/tenbin-load

# Unpacked, not installed: root is not needed, and no service is started.
$(TOOLS)/nginx:
	@mkdir -p $@.part
	@cd $@.part && apt-get download --quiet nginx && dpkg -x nginx_*.deb . && rm nginx_*.deb
	@mv $@.part $@

bench-crates: ## the benchmarks of the crates that have some
	@found=$$(find actors -path '*/benches/*.rs' | cut -d/ -f2 | sort -u); \
	if [ -z "$$found" ]; then echo "no crate has benchmarks"; fi; \
	for crate in $$found; do cargo bench -p "tenbin-$$crate"; done

fuzz: $(TOOLS)/bin/cargo-fuzz ## each fuzz target of the model for FUZZ_SECONDS (60), with nightly Rust
	@rm -f build/steps
	@trap '$(STEP) --sum' EXIT; export PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH"; \
	for target in $$(cargo +nightly fuzz list --fuzz-dir $(FUZZ)); do \
	  mkdir -p $(FUZZ)/corpus/$$target; \
	  $(STEP) "fuzz $$target" cargo +nightly fuzz run --fuzz-dir $(FUZZ) $$target \
	    $(FUZZ)/corpus/$$target $(FUZZ)/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=5 -print_final_stats=1; done

# Built with one job and little priority, so that whoever works here meanwhile does not notice.
$(TOOLS)/bin/cargo-%:
	@env -u CARGO_TARGET_DIR CARGO_BUILD_JOBS=1 nice -n 19 \
	  cargo install --quiet --locked --root $(TOOLS) cargo-$*

soak: ## the long tests (marked ignored), optimised, one after the other; then 10 minutes of load
	@integration/control-plane/build.sh >/dev/null
	@integration/predictor/build.sh >/dev/null
	@cargo build --release -p tenbin
	@cargo test --release -p tenbin-integration -- --ignored --test-threads=1
	@cargo build --release -p tenbin-integration --bin tenbin-load
	@target/release/tenbin-load soak

control-plane: ## builds the real parts (about 7 minutes once on 2 cores, then nothing)
	@integration/control-plane/build.sh
	@integration/predictor/build.sh

manifests: ## writes container/manifests/crds.yaml from the Rust types
	@mkdir -p build
	@cargo run -q -p tenbin -- crds >build/crds.yaml
	@mv build/crds.yaml container/manifests/crds.yaml

image: ## builds the container image IMAGE (tenbin:0.1.0) with docker
	@docker build -f container/Containerfile -t $(IMAGE) .

build-installer: ## joins the manifests, with the image IMAGE, into dist/install.yaml
	@mkdir -p dist
	@awk 'FNR == 1 && NR > 1 { print "---" } { print }' $(MANIFESTS) \
	  | sed 's|image: tenbin$$|image: $(IMAGE)|' >dist/install.yaml
	@echo dist/install.yaml

clean: ## removes build/, dist/ and target/; the cache in ~/.cache/tenbin stays
	@if [ -x target/debug/tenbin-fleet ]; then target/debug/tenbin-fleet down; fi
	@rm -rf build dist
	@cargo clean
