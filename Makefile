# Two commands for a newcomer: `make demo` and `make test`. Each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SITE ?= var/demo/site.yaml
PORT ?= 3000

.PHONY: demo test ui bench lint lock clean

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

bench: $(VENV)/.dev
	$(BIN)/python -m energy_assets_tests.bench

lock: $(UV)
	$(UV) pip compile -q pyproject.toml --extra aws --extra reports --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock
	$(UV) pip compile -q pyproject.toml --all-extras -c requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

clean:
	rm -rf $(VENV) var

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "energy_assets needs Python 3.11 or newer; set PYTHON=python3.11")'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.9

$(VENV)/.runtime: requirements.lock pyproject.toml | $(UV)
	@echo "Installing what it runs with into $(VENV), once: about a minute, most of it downloads and compiling …"
	@$(UV) pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(UV)
	@echo "Installing what its tests need into $(VENV), once: about a minute, most of it downloads and compiling …"
	@$(UV) pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@ $(VENV)/.runtime
