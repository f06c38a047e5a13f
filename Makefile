# The two commands: make run, make test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc)

.PHONY: run test lint format docs clean

# The demo, from nothing to the report.
run: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES)
	@echo "The report: $(CURDIR)/results/demo/report.html"

# Linters, then tests.
test: lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

# The JSON schema and config/README.md, from the models in rnalm/config/.
docs: $(VENV)/installed
	$(BIN)/rnalm schema > workflow/schemas/config.schema.json
	$(BIN)/rnalm keys > config/README.md

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	# Torch first and pinned: without a version it would bring gigabytes of CUDA libraries, needed or not.
	$(BIN)/pip install --quiet "$$(grep ^torch== constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[workflow,dev]"
	touch $@

clean:
	rm -rf results .snakemake
