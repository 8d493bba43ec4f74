# `make quickstart` and `make test` are all a fresh machine needs: git, make and python3 with venv.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: quickstart test test-slow check clean

quickstart: .venv/installed
	$(BIN)/affina train recipes/quickstart.yaml

# Two processes of one thread each (training heeds it): most tests compute too little for threads.
test: .venv/installed
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 -m "not slow"

# Whole runs, kills and real models: two at a time, so that while one waits the other computes.
test-slow: .venv/installed .venv/llama
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 -m slow

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) tests/architecture -m "not slow"

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# llama.cpp comes as source alone: without a C++ compiler that can build it its tests are skipped.
.venv/llama: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[llama]' || echo "llama.cpp was not built: its tests are skipped"
	touch $@
