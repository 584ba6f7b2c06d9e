# Two commands on a fresh machine: `make demo` and `make test`. Both set everything up first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check coverage bench rival peers docs lock clean

VENV := .venv
STAMP := $(VENV)/.synced
ARGS ?=

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Arguments: make demo ARGS=--exit, make test ARGS="-k client"'

setup: $(STAMP)  ## make .venv with everything in it, `v6` too

# Synchronised again only when what it should hold has changed.
$(STAMP): requirements.lock pyproject.toml packaging/vantage6-client/pyproject.toml \
          scripts/setup scripts/uv-environment
	@scripts/setup
	@touch $@

demo: $(STAMP)  ## a server and three nodes on this machine, and the lesson over them
	@$(VENV)/bin/v6 demo $(ARGS)

# The tests run even when a check has failed; either failing fails this.
test: $(STAMP)  ## every check and every test
	@status=0; scripts/check || status=1; scripts/test $(ARGS) || status=1; exit $$status

check: $(STAMP)  ## the gate: linters, types, import rules, documentation
	@scripts/check

coverage: $(STAMP)  ## every test, and which lines none of them reaches (long)
	@scripts/test --cov --cov-report=term-missing $(ARGS)

bench: $(STAMP)  ## measure round trips beside the bars of the design
	@$(VENV)/bin/python benchmarks/round_trip.py $(ARGS)

rival: $(STAMP)  ## measure the API beside the upstream server's, some minutes
	@PATH="$$(dirname "$$(scripts/find-uv)"):$$PATH"; export PATH; . scripts/uv-environment; \
	    $(VENV)/bin/python benchmarks/against_upstream.py $(ARGS)

peers: $(STAMP)  ## only the tests against unmodified upstream packages, all of them
	@scripts/with-engine scripts/test -m peer $(ARGS)

docs: $(STAMP)  ## build the documentation into site/
	@$(VENV)/bin/mkdocs build --strict

lock:  ## resolve the dependencies anew into requirements.lock
	@scripts/lock $(ARGS)

clean:  ## remove everything the other targets made
	rm -rf $(VENV) .uv site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
