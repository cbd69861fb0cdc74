# `make up` shows the platform at work, `make test` proves it; `make help` names the rest.
# Arguments go through ARGS:  make up ARGS="--once --report out.json"

VENV  := .venv
TORCH := 2.13.0
PIP   := 26.3
STAMP := $(VENV)/.installed
RIGHT_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))

# Where Python is told to write no bytecode, as in many containers, each of the platform's processes
# compiles torch, Ray and Feast anew: the import of a part then takes 7 s of CPU instead of 3.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install up test lint bench lock clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## install into .venv what the lock names, once
	@:

up: install ## run the whole platform here and replay a log as live traffic
	@$(VENV)/bin/headrace up $(ARGS)

test: install ## run the tests, with real servers
	@$(VENV)/bin/python -m pytest $(ARGS)

lint: install ## check style, format and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

bench: install ## measure this machine
	@if [ -f benchmarks/__main__.py ]; then $(VENV)/bin/python -m benchmarks $(ARGS); \
	else echo "make bench: there is no benchmarks/__main__.py in this checkout" >&2; exit 1; fi

lock: ## write constraints.txt anew from pyproject.toml
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	echo "resolving in an empty environment (about two minutes)" && \
	$(call find_python) && "$$python" -m venv "$$folder" && \
	"$$folder/bin/pip" install -qq torch==$(TORCH) && \
	"$$folder/bin/pip" install -qq -e ".[dev]" && \
	"$$folder/bin/pip" check && \
	{ grep '^#' constraints.txt; "$$folder/bin/pip" freeze -qq --exclude headrace | \
	  sed -E 's/\+[a-z0-9.]+$$//'; } > "$$folder/lock" && \
	cp "$$folder/lock" constraints.txt && echo "wrote constraints.txt: now run make test"

clean: ## remove .venv and the tools' caches
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interrupted install leaves no stamp, so the next one goes on. An environment that is there and
# has a right Python is kept. A pip of today resolves the lock several times faster than the one that
# comes with Python; modules are compiled when they are first imported, and most never are.
$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about two minutes the first time)"
	@"$(VENV)/bin/python" -c '$(RIGHT_PYTHON)' 2>/dev/null || \
	{ $(call find_python) && "$$python" -m venv --clear $(VENV); }
	@began=$$(date +%s) && \
	$(VENV)/bin/pip install -qq pip==$(PIP) && \
	$(VENV)/bin/pip install -qq --no-compile -c constraints.txt -e ".[dev]" && \
	touch $@ && echo "installed in $$(($$(date +%s) - began)) s"

# Sets `python` to the first right one; `make install PYTHON=...` names it.
define find_python
{ python=; for candidate in $(or $(PYTHON),python3.11 python3.12 python3); do \
"$$candidate" -c '$(RIGHT_PYTHON)' 2>/dev/null && { python=$$candidate; break; }; done; \
test -n "$$python" || { echo "headrace needs Python 3.11 or 3.12 and found neither:" \
"install one, or name it with PYTHON=/path/to/python3.11" >&2; false; }; }
endef
