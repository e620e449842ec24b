# Tagarela. `make demo` on a fresh machine sets everything up, then runs the whole road.
# Asked of the machine: Python 3.11 or newer, make, a C++ compiler (DeepSpeed builds one part).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)
TEST_WORKERS ?= 2
CASES ?= 200
HOSTILE_BYTES ?= 5000000

.DEFAULT_GOAL := help
.PHONY: help demo ui test lint types unit fuzz bench bench-corpus bench-train screenshot sample clean machine

help: ## Say what the targets are
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(VENV)/.runtime ## Set everything up, then run the whole road on the sample corpus
	@$(BIN)/tagarela demo

ui: $(VENV)/.runtime ## Open the page on http://127.0.0.1:3000
	@$(BIN)/tagarela ui

test: lint types unit ## Set everything up, then lint, types, import contracts, tests

lint: $(VENV)/.dev ## Lint, formatting and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## Type checker
	$(BIN)/mypy

unit: $(VENV)/.dev ## Tests
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

fuzz: $(VENV)/.dev ## Long fuzzing of readers and kernels, with bounds checked (CASES=200 a test)
	TAGARELA_FUZZ=$(CASES) NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/.tagarela/numba-checked \
	TAGARELA_HOSTILE_BYTES=$(HOSTILE_BYTES) $(BIN)/python -m pytest -n $(TEST_WORKERS) \
	tests/corpus/test_fuzz.py tests/corpus/test_hostile_documents.py

bench: $(VENV)/.dev ## Speed and quality against peers, side by side in one run
	@for file in benchmarks/[a-z]*.py; do name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

bench-corpus: $(VENV)/.dev ## Rows of docs/speed.md, measured again (10 minutes; needs TAGARELA_MIRROR)
	$(BIN)/python -m benchmarks.corpus

bench-train: $(VENV)/.dev ## Rows of docs/training-speed.md, measured again (6 minutes; more with a GPU)
	$(BIN)/python -m benchmarks.training

screenshot: $(VENV)/.dev ## Make the README's pictures again (needs Chromium, and `make demo` before)
	$(BIN)/python docs/screenshots.py

sample: $(VENV)/.runtime ## Build the sample corpus again from its prose
	$(BIN)/python -m tagarela_dagster.sample.build

clean: ## Remove what was built and made: .venv, .tagarela, caches
	rm -rf $(VENV) .tagarela .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

machine:
	@command -v $(PYTHON) >/dev/null || { echo "Tagarela needs Python 3.11 or newer, and '$(PYTHON)' is not on PATH: install it, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tagarela needs Python 3.11 or newer, this is $$($(PYTHON) --version): say make PYTHON=python3.11 (or newer)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "this Python has no venv module: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "Tagarela needs a C++ compiler (DeepSpeed builds its communication with it): install g++ or clang++ (Debian, Ubuntu: apt install g++)"; exit 1; }

# torch comes first, at the pinned version: an unpinned one brings gigabytes of another build.
$(VENV)/.runtime: pyproject.toml constraints.txt | machine
	@echo "Setting up $(VENV) (once; some minutes and 2.5 GB, most of it PyTorch)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch==$(shell sed -n 's/^torch==//p' constraints.txt)
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@$(PIP) -e '.[dev]'
	@touch $@
