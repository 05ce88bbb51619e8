# make demo      set up, compare the shipped encoders, adapt one, write runs/demo/report.html
# make test      set up, run the tests but the slow ones: 4 minutes on two cores
# make test-all  the slow ones too, which are whole journeys in processes of their own: hours, as CONTRIBUTING.md says
# make check     lint and types
# make docs      the site of the documentation, in build/site; warnings are errors
# make format    format and fix what can be fixed

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all check docs format

demo: $(VENV)/ready
	$(BIN)/python -m byola_diff.demo --out runs/demo

# One thread to a process: two test processes share the two cores that the time is stated for. Python
# keeps what it compiles, whatever the environment says: to compile anew takes a minute.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(VENV)/ready
	$(PYTEST) -m "not slow"

test-all: $(VENV)/ready
	$(PYTEST)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs Python 3.11 (with which constraints.txt was tested) or newer, and its venv. On Debian, as root,
# the package of the latter is added if need be.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { apt-get update && apt-get install -y python3-venv; } \
		|| { echo "Python's venv module is missing: install the package python3-venv"; exit 1; }
	@echo "installing into $(VENV): a few minutes and some GB the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps scaper tinysoundfont
	@command -v sox >/dev/null || { apt-get update && apt-get install -y sox; } \
		|| echo "The program sox is missing: without it soundscapes are rendered by our own mixer, and" \
			"tests that compare it with Scaper are skipped. Install the package sox to have both."
	@touch $@
