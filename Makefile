# Everything here needs only make and Python >= 3.11: .venv is made from requirements-dev.lock on first use.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT := out

# The first of these that runs, is new enough and can make environments. PYTHON=/path/to/python overrules.
CANDIDATES := python3.13 python3.12 python3.11 python3 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

# Python keeps what it compiles, whatever the surroundings say: each process of the tests would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check compiled coverage slow lint bench published records docs dist lock clean

help:
	@echo "make demo    reconfigure the 33-bus grid; leaves $(OUT)/report.html and $(OUT)/result.json"
	@echo "make test    style, types and all tests"
	@echo "make check   the same without the slow tests"
	@echo "make coverage  which lines the tests reach"
	@echo "make slow    measure anew which tests are slow, into tests/slow.txt; takes 20 minutes of processor time"
	@echo "make bench   speed against other solvers, on this machine; GRIDS='a.m b.pos' adds files to the searched grids"
	@echo "make published  tables and figures of the publications, in $(OUT)/published and in the docs"
	@echo "make records best known losses of published grids, into docs/records.md; DATA=folder has files that are not shipped"
	@echo "make docs    the site, in $(OUT)/docs"
	@echo "make dist    the files for a package index, in $(OUT)/dist, once pyproject.toml names the repository"
	@echo "make lock    resolve requirements-dev.lock anew from pyproject.toml"
	@echo "make clean   remove $(OUT), .venv and caches"

$(READY): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
		echo "No Python >= 3.11 with the modules venv and ensurepip was found (tried: $(CANDIDATES))." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test ! -L $(VENV) || { echo "$(VENV) is a link; where it leads would be emptied. Remove the link." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON); the first time this takes a few minutes"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/openpoint reconfigure baran33 --report $(OUT)/report.html --json $(OUT)/result.json

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Kernels are compiled once here: the processes of pytest would each do it.
compiled: $(READY)
	@$(BIN)/openpoint warmup --quiet

check: lint compiled
	@$(BIN)/pytest -n auto -m "not slow"

test: lint compiled
	@$(BIN)/pytest -n auto

coverage: $(READY)
	@rm -rf $(OUT)/coverage
	@$(BIN)/coverage run -m pytest -n auto -k "not at_once"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

slow: $(READY)
	@$(BIN)/python -m pytest -n 0 -p tests.processor_time

bench: $(READY)
	@$(BIN)/python -m benchmarks --json $(OUT)/bench.json
	@$(BIN)/python -m benchmarks.mechanisms --files $(GRIDS)
	@$(BIN)/python -m benchmarks.search --files $(GRIDS) --json $(OUT)/search.json --figure $(OUT)/search.png
	@$(BIN)/python -m benchmarks.partition --json $(OUT)/partition.json --figure $(OUT)/partition.png
	@$(BIN)/python -m benchmarks.partition_samples --json $(OUT)/partition_samples.json
	@$(BIN)/python -m benchmarks.dispatch --json $(OUT)/dispatch.json
	@$(BIN)/python -m benchmarks.phases
	@$(BIN)/python -m benchmarks.dispatch_phases
	@$(BIN)/python -m benchmarks.day_speed
	@$(BIN)/python -m benchmarks.secure
	@$(BIN)/python -m benchmarks.secure mv_oberrhein --switchings 1 --isolate-lines --limit 60
	@$(BIN)/python -m benchmarks.secure --restorable today --isolate-lines
	@$(BIN)/python -m benchmarks.year

published: $(READY)
	@$(BIN)/python -m benchmarks.publications --out $(OUT)/published
	@$(BIN)/python -m benchmarks.published_day --json docs/published_day.json --markdown docs/results.md
	@$(BIN)/python -m benchmarks.published --json docs/harden.json --markdown docs/results.md --figure docs/images/ambiguity.png

records: $(READY)
	@$(BIN)/python -m benchmarks.records $(if $(DATA),--data "$(DATA)")

docs: $(READY)
	@$(BIN)/python docs/generate.py
	@$(BIN)/zensical build --strict
	@rm -f $(OUT)/docs/*.py

dist: $(READY)
	@$(BIN)/python hatch_build.py
	@rm -rf $(OUT)/dist
	@$(BIN)/python -m hatchling build --directory $(OUT)/dist

lock:
	@"$(PYTHON)" -m venv --clear $(OUT)/lock
	@$(OUT)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(OUT)/lock/bin/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 --all-extras --group dev \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file requirements-dev.lock pyproject.toml
	@rm -rf $(OUT)/lock

clean:
	@rm -rf $(VENV) $(OUT) dist build .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
