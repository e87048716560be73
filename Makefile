# Two commands for a newcomer: `make demo` and `make test`. Each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SITE ?= var/demo/site.yaml
PORT ?= 3000

.PHONY: demo test ui bench mutate chaos audit lint lock clean

demo: $(VENV)/.runtime
	$(BIN)/energy-assets demo

test: $(VENV)/.dev lint
	./tools/test_servers.sh
	$(BIN)/pytest -q energy_assets_tests/browser
	$(BIN)/pytest -q -n 2 --dist loadfile energy_assets_tests --ignore energy_assets_tests/browser

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

ui: $(VENV)/.runtime
	$(BIN)/energy-assets ui --site $(SITE) --port $(PORT)

# 200 faults by default; CHAOS_FAULTS=1000 CHAOS_SEED=2 for another and longer campaign.
chaos: $(VENV)/.dev
	$(BIN)/python -m energy_assets_tests.chaos

# Advisories about the locked packages; says so where their data cannot be had.
audit: $(UV)
	$(BIN)/python tools/audit.py $(UV) requirements.lock requirements-build.lock

bench: $(VENV)/.dev
	$(BIN)/python -m energy_assets_tests.bench

mutate: $(VENV)/.dev
	$(BIN)/python -m energy_assets_tests.mutation

# requirements-build.lock holds what builds and installs: setuptools as pyproject.toml pins it, and uv itself.
lock: $(UV)
	printf 'setuptools==84.2.1\nuv==0.13.9\n' | $(UV) pip compile -q - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-build.lock
	$(UV) pip compile -q pyproject.toml --extra aws --extra reports --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock
	$(UV) pip compile -q pyproject.toml --all-extras -c requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

clean:
	rm -rf $(VENV) var

$(UV): | requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "energy_assets needs Python 3.11 or newer; set PYTHON=python3.11")'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-build.lock

$(VENV)/.runtime: requirements.lock requirements-build.lock pyproject.toml | $(UV)
	@echo "Installing what it runs with into $(VENV), once: about a minute, most of it downloads and compiling …"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements-build.lock
	@$(UV) pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements-build.lock pyproject.toml | $(UV)
	@echo "Installing what its tests need into $(VENV), once: about a minute, most of it downloads and compiling …"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements-build.lock
	@$(UV) pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime
