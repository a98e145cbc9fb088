# Two commands for a fresh machine with Python 3.10 or newer:
#   make train   trains the default LSTM (ARGS="--model gru --epochs 3" for other options)
#   make test    runs the whole test suite: the quick part, then the wide grids
#
# For those who change npseq:
#   make quick     the quick part alone
#   make check     ruff: rules and layout; mypy: types
#   make minimal   the quick part with only the packages that npseq cannot do without
#   make packages  builds wheel and sdist, installs each in a fresh environment and trains there
#   make sdist     the quick part of the unpacked sdist, with the packages of make minimal
#   make page      the interactive page, into docs/_build/html
#   make matrix    the quick part on each Python from 3.10 to 3.13 that this machine has (VERSIONS="3.12 3.13")
#   make docs      builds the documentation, with warnings as errors
#   make fuzz      grids and fuzzers with all their trials (an hour or two); NPSEQ_FUZZ says how many times the usual ones,
#                  NPSEQ_FUZZ_SEED which trials

PYTHON ?= python3
ARGS ?= --model lstm --epochs 10
WORKERS ?= 2
SHARED = -n $(WORKERS) --dist worksteal
VERSIONS ?=
# Compiled tests are kept: half of the time before the first one is their compilation.
unexport PYTHONDONTWRITEBYTECODE
# Two processes share the cores; BLAS threads besides would stall each other at every small product.
ONE_THREAD = OMP_NUM_THREADS=1
NPSEQ_FUZZ ?= 20
NPSEQ_FUZZ_SEED ?= $(shell date +%s)

.PHONY: train test quick check minimal distributions packages sdist matrix fuzz page docs clean

train: .venv/.installed
	.venv/bin/python npseq/train.py $(ARGS)

test: .venv/.tested
	@echo 'The quick part takes about 1 minute on two cores, the wide part about 7.'
	$(ONE_THREAD) .venv/bin/python -m pytest $(SHARED)
	$(ONE_THREAD) .venv/bin/python -m pytest $(SHARED) -m wide

quick: .venv/.tested
	$(ONE_THREAD) .venv/bin/python -m pytest $(SHARED)

check: .venv/.tested
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

# The quick part with nothing but numpy, scipy, torch and pytest (xdist lets two of it run at once).
minimal: .venv-minimal/.installed
	$(ONE_THREAD) .venv-minimal/bin/python -m pytest $(SHARED)

# The wheel and the sdist in build/dist, the sdist unpacked in build/sdist.
distributions: .venv/.tested
	rm -rf build/dist build/sdist
	.venv/bin/python -m build --outdir build/dist . > /dev/null
	mkdir -p build/sdist
	tar -xzf build/dist/*.tar.gz -C build/sdist --strip-components 1

packages: distributions
	.ci/packages .venv/bin/python

sdist: distributions .venv-minimal/.installed
	cd build/sdist && $(ONE_THREAD) ../../.venv-minimal/bin/python -m pytest $(SHARED)

matrix:
	.ci/matrix $(VERSIONS)

fuzz: .venv/.tested
	@echo 'NPSEQ_FUZZ_SEED=$(NPSEQ_FUZZ_SEED)'
	NPSEQ_FUZZ=$(NPSEQ_FUZZ) NPSEQ_FUZZ_SEED=$(NPSEQ_FUZZ_SEED) $(ONE_THREAD) .venv/bin/python -m pytest $(SHARED) -m "wide or not wide" tests/faults \
		tests/formats tests/data tests/nn tests/gradcheck

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
	.venv-minimal/bin/python -m pip install --quiet numpy scipy pytest pytest-xdist torch==2.13.0
	touch $@

# The documentation, with warnings as errors, into docs/_build/html.
docs: .venv-docs/.installed page
	.venv-docs/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

.venv-docs/.installed: setup.cfg
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --editable '.[docs]'
	touch $@

# The interactive page, where `make docs` puts the documentation.
page: .venv/.installed
	mkdir -p docs/_build/html
	.venv/bin/npseq explain --html docs/_build/html/explain.html

clean:
	rm -rf .venv .venv-docs docs/_build .venv-minimal .venv-3.* build *.egg-info .pytest_cache .hypothesis
