# Every verb creates and reuses .venv by itself; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
FLOOR := .venv-floor
GPU_STACK := .venv-gpu-stack
# The oldest Python as well, where it is installed.
FLOOR_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python /usr/bin/python3.10) $(PYTHON))
DATA ?=
SEEDS ?= 1
# One worker process per core, at most eight, with one thread each.
PYTEST := pytest -q -p summary --numprocesses auto --maxprocesses 8 --dist worksteal
# Waiting threads sleep instead of spinning, which would slow down the others on shared cores.
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-site test-floor test-gpu-stack fuzz mutants lint docs bench record wheel clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "resizenet needs Python 3.10 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(VENV)/installed  ## create .venv with all development extras

# The demo needs less than the tests; where everything is installed, this adds nothing.
$(VENV)/installed-demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

demo: $(VENV)/installed-demo  ## what resizing does to a ResNet, on digits or with DATA=cifar10.npz
	$(BIN)/python examples/demo.py $(if $(DATA),--data $(DATA))

test test-slow test-floor test-gpu-stack fuzz mutants: export OMP_NUM_THREADS ?= 1

test: install  ## the tests, without the slow ones
	$(BIN)/python -m $(PYTEST)

test-slow: install  ## the slow tests; the accuracy of shipped weights too, with CIFAR10=cifar10.npz in the environment
	$(BIN)/python -m $(PYTEST) -m slow

fuzz: install  ## the fuzz tests with at least 200,000 cases, or FUZZ_CASES=N; `make test` has 5,000
	FUZZ_CASES=$${FUZZ_CASES:-200000} $(BIN)/python -m $(PYTEST) --summary fuzz tests/fuzz

mutants: install  ## how many seeded faults the tests of five modules find, in a sample of 40 each
	@for module in _sizes functional resizers transforms surgery; do \
		$(BIN)/python -m benchmarks.trust $$module --minutes 60 || failed=1; \
	done; exit $${failed:-0}

test-site: docs  ## the built docs, links and search, in Chromium with its chromedriver
	$(BIN)/python -m pytest -q -m site

# Every run-time dependency of pyproject.toml at the lowest version it allows; the rest as new as fits beside them.
$(FLOOR)/installed: pyproject.toml $(VENV)/installed
	$(FLOOR_PYTHON) -m venv $(FLOOR)
	$(FLOOR)/$(notdir $(BIN))/python -m pip install --quiet --upgrade pip
	$(FLOOR)/$(notdir $(BIN))/python -m pip install --quiet --editable '.[dev]' \
		$$($(BIN)/python -c 'from importlib.metadata import requires; print(*(r.replace(">=", "==") for r in requires("resizenet") if "extra" not in r))')
	@touch $@

test-floor: $(FLOOR)/installed  ## the tests, with the lowest supported torch and torchvision, in .venv-floor
	$(FLOOR)/$(notdir $(BIN))/python -m $(PYTEST) -p floor

# torch and triton as GPU machines have them; below numpy 2.3, because the interpreter of triton 3.6 needs that.
$(GPU_STACK)/installed: pyproject.toml
	$(PYTHON) -m venv $(GPU_STACK)
	$(GPU_STACK)/$(notdir $(BIN))/python -m pip install --quiet --upgrade pip
	$(GPU_STACK)/$(notdir $(BIN))/python -m pip install --quiet --editable '.[bench]' hypothesis pytest pytest-xdist \
		'torch==2.11.*' 'torchvision==0.26.*' 'triton==3.6.*' 'numpy<2.3'
	@touch $@

test-gpu-stack: $(GPU_STACK)/installed  ## the tests of the kernels, with torch 2.11 and triton 3.6, in .venv-gpu-stack
	$(GPU_STACK)/$(notdir $(BIN))/python -m $(PYTEST) tests/kernels tests/benchmarks/test_gpu.py

lint: install  ## format, style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

docs: install  ## the site, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: install  ## the quick benchmarks, on the CPU
	@for suite in resizer models transforms dialects report; do \
		$(BIN)/python -m benchmarks.throughput run $$suite --device cpu --quick || failed=1; \
	done; exit $${failed:-0}

record: install  ## train AirNet on CIFAR-10, on the CPU, with DATA=cifar10.npz and SEEDS=1
	$(BIN)/python -m benchmarks.accuracy run record --only '^airnet$$' --data '$(DATA)' --device cpu --seeds $(SEEDS) --out build
	$(BIN)/python -m benchmarks.accuracy table record --results build

wheel: install  ## sdist and wheel, in dist/
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python .ci/check_contents.py dist/*

clean:  ## everything that can be made again, .venv too
	rm -rf $(VENV) $(FLOOR) $(GPU_STACK) .venv-wheel dist build docs/_build docs/generated .pytest_cache .hypothesis .mypy_cache .ruff_cache demo.png
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
