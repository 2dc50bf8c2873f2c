# Every target sets up what it needs: only python3 >= 3.11 and a package index are presumed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# Two processes share two cores; more threads each would only fight.
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile

.PHONY: help setup demo quick test test-real wheel check format bench

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: ## make .venv with the pinned packages
	@python3 scripts/setup

demo: setup ## explain a convolution, cut a person out of a portrait, street scenes if the weights are there
	@$(BIN)/atrous demo

quick: setup ## the inner tier, a minute: arithmetic, blocks, metrics, scores, the public API
	@$(PYTEST) tests/arithmetic tests/blocks tests/metrics tests/evaluation tests/test_api.py tests/test_journal.py \
	  tests/networks/test_card.py tests/inference/test_predictor.py tests/inference/tiles tests/data/test_catalog.py

test: setup ## the fast tier: unit, contract and property tests, doctests
	@$(PYTEST)

test-real: setup ## the real tier: real data, the authors' weights, published numbers, random search (SEED=… again)
	@$(PYTEST) -m "real or slow or property" --hypothesis-profile=random $(if $(SEED),--hypothesis-seed=$(SEED))

wheel: setup ## build the wheel, install it into a bare environment, run what the README shows first
	@scripts/check-wheel

check: setup ## formatting, lint, types, and which room imports which
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## time our paths against named baselines, in one run
	@$(BIN)/python -m benchmarks.inference
	@$(BIN)/python -m benchmarks.inference --keep-freed-memory
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.profiling
	@$(BIN)/python -m benchmarks.training
