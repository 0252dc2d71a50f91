# make quickstart   a test set by the shipped generators, named by the shipped network, in a minute
# make scratch      the same study, everything trained on the embedded photographs
# make test         the tests (those of the pages in a browser need a Chromium on the PATH)
# make demo         the web page, on this machine alone (make demo CHECKPOINT=RUN_FOLDER for a network of your own)
# make test-demo    the tests of the web page; those in a browser need a Chromium on the PATH
# make lint         ruff and mypy          make format   rewrites the files as ruff wants them
# Each makes .venv (demo: .venv-demo, with an older Pillow) and installs what it needs first. PYTHON=python3.12 chooses
# another interpreter.
PYTHON ?= python3
VARIANT ?=
CHECKPOINT ?= photos32
VENV := .venv
DEMO := .venv-demo
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO_PIP := $(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-demo.txt
RESOLVE := uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
  --no-emit-index-url --no-annotate --no-header

.PHONY: quickstart scratch test demo test-demo lint format constraints

quickstart: $(VENV)/.base
	$(VENV)/bin/python -m ganfp_jax.main --config=configs/quickstart.py$(VARIANT)

scratch: $(VENV)/.base
	$(VENV)/bin/python -m ganfp_jax.main --config=configs/quickstart.py:scratch

test: $(VENV)/.test
	$(VENV)/bin/python -m pytest --numprocesses=logical --maxprocesses=4

demo: $(DEMO)/.demo
	$(DEMO)/bin/python -m ganfp_jax.demo --checkpoint=$(CHECKPOINT)

test-demo: $(DEMO)/.test
	$(DEMO)/bin/python -m pytest tests/demo

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Resolves anew for all supported Pythons and platforms (needs uv). Gradio asks for an older Pillow.
constraints:
	$(RESOLVE) --extra test --extra restorers --extra browser --extra dev --extra cuda --extra tpu --output-file constraints.txt
	$(RESOLVE) --extra test --extra demo --extra browser --output-file constraints-demo.txt

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) --editable '.[test,restorers,browser]'
	@touch $@

# In one go, since pip takes its time each time.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test,restorers,browser,dev]'
	@touch $(VENV)/.base $(VENV)/.test $@

$(DEMO)/bin/python:
	$(PYTHON) -m venv $(DEMO)

$(DEMO)/.demo: pyproject.toml constraints-demo.txt | $(DEMO)/bin/python
	$(DEMO_PIP) --editable '.[demo]'
	@touch $@

$(DEMO)/.test: $(DEMO)/.demo
	$(DEMO_PIP) --editable '.[demo,test,browser]'
	@touch $@
