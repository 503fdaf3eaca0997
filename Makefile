PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# The whole study on rendered tissue, sized for a few minutes on two cores.
DEMO_OUT ?= runs/demo
DEMO ?= --n-patients 16 --images-per-cell 6 --image-size 48 --folds 2 --epochs 12 --gan-epochs 10 --gan-width 16

.PHONY: demo test coverage lint docs clean

demo: $(INSTALLED)
	$(BIN)/magdg run --synthetic --out $(DEMO_OUT) --fresh $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest

coverage: $(INSTALLED)
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

$(INSTALLED): pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11, 4) else 'Python 3.11.4 or newer is needed: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test,docs]"
	touch $@

clean:
	rm -rf $(VENV) runs/demo docs/_build docs/auto_examples docs/generated
