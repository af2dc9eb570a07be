# Headstart: `make run` and `make test` set up everything they need, once.

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Tests start Python often: what was compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check bench soak screenshot clean help

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

run: .venv/run.stamp ## Start Headstart on http://127.0.0.1:8000
	@$(BIN)/headstart serve

test: check ## Lint, types, import rules, and every test
	@echo "Running the tests"
	@$(BIN)/pytest

check: .venv/dev.stamp ## Lint, types and import rules alone
	@echo "Checking style (ruff), types (mypy) and the house's arrows (import-linter)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }

bench: .venv/bench.stamp ## Measure everything, in short form (about three minutes)
	@$(BIN)/python -m bench

soak: .venv/bench.stamp .venv/dev.stamp ## The long forms: crowds, signals, bots, odd requests (about half an hour)
	@failed=0; \
	$(BIN)/python -m bench --long || failed=1; \
	HEADSTART_TEST_EXAMPLES=500 $(BIN)/pytest tests/web/test_fuzzing.py -n 0 || failed=1; \
	HEADSTART_TEST_EXAMPLES=500 $(BIN)/pytest -m hypothesis || failed=1; \
	exit $$failed

screenshot: .venv/dev.stamp ## Make docs/page.png again, with a real browser
	@HEADSTART_SCREENSHOT=$(CURDIR)/docs/page.png $(BIN)/pytest tests/browser -k picture -n 0

clean: ## Remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache headstart.egg-info

.venv/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headstart needs Python 3.11 or later"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh -c '. ./.ci/venv.sh'
	@echo "Creating .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: .venv/pip.stamp requirements.txt pyproject.toml
	@echo "Installing what Headstart runs on"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt requirements-otel.txt
	@echo "Installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/bench.stamp: .venv/run.stamp requirements-bench.txt
	@echo "Installing what pictures of measurements need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@
