# Two commands do the set-up on a machine that has only git, make and a Python: `make run` and `make test`.
.DEFAULT_GOAL := help
BIN := .venv/bin
UV ?= uv
# Options for `make run`, for instance ARGS="21 --data deals.csv --mapping mapping.toml --as-of 2026-06-30".
ARGS ?=
export PYTHON

# Where copies of public data sets lie, for `make public`.
PUBLIC ?= ../shared/data
.PHONY: help setup run run-second public test style check notebooks docs inventory lab lock bench calibration clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv from requirements.lock (the others do this by themselves)
	@sh tools/bootstrap.sh

run: setup ## Run the notebooks; pages, notebooks and results.json go to build/
	@$(BIN)/funnelstats run $(ARGS)

run-second: setup ## Run them on a second data set: other stages, one more, another currency (build/second/)
	@$(BIN)/funnelstats run --data bundled:crm_second --output build/second $(ARGS)

public: setup ## Run chapter 6 on real public data: copies in PUBLIC=DIR, else downloaded, but for the invoices (build/public/)
	@FUNNELSTATS_PUBLIC="$(abspath $(PUBLIC))" $(BIN)/funnelstats run 61 --set source=public:bank --output build/public/bank
	@FUNNELSTATS_PUBLIC="$(abspath $(PUBLIC))" $(BIN)/funnelstats run 61 --set source=public:bank_additional --output build/public/bank_additional
	@FUNNELSTATS_PUBLIC="$(abspath $(PUBLIC))" $(BIN)/funnelstats run 62 63 --set source=public:shoppers --set orders=public:online_retail_ii --output build/public/shop

test: setup ## Run every test and every example in the documentation strings
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile $(ARGS)

style: setup ## Look for style errors (ruff), in a second
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

check: style ## Look for style and type errors (ruff, mypy)
	@$(BIN)/mypy

notebooks: setup ## Run the notebooks in place, with outputs fit to be committed
	@$(BIN)/funnelstats notebooks refresh $(ARGS)

docs: setup ## Build the documentation into build/docs
	@$(BIN)/python -m sphinx -W --keep-going -q docs build/docs
	@echo "Open build/docs/index.html"

inventory: setup ## Write the list of modules in docs/architecture.md anew from their docstrings
	@$(BIN)/python tools/inventory.py

lab: setup ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

lock: ## Write requirements.lock anew from pyproject.toml (needs uv)
	@$(UV) pip compile pyproject.toml --extra test --extra docs --extra bench --extra build --output-file requirements.lock \
	    --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet

bench: setup ## Measure speed and memory, beside the peers
	@$(BIN)/python -m benchmarks $(ARGS)

calibration: setup ## Check that posteriors are right on simulated data; results go to docs/calibration.md
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration $(ARGS)

clean: ## Remove what the other commands made, except .venv
	@rm -rf build dist docs/notebooks docs/generated docs/reference.md .pytest_cache .ruff_cache .mypy_cache .hypothesis
