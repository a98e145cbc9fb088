# Two commands for a fresh machine with Python 3.10 or newer:
#   make train   trains the default LSTM (ARGS="--model gru --epochs 3" for other options)
#   make test    runs the whole test suite: the quick part, then the wide grids

PYTHON ?= python3
ARGS ?= --model lstm --epochs 10

.PHONY: train test quick minimal page clean

train: .venv/.installed
	.venv/bin/python npseq/train.py $(ARGS)

test: .venv/.tested
	.venv/bin/python -m pytest
	.venv/bin/python -m pytest -m wide

quick: .venv/.tested
	.venv/bin/python -m pytest

# The default suite with nothing but numpy, scipy, pytest and torch. Without threadpoolctl BLAS has to be told from outside
# to use one thread, or small products stall when another process keeps a core busy.
minimal: .venv-minimal/.installed
	OMP_NUM_THREADS=1 .venv-minimal/bin/python -m pytest

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python setup.cfg pyproject.toml
	.venv/bin/python -m pip install --quiet --editable .
	touch $@

.venv/.tested: .venv/bin/python setup.cfg pyproject.toml
	.venv/bin/python -m pip install --quiet --editable '.[test]'
	touch $@ .venv/.installed

.venv-minimal/.installed: setup.cfg
	$(PYTHON) -m venv .venv-minimal
	.venv-minimal/bin/python -m pip install --quiet numpy scipy pytest torch==2.13.0
	touch $@

# The interactive page, where `make docs` puts the documentation.
page: .venv/.installed
	mkdir -p docs/_build/html
	.venv/bin/npseq explain --html docs/_build/html/explain.html

clean:
	rm -rf .venv .venv-minimal build *.egg-info .pytest_cache .hypothesis
