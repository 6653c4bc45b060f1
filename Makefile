# One vocabulary for people, hooks and CI. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
UV_VERSION := 0.13.8
UV := .tools/bin/uv
BIN := .venv/bin
# Processes of the tests; a file's tests stay together, because they share what was costly to make.
WORKERS ?= 2
# Tests run in a shuffled order, the same for everybody, so that what failed fails again. SEED=default draws another.
SEED ?= 1575847788

export UV_PROJECT_ENVIRONMENT := .venv
# Telemetry and progress bars of the libraries stay off, everywhere.
# Compiled modules are kept: every Airflow task is a process that imports anew.
export PYTHONDONTWRITEBYTECODE :=
# Threads that wait must not spin on a busy machine.
export OMP_WAIT_POLICY := PASSIVE
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

.PHONY: help setup demo test check up bench fmt clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 10

# uv gets an environment of its own, so that nothing has to be installed by hand.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv .tools || { echo "the venv module is missing: apt-get install python3.11-venv" >&2; exit 2; }
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.locked: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked --extra lab --python $(PYTHON)
	@touch $@

setup: .venv/.locked ## Build .venv with the millrace command in it

demo: ## Simulate companies and run every DAG on them, offline (about ten minutes)
	@start=$$(date +%s); $(MAKE) --no-print-directory setup; \
	  MILLRACE_DEMO_INSTALL_SECONDS=$$(( $$(date +%s) - start )) $(BIN)/millrace demo $(DEMO)

test: setup ## Run all tests
	@$(BIN)/python -m pytest --randomly-seed=$(SEED) --numprocesses $(WORKERS) --dist loadfile $(TESTS)

check: setup ## Lint, types, import direction, dbt parse, lock up to date
	@$(UV) lock --quiet --check
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet -p no:randomly tests/architecture
	@$(BIN)/millrace dbt parse --quiet

up: setup ## Run Airflow, MLflow, the Salesforce emulator and DynamoDB's twin on loopback
	@$(BIN)/millrace up

bench: setup ## Measure: make bench NAME=churn
	@$(BIN)/millrace bench $(or $(NAME),churn) $(BENCH) --json

fmt: setup ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

clean: ## Remove environments, caches and everything that runs wrote
	@rm -rf .venv .tools var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
