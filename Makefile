# make quickstart   a test set by the shipped generators, named by the shipped network, in a minute
# make scratch      the same study, everything trained on the embedded photographs
# make test         the tests
# make lint         ruff and mypy          make format   rewrites the files as ruff wants them
# Each makes .venv and installs what it needs first. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VARIANT ?=
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart scratch test lint format constraints

quickstart: $(VENV)/.base
	$(VENV)/bin/python -m ganfp_jax.main --config=configs/quickstart.py$(VARIANT)

scratch: $(VENV)/.base
	$(VENV)/bin/python -m ganfp_jax.main --config=configs/quickstart.py:scratch

test: $(VENV)/.test
	$(VENV)/bin/python -m pytest --numprocesses=auto --maxprocesses=4

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Resolves anew for all supported Pythons and platforms (needs uv).
constraints:
	uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
	  --extra test --extra dev --extra cuda --extra tpu \
	  --no-emit-index-url --no-annotate --no-header --output-file constraints.txt

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) --editable '.[test,dev]'
	@touch $@
