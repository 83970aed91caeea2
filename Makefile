# Everything there is to type. `make run` and `make test` need nothing but Python 3.11 or newer.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 \
	&& $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
SETUP = $(if $(PYTHON),$(PYTHON),$(error Tocsin needs Python 3.11 or newer; none is on PATH)) tools/setup.py
IN = .venv/bin/python

.PHONY: help run setup setup-dev assets lock proto test check lint types imports sizes floors docs \
	unit integration conformance conformance-server autobahn browser faults soak bench bench-smoke clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

run: setup ## everything, supervised in this terminal (PORT=8000)
	@$(IN) -m project.run

setup: ## .venv, pinned packages, the pages' assets
	@$(SETUP) run

setup-dev: ## the same, and what the tests need
	@$(SETUP) dev

assets: setup ## copy the pages' libraries into static/vendor
	@$(IN) -m tools.assets

lock: setup-dev ## pin requirements*.in into requirements*.txt
	@$(IN) -m tools.lock

proto: setup-dev ## make client_pb2.py from client.proto
	@$(IN) -m tools.proto

test: setup-dev ## every test there is, on real servers and in a real browser
	@$(IN) -m tools.suite all

check: setup-dev ## lint, types, imports, sizes, floors of dependencies
	@$(IN) -m tools.suite check

lint: setup-dev ## ruff, its formatter, codespell
	@$(IN) -m tools.suite lint

types: setup-dev ## mypy
	@$(IN) -m tools.suite types

imports: setup-dev ## the import contracts
	@$(IN) -m tools.suite imports

sizes: setup-dev ## lengths of modules and functions
	@$(IN) -m tools.suite sizes

floors: setup-dev ## pinned packages against known advisories
	@$(IN) -m tools.suite floors

docs: setup-dev ## the reference pages against the code
	@$(IN) -m tools.suite docs

unit: setup-dev ## the tests that need no database
	@$(IN) -m tools.suite unit

integration: setup-dev ## PostgreSQL, then SQLite
	@$(IN) -m tools.suite integration

conformance: setup-dev ## the tests of the Python SDK, unmodified, against a server of ours
	@$(IN) -m tools.suite conformance

conformance-server: setup-dev ## the server for suites of other people's clients, on localhost:8000
	@$(IN) -m tests.conformance

autobahn: setup-dev ## RFC 6455 by Autobahn|Testsuite, which needs Python 2.7; not part of `test`
	@$(IN) -m tools.autobahn

browser: setup-dev ## Chromium
	@$(IN) -m tools.suite browser

faults: setup-dev ## kill, flush, freeze, cut, slow: the whole battery, and its table in the docs
	@$(IN) -m tools.suite battery

soak: setup-dev ## an hour of coming and going, with an eye on memory
	@$(IN) -m tools.suite soak

bench: setup-dev ## the measurements
	@$(IN) -m bench

bench-smoke: setup-dev ## the measurements in a minute, to see that they run
	@$(IN) -m bench --smoke

clean: ## remove what was built; keeps var/ (your data)
	rm -rf .venv node_modules static/vendor staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache test-results
