# make demo   set up and run the demonstration study      make test   set up and run the tests
# Without a GPU, TORCH_INDEX=... takes the CPU build of torch: see docs/getting-started.md.
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
MINUTES ?= 5
SEED ?= 0
COUNT ?= 100
AUDIT := $(VENV)-audit
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help demo test faults lint format docs fuzz mutants audit clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.ready ## set up, run the study equal_params (about 4 minutes on 2 cores) and draw its page
	$(BIN)/explorer equal_params

test: $(VENV)/.ready-dev ## set up and run the fast tests; with EXPLORER_REQUIRE_REAL=1 all of them, as .ci/run does
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST)

faults: $(VENV)/.ready-dev ## run the whole fault suite: hundreds of kills, thousands of runs; take an hour for it
	EXPLORER_FAULTS=full $(BIN)/python -m pytest -n auto --dist worksteal -m "not quiet" $(PYTEST) tests/faults
	EXPLORER_FAULTS=full $(BIN)/python -m pytest -m quiet $(PYTEST) tests/faults

lint: $(VENV)/.ready-dev ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.ready-dev ## put the code in the common style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.ready-docs ## make the site in build/docs from the pages in docs/; a warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -c docs . build/docs

fuzz: $(VENV)/.ready-dev ## change records, names and settings at random for MINUTES=5, by SEED=0
	$(BIN)/python -m tests.fuzz --seconds $$((60 * $(MINUTES))) --seed $(SEED)

mutants: $(VENV)/.ready-dev ## make COUNT=100 changes of meaning, drawn by SEED=0: the fast tests are to notice 9 of 10
	nice $(BIN)/python -m tests.mutants --count $(COUNT) --seed $(SEED)

audit: ## look the versions in constraints.txt up in the database of known vulnerabilities (needs the network)
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && \
		$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'; }
	@# --strict: a version that cannot be looked up is a failure. Of an error its last line says enough.
	@$(AUDIT)/bin/pip-audit --requirement constraints.txt --disable-pip --no-deps --strict --progress-spinner off \
		2>$(AUDIT)/log; code=$$?; tail -n 1 $(AUDIT)/log; exit $$code

clean: ## remove the environments and caches; studies and reports stay
	rm -rf $(VENV) $(AUDIT) build/docs .venv-3.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.ready-docs: $(VENV)/.ready
	$(INSTALL) --editable '.[docs]'
	@touch $@
