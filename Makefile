# Everything happens in .venv, from the hash-pinned lock files; the package is always installed as the wheel that users get.
PYTHON ?= python3
BIN := .venv/bin
ENDS ?= 100
GPU_RESULTS ?= benchmarks/results
MODELS ?= .oracle/files/yolov8n.pt .oracle/files/best.pt
IMAGES ?= .oracle/files/bus.jpg .oracle/files/zidane.jpg
SOAK_S ?= 600
FUZZ ?= 40
SOURCES := $(shell find src -type f -not -path '*/__pycache__/*') pyproject.toml README.md LICENSE NOTICE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast soak fuzz ends pressure lint types oracle bench gpu clean

help: ## Show what there is.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: .venv/runtime ## Install into .venv and run the main job on the bundled model and scenes.
	$(BIN)/yoloom demo

test: .venv/test ## Install what the tests need and run them against the built wheel.
	@start=$$(date +%s); $(BIN)/python -m pytest --numprocesses 2 --dist worksteal; status=$$?; \
	seconds=$$(($$(date +%s) - start)); echo "the tests took $$((seconds / 60)) min $$((seconds % 60)) s"; exit $$status

test-fast: ## Run the tests that are not slow, on the working tree: about a minute, for daily work.
	test -x $(BIN)/pytest || $(MAKE) .venv/test
	PYTHONPATH=src $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist worksteal --quiet

soak: .venv/test ## Kill workers at full load, then do everything at once, for SOAK_S=600 seconds each.
	YOLOOM_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest tests/workers/test_soak.py --quiet
	YOLOOM_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest tests/verify/test_verify.py -k each_time --quiet
	$(BIN)/python tests/support/stress.py --seconds $(SOAK_S)
	$(BIN)/python tests/support/stress.py --seconds $(SOAK_S) --shaken

fuzz: .venv/test ## Run all tests that draw their examples with FUZZ=40 times as many.
	YOLOOM_FUZZ=$(FUZZ) $(BIN)/python -m pytest $$(grep -rlE "^from hypothesis" tests --include="test_*.py") \
	  --numprocesses 2 --dist worksteal --timeout 7200 --quiet

ends: .venv/test ## End processes in every way, ENDS=100 times each: hours; ARGS="-k Ctrl-C" for some of them.
	tools/make_green.sh
	YOLOOM_ENDS=$(ENDS) $(BIN)/python -m pytest tests/ends --numprocesses 2 --dist worksteal $(ARGS)

pressure: .venv/test ## Run the whole path under falling limits of memory, about half an hour; says how each step ended.
	YOLOOM_PRESSURE=1 $(BIN)/python -m pytest tests/pressure -s

lint: .venv/lint ## Style of all code.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/lint ## Strict types, and what the editors of users know.
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

oracle: .venv/test ## Parity with Ultralytics, which is installed into .oracle for this.
	tools/make_oracle.sh
	YOLOOM_ORACLE_FILES=.oracle/files $(BIN)/python -m pytest tests/oracle --numprocesses 2 --dist worksteal

bench: .venv/test ## Measure yoloom and others on this machine, less than half an hour; ARGS=--quick to see that it works.
	tools/make_bench.sh $(ARGS)

gpu: ## All checks and benchmarks that need an NVIDIA GPU, at most 9 minutes; MODELS="yolov8n.pt best.pt", IMAGES="a.jpg b.jpg".
	mkdir -p $(GPU_RESULTS)
	PYTHONPATH=src:benchmarks $(PYTHON) tools/gpu_check.py $(MODELS) --out $(GPU_RESULTS)/gpu_check.json
	PYTHONPATH=src:benchmarks timeout 330 $(PYTHON) benchmarks/gpu.py $(MODELS) $(IMAGES) --results $(GPU_RESULTS)

clean: ## Remove what was installed and built.
	rm -rf .venv .oracle .field .green dist

.venv/%: requirements/%.lock $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/yoloom-*.whl
	touch $@
