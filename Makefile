# Two commands to know: `make demo` shows the product, `make test` proves it. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

CACHE ?= $(if $(ARCHIVMAIL_CACHE),$(ARCHIVMAIL_CACHE),$(HOME)/.cache/archivmail)
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
VENV := $(CACHE)/venv
PY := $(VENV)/bin/python
WORKERS ?= 3
export WORKERS
unexport PYTHONDONTWRITEBYTECODE
export NO_MKDOCS_2_WARNING := 1
export ARCHIVMAIL_CACHE := $(CACHE)
export PATH := $(VENV)/bin:$(CACHE)/bin:$(PATH)

.PHONY: help demo test test-fast test-all lint docs tools venv bench fuzz soak crds chart audit dashboard-pictures lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | column -t -s "$$(printf '\t')"

venv: ## the Python environment, outside the checkout, from the lock with hashes
	@hack/venv.sh

demo: venv ## archive a sample mailbox and look around (Python only)
	@hack/demo.sh

tools: venv ## install or build what the tests need: API server, Dovecot, helm, ...
	@hack/tools.sh

lint: venv ## ruff, mypy, import-linter
	ruff check .
	ruff format --check .
	mypy
	lint-imports

test: tools lint docs ## everything, with real servers
	$(PY) -m pytest -n $(WORKERS) --durations 15
	hack/test-fast-everywhere.sh --others

test-fast: venv ## no servers, two minutes on two cores
	$(PY) -m pytest -q -m "not servers and not slow" -n $(WORKERS)

docs: venv ## the documentation, built strictly
	mkdocs build --strict --site-dir "$(CACHE)/site"

fuzz: venv ## the reader of IMAP against made-up servers, for some minutes
	FUZZ_EXAMPLES=20000 $(PY) -m pytest -q -n 0 --timeout 3600 tests/imap/test_fuzzed_servers.py
	mkdir -p "$(CACHE)/fuzz"
	$(PY) -m tests.fuzz.reader "$(CACHE)/fuzz" tests/fuzz/corpus -max_total_time=600 -timeout=10 -rss_limit_mb=1024

bench: tools ## measure against mbsync; numbers go to docs/benchmarks.md
	$(PY) -m bench
	$(PY) -m bench search
	$(PY) -m bench operator
	$(PY) -m bench archive

soak: tools ## ten minutes of crashes and outages with 50 mailboxes; SOAK="--minutes 60" for longer
	$(PY) -m bench.soak $(SOAK)

dashboard-pictures: tools ## draw the pictures of docs/observability.md anew, from a fleet that lives for six minutes
	$(PY) -m tests.dashboards docs/pictures 6

crds: venv ## write the CRD anew from the model, and the chart's copy
	archivmail crd > deploy/crds/archivmail.io_imapaccounts.yaml
	hack/chart-crd.sh

chart: ## write anew what is made from the chart: its README, the kustomize overlay, the snapshots of its suites
	hack/go-tools.sh
	hack/chart.sh
	helm-unittest --strict --update-snapshot deploy/helm/archivmail

audit: venv ## compare every locked package with known vulnerabilities (needs the internet)
	hack/audit.sh

lock: ## write the requirements locks anew
	hack/lock.sh
