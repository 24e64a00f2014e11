# Two commands matter: `make book` and `make test`. Each makes the environment it needs.
# Override on the command line: PYTHON=python3.12 (which Python), VENV=.venv (where it goes).

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK_VENV := _build/lock-venv
PYTEST := $(BIN)/python -m pytest

# The kernel of the environment runs the chapters, whatever kernels the user has installed.
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book test lab lock format clean lint types stripped unit notebooks equations browser
.PHONY: benchmarks benchmarks-gpu

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

book: $(STAMP)  ## build the book, warnings as errors
	$(BIN)/jupyter-book build book/ -n -W --keep-going
	@echo "Open $(CURDIR)/_build/html/index.html in a browser."

# The chapters run once: the notebooks step executes them and hands the outputs to the book.
test: lint types stripped unit notebooks equations book browser  ## every test there is

lab: $(STAMP)  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab book/

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/basedpyright --pythonpath $(BIN)/python

stripped: $(STAMP)
	$(BIN)/nbstripout --verify book/*.ipynb

unit: $(STAMP)
	$(PYTEST) tests -m "not browser" -n 2 --dist worksteal
	AVFKIT_TEST_X64=0 $(PYTEST) tests -m float32

notebooks: $(STAMP)
	$(PYTEST) --nbmake --nbmake-timeout=300 book/ -n 2 --maxschedchunk 1

equations: $(STAMP)
	$(BIN)/python -m avfkit_widgets.book equations book/
	$(BIN)/python -m avfkit_widgets.book exercises book/

browser: $(STAMP)
	$(PYTEST) tests/browser

format: $(STAMP)  ## rewrite the code and strip the notebooks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout book/*.ipynb

benchmarks: $(STAMP)  ## a short set of benchmarks on this machine, minutes
	$(BIN)/python benchmarks/run.py short

# Installs JAX's CUDA plugin where there is a GPU; CUDA=cuda13 takes another one.
CUDA ?= cuda12
benchmarks-gpu:  ## what needs a CUDA device
	@nvidia-smi --list-gpus >/dev/null 2>&1 || { \
		echo "make benchmarks-gpu needs an NVIDIA GPU and its driver: nvidia-smi lists none." >&2; \
		exit 1; }
	$(MAKE) $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'jax[$(CUDA)]'
	$(BIN)/python benchmarks/run.py gpu

# UPGRADE=--upgrade moves every pin to the newest version that pyproject.toml allows.
lock:  ## write constraints.txt for every supported Python
	@$(find_python); "$$python" -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/python -m pip install --quiet 'uv>=0.9,<1'
	$(LOCK_VENV)/bin/uv pip compile pyproject.toml --all-extras --universal \
		--python-version 3.11 --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command 'make lock' --quiet $(UPGRADE) --output-file constraints.txt

clean:  ## remove what was built (the environment too)
	rm -rf _build $(VENV) .pytest_cache .ruff_cache .hypothesis
	find avfkit widgets tests book benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + \
		2>/dev/null || true

$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(find_python); \
		echo "Making $(VENV) with $$python ($$("$$python" --version))."; \
		"$$python" -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[all]'
	@touch $@

# Sets the shell variable `python` to the first Python that will do, or stops with a reason.
define find_python
python=; \
for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
	if "$$candidate" -c 'import ensurepip, sys, venv; \
sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; then \
		python="$$candidate"; break; \
	fi; \
done; \
if [ -z "$$python" ]; then \
	echo "avfkit needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: python3-venv);" >&2; \
	echo "tried: $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)." \
		"Name another one with PYTHON=/path/to/python3." >&2; \
	exit 1; \
fi
endef
