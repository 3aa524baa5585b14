# The main targets are `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests mostly wait for processes, so it pays to run more of them in parallel than there are processors.
TEST_PROCESSES ?= 4
# Distribute whole files, in the order of tests/marks.py: the slowest first.
TEST_ORDER := --dist loadfile --no-loadscope-reorder
# How many rounds `make drills` runs of the drills that `make test` runs once.
DRILL_ROUNDS ?= 20

.DEFAULT_GOAL := help
.PHONY: help run test test-postgres check lint types unit coverage drills schema lock wheel bench screenshots audit clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.installed ## Install missing requirements and run the stack in the foreground
	@exec $(BIN)/python manage.py run_stack

test: $(VENV)/.installed-dev lint types unit ## Run all checks and tests: lint, types, unit

check: $(VENV)/.installed-dev lint types ## Run the checks of about a minute: lint, types, tests that need no stack
	$(BIN)/python -m pytest -q -n 2 -m "not stack"

lint: $(VENV)/.installed-dev ## Check style, import rules, migrations and the tag of a release
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check
	$(BIN)/python .ci/release.py

types: $(VENV)/.installed-dev ## Check types with mypy
	$(BIN)/mypy

unit: $(VENV)/.installed-dev ## Run the unit and end-to-end tests; the latter start real stacks
	$(BIN)/python -m pytest --cache-clear -n $(TEST_PROCESSES) $(TEST_ORDER) || $(BIN)/python -m tests.again $$?

test-postgres: $(VENV)/.installed-dev ## Run the tests with PostgreSQL and Redis, which they start
	$(BIN)/python -m tests.servers -n $(TEST_PROCESSES) $(TEST_ORDER)

coverage: $(VENV)/.installed-dev ## Run the tests and list the modules below 90 % coverage in docs/coverage.md
	$(BIN)/python -m tests.measured -n $(TEST_PROCESSES) $(TEST_ORDER)

drills: $(VENV)/.installed-dev ## Run the drills for DRILL_ROUNDS=20 rounds (see docs/reliability.md)
	DRILL_ROUNDS=$(DRILL_ROUNDS) $(BIN)/python -m pytest tests/drills tests/test_watchdog.py tests/test_fuzz.py -s -rA

schema: $(VENV)/.installed-dev ## Write the OpenAPI document that the tests compare with
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

wheel: $(VENV)/.installed-dev ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

bench: $(VENV)/.installed-dev ## Measure this project beside its alternatives (BENCH=--write, see docs/benchmarks.md)
	$(BIN)/python -m tests.bench $(BENCH)

screenshots: $(VENV)/.installed-dev ## Take the pictures of the README from a scene on a stack of its own
	$(BIN)/python -m tests.screenshots

audit: $(VENV)/.installed-dev ## Check the pinned requirements for known vulnerabilities (asks pypi.org)
	$(BIN)/python .ci/audit.py

lock: ## Pin the requirements again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.txt

clean: ## Remove the virtual environment and caches (not the state folder)
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis

# An environment that was made elsewhere, or by another version of Python, is made again.
ifneq ($(filter-out help clean lock,$(MAKECMDGOALS)),)
ifneq ($(shell test ! -L $(BIN)/python -a ! -e $(BIN)/python || $(BIN)/python .ci/is_current.py 2>/dev/null || echo stale),)
.PHONY: $(VENV)/bin/python $(VENV)/.installed
endif
endif

$(VENV)/bin/python:
	@case "$$PWD" in *[[:space:]%\;\#\'\"\\,]*) echo "The project can't be in $$PWD: use a path without white space, quotes, backslashes, commas and % ; #"; exit 1;; esac
	@if [ -e $(VENV) ] || [ -L $(VENV) ]; then echo "The environment in $(VENV) was made elsewhere or by another Python: it is made again."; rm -rf $(VENV); fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=python3.x make ...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "The virtual environment can't be created: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing the requirements..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'import sys' 'sys.path.insert(0, "$(CURDIR)")' \
		'from daemonctl.cli import main' 'main(prog_name="daemonctl")' > $(BIN)/daemonctl
	@chmod +x $(BIN)/daemonctl
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the requirements for development..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
