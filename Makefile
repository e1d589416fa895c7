# Every target brings up .venv by itself: once, from the lock file, and at no cost the next time.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

export DAGSTER_HOME ?= $(CURDIR)/dagster_home

.PHONY: demo test soak dev bench lint audit lock clean

demo: $(STAMP)
	$(BIN)/agri-assets demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not soak"

soak: $(STAMP)
	$(BIN)/python -m pytest -m soak

dev: $(STAMP)
	$(BIN)/dagster dev -w workspace.yaml

bench: $(STAMP)
	$(BIN)/python -m benchmarks.shards
	$(BIN)/python -m benchmarks.cube --quick
	$(BIN)/python -m benchmarks.scale --quick
	$(BIN)/python -m benchmarks.loader --quick
	$(BIN)/python -m benchmarks.memory --quick
	$(BIN)/python -m benchmarks.training --quick
	$(BIN)/python -m benchmarks.evaluation --quick
	$(BIN)/python -m benchmarks.land_map --quick
	$(BIN)/python -m benchmarks.automation --quick

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Known vulnerabilities of everything in the lock file, asked of PyPI; it fails where PyPI does not answer for a package.
audit: .venv/.uv
	$(BIN)/uv tool run pip-audit==2.10.1 -r requirements.lock --require-hashes --disable-pip --strict

# Resolve again after a change of dependencies: all supported Pythons, exact versions, hashes, no index addresses.
lock: .venv/.uv
	$(BIN)/uv pip compile pyproject.toml --extra platform --extra train --extra predict --extra dev --extra tensorflow \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade -q -o requirements.lock

clean:
	rm -rf .venv

.venv/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	@touch $@

$(STAMP): .venv/.uv requirements.lock pyproject.toml
	UV_HTTP_TIMEOUT=600 $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
