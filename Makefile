# Waterline. `make demo` and `make test` need nothing but Python 3.11, make and git.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install contracts browser demo test check format truth simulate simulate-bugs simulate-alerts bench bench-peers clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# Installing is skipped when nothing changed since the last time.
$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing the Python packages into $(VENV) (about a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock || \
		{ echo "The packages could not be installed: check the network or pip's own configuration, then run make again"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed contracts ## Python packages into .venv, Anvil and the protocol contracts into the cache

contracts: $(VENV)/.installed
	@$(BIN)/python -m devnet.setup

browser: $(VENV)/.installed
	@$(BIN)/python -m tests.fixtures.browser

demo: install ## A local chain with the real contracts, indexed live: http://127.0.0.1:8000
	@exec $(BIN)/waterline demo

test: install browser check ## Everything that must hold, on this machine, from nothing
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed ## Lint, format and types, without running anything
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed ## Rewrite the code in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

truth: install ## The long comparison with the contracts: 500 wallets in every protocol, 300 blocks (some ten minutes)
	@EVERY_PROTOCOL_WALLETS=500 EVERY_PROTOCOL_BLOCKS=300 TRUTH_BLOCKS=200 MONITOR_BLOCKS=40 \
		$(BIN)/python -m pytest $(addprefix tests/integration/test_,every_protocol.py truth.py monitor.py)

SEEDS      ?= 1000
FIRST_SEED ?= 1

simulate: $(VENV)/.installed ## The indexer under seeded faults of every kind: make simulate SEEDS=1000 FIRST_SEED=1
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first-seed $(FIRST_SEED)

simulate-bugs: $(VENV)/.installed ## Five defects put into the code on purpose: the simulation must catch each
	@$(BIN)/python -m tests.simulation --bugs --first-seed $(FIRST_SEED)

RUNS ?= 10000

simulate-alerts: $(VENV)/.installed ## Watchlists through seeded histories: make simulate-alerts RUNS=10000 FIRST_SEED=1
	@$(BIN)/python -m tests.simulation_watch --runs $(RUNS) --first-seed $(FIRST_SEED)

bench: install ## One line a figure: bar <number>: <ratio> (goal <g>) ok|short
	@$(BIN)/python -m benchmarks

bench-peers: install ## History and blocks beside Ponder and Subsquid, fetched at first use (a quarter of an hour)
	@$(BIN)/python -m benchmarks peers

clean: ## Remove what make made here (the download cache stays)
	rm -rf $(VENV) .waterline .mypy_cache .ruff_cache .pytest_cache *.egg-info
