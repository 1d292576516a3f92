# Every target stands on `setup`, which makes .venv from the hash lock and is a quick no-op once that is done.
# `make help` lists them. As root on Debian 12 or 13, only git, make and ca-certificates need to be there before.

VENV     ?= .venv
# Debian's own Python where it can make environments; asked only after `packages` had its turn.
PYTHON   ?= $(shell /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null && echo /usr/bin/python3 || echo python3)
JOBS     ?= $(shell nproc)
BIN      := $(VENV)/bin
READY    := $(VENV)/.ready
PYTEST   := $(BIN)/pytest -n $(JOBS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help packages setup lint format test test-deep mutate demo bench bench-publish docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages: ## Install the Debian packages that are missing (root on Debian; says what is missing elsewhere)
	@packaging/install-debian.sh

setup: packages $(READY) ## Make .venv with the command edgegitops in it

$(READY): requirements-dev.lock pyproject.toml | packages
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup ## Style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup ## Let ruff lay out the code
	$(BIN)/ruff format

test: setup ## All tests: real Podman, real Git (root)
	$(PYTEST)

test-deep: setup ## All tests with many more seeds and examples, coverage-guided fuzzing, and a real YAML language server (npm)
	@$(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-deep.lock \
	  || echo "no atheris for this Python: only Hypothesis fuzzes"
	EDGEGITOPS_DEEP=1 $(PYTEST)

mutate: setup ## Break core/rollout place by place and see that a test notices; FILES="count road" for less, QUICK=1
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutate.lock
	nice -n 19 $(BIN)/python -m tests.mutation.run $(if $(QUICK),--quick) $(FILES)

demo: setup ## The main job end to end on virtual nodes of this machine (root)
	$(BIN)/python -m edgegitops.cli.demo

bench: setup ## Benchmarks beside their peers (root); BENCH="--only poll" for less
	benchmarks/install-peers.sh
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-publish: setup ## The same on a quiet machine, written to benchmarks/results and docs/benchmarks.md
	benchmarks/install-peers.sh
	$(BIN)/python benchmarks/run.py --publish $(BENCH)

docs: setup ## Write the reference pages again from the schemas and --help
	$(BIN)/python docs/make_reference.py

PIP_COMPILE = pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

lock: ## Write the hash locks again (needs pip-tools on the PATH; run it with Python 3.11)
	$(PIP_COMPILE) --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(PIP_COMPILE) --extra deep --constraint requirements.lock --output-file requirements-deep.lock pyproject.toml
	$(PIP_COMPILE) --extra mutate --constraint requirements.lock --output-file requirements-mutate.lock pyproject.toml

clean: ## Remove what these targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutation
