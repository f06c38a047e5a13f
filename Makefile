# make run: the demo.  make quick: while working.  make test: before a commit.  make nightly: what takes longer.
# make gpu: on a machine with a GPU.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc)
#: What the installation may take; constraints-oldest.txt is for trying the oldest versions that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
#: Tests of one xdist_group share a process, and with it what they prepare. One process more than there are cores, at most
#: four: those that run the workflow wait for its jobs. Each computes on one core.
PROCESSES := $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(PROCESSES) --dist loadgroup --no-loadscope-reorder

.PHONY: run quick test nightly gpu lint style types tests format docs clean

# The demo, from nothing to the report.
run: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES)
	@echo "The report: $(CURDIR)/results/demo/report.html"

# Style and fast tests: at most 3 minutes on 2 cores.
quick: style
	RNALM_EXAMPLES=0.3 $(PYTEST) --numprocesses auto -m "not (slow or slurm or e2e or nightly or gpu)"

# Linters and tests: some 10 minutes on 2 cores.
test: $(VENV)/installed
	$(MAKE) --no-print-directory --jobs 2 lint tests

tests: $(VENV)/installed
	$(PYTEST) -m "not (nightly or gpu)"

# Tests that take minutes, then how much of the library those of `make test` run.
nightly: $(VENV)/installed
	$(PYTEST) -m nightly
	$(MAKE) --no-print-directory gpu DEVICE=cpu TOY=--toy
	RNALM_EXAMPLES=4 $(PYTEST) -m "not (nightly or gpu)" --cov rnalm --cov-report term:skip-covered

# Whether what runs on a GPU is right, and how fast it is: at most 9 minutes. Takes the Python that is there where nothing is
# installed here, as on a machine without internet.
DEVICE ?= cuda
GPU_PYTHON ?= $(if $(wildcard $(VENV)/installed),$(BIN)/python,$(PYTHON))
gpu:
	RNALM_DEVICE=$(DEVICE) $(GPU_PYTHON) -m pytest -m gpu --numprocesses 6 tests/models tests/scoring tests/training
	PYTHONPATH=".$${PYTHONPATH:+:$$PYTHONPATH}" $(GPU_PYTHON) benchmarks/gpu.py --device $(DEVICE) $(TOY) --output results/gpu.json

lint: style types

style: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

types: $(VENV)/installed
	$(BIN)/pyright

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

# The JSON schema and config/README.md, from the models in rnalm/config/.
docs: $(VENV)/installed
	$(BIN)/rnalm schema > workflow/schemas/config.schema.json
	$(BIN)/rnalm keys > config/README.md

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	# Torch first and pinned: without a version it would bring gigabytes of CUDA libraries, needed or not.
	$(BIN)/pip install --quiet "$$(grep ^torch== $(CONSTRAINTS))"
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable ".[workflow,dev]"
	touch $@

clean:
	rm -rf results .snakemake
