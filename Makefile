# Keyturn: everything a contributor runs. Each target sets up what it needs; `make` alone lists them.

PYTHON  ?= python3
WORKERS ?= 2

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory
# Some targets prepare the ground for others (system packages, environments): one after the other.
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Wheels only: building a source distribution would fetch build tools that no lock has seen.
PIP_INSTALL := -m pip --disable-pip-version-check install -qq
LOCKED      := --require-hashes --only-binary :all:
# Keyturn itself, built with the hatchling that the lock brought.
ITSELF      := --no-deps --no-build-isolation

PACKAGE   := $(shell find scripts/keyturn -type f -not -name '*.pyc')
ACTIONS   := $(wildcard action.yml action/*/action.yml)
WORKFLOWS := $(wildcard workflows/*.yml .github/workflows/*.yml)
SHELLS    := .ci/run requirements/relock scripts/bootstrap tests/setup-system

DEV  := .venv/.installed
DEMO := .venv-demo/.installed
MUTATION := .venv-mutation/.packages
UV   := .venv-lock/bin/uv

# $(call new-venv,DIR,REQUIREMENTS): from nothing each time, so that a dropped dependency is really gone.
define new-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	    || { echo "keyturn: $(PYTHON) is older than Python 3.10; name a newer one: make PYTHON=python3.12" >&2; exit 4; }
	@echo "==> $(1): the packages of $(2)"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python $(PIP_INSTALL) $(LOCKED) -r $(2)
	@touch $@
endef

##@ Try it

DEMO_OPTIONS := $(if $(SERVE),--serve) $(if $(KEEP),--keep "$(KEEP)")

.PHONY: demo
demo:  ## found, sign, publish, update and attack, on an emulated GitHub (SERVE=1: look at the site; KEEP=DIR; PLAIN=1: git alone)
ifdef PLAIN
demo: $(DEMO)
	@echo "==> keyturn demo --plain"
	@.venv-demo/bin/keyturn demo --plain $(DEMO_OPTIONS)
else
demo: $(DEV)
	@echo "==> what the emulated GitHub needs from outside Python"
	@PYTHON="$(PYTHON)" tests/setup-system || { echo "keyturn: or do without it: make demo PLAIN=1" >&2; exit 4; }
	@echo "==> keyturn demo"
	@.venv/bin/keyturn demo $(DEMO_OPTIONS)
endif

##@ Work on it

.PHONY: test
test: system lint $(DEV)  ## everything that continuous integration runs
	@echo "==> pytest, with branch coverage of every process it starts"
	@rm -f .coverage .coverage.*
	@.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=
	@echo "==> coverage floors"
	@.venv/bin/python tests/coverage_floor.py

.PHONY: test-fast
test-fast: $(DEV)  ## the tests that take no time (not marked slow, no lab), without coverage
	@echo "==> pytest, fast tests"
	@.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/lab --ignore tests/integration -m "not slow"

.PHONY: lint
lint: system $(DEV)  ## format, style, types, import rules, actions and workflows, shell scripts
	@echo "==> ruff format --check"
	@.venv/bin/ruff format --quiet --check . || { echo "keyturn: the files above are not formatted: make fmt" >&2; exit 1; }
	@echo "==> ruff check"
	@.venv/bin/ruff check --quiet .
	@echo "==> mypy --strict"
	@.venv/bin/mypy --no-error-summary
	@echo "==> import rules"
	@.venv/bin/lint-imports --no-logo --no-cache
ifeq ($(ACTIONS)$(WORKFLOWS),)
	@echo "==> no actions or workflows yet"
endif
ifneq ($(ACTIONS),)
	@echo "==> actions against their schema"
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-actions $(ACTIONS)
endif
ifneq ($(WORKFLOWS),)
	@echo "==> workflows against their schema"
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
endif
ifneq ($(ACTIONS)$(WORKFLOWS),)
	@echo "==> zizmor"
	@.venv/bin/zizmor --offline --persona auditor --quiet $(ACTIONS) $(WORKFLOWS)
endif
	@echo "==> shellcheck"
	@shellcheck $(SHELLS)

.PHONY: fmt
fmt: $(DEV)  ## format the code and apply the fixes that are safe
	@echo "==> ruff format, ruff check --fix"
	@.venv/bin/ruff check --quiet --fix-only .
	@.venv/bin/ruff format --quiet .

.PHONY: docs
docs: $(DEV)  ## rewrite what comes from tables: docs/policy.md, docs/rules.md, the schema of keyturn.yml
	@echo "==> generated files"
	@.venv/bin/python tests/generated_files.py

.PHONY: bench
bench: $(DEV)  ## measure, and rewrite docs/BENCHMARKS.md
	@echo "==> benchmarks"
	@.venv/bin/python tests/bench/run.py

.PHONY: mutation
mutation: $(MUTATION)  ## how many mutants of verify/ and signing/ the tests kill; docs/mutation.md (FILES=..., FRESH=1, ALL=1)
	@echo "==> mutation testing of verify/ and signing/, with what earlier runs found out (.mutation)"
	@HYPOTHESIS_PROFILE=mutation nice .venv-mutation/bin/python tests/mutation/run.py \
	    --workers $(WORKERS) $(if $(FRESH),--fresh) $(if $(ALL),--all) $(FILES)

##@ Look after it

.PHONY: lock
lock: $(UV)  ## bring requirements/*.txt up to pyproject.toml and requirements/*.in (UPGRADE=1: newest versions)
	@requirements/relock $(UV) $(if $(UPGRADE),--upgrade)

.PHONY: system
system:
	@PYTHON="$(PYTHON)" tests/setup-system

.PHONY: clean
clean:  ## remove environments, caches and what a build leaves behind
	@echo "==> clean"
	@rm -rf .venv .venv-demo .venv-lock .venv-mutation .mutation .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -rf .coverage .coverage.* htmlcov build dist tests/js/node_modules
	@find action scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## this list
	@awk 'BEGIN { FS = ":.*  ## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*  ## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Environments

.venv/.packages: requirements/dev.txt
	$(call new-venv,.venv,$<)

$(DEV): .venv/.packages pyproject.toml
	@echo "==> .venv: keyturn, editable"
	@.venv/bin/python $(PIP_INSTALL) $(ITSELF) --editable .
	@touch $@

.venv-demo/.packages: requirements/repo.txt
	$(call new-venv,.venv-demo,$<)

$(DEMO): .venv-demo/.packages pyproject.toml README.md LICENSE $(PACKAGE) $(WORKFLOWS)
	@echo "==> .venv-demo: keyturn, as a user would install it"
	@.venv-demo/bin/python $(PIP_INSTALL) $(ITSELF) --force-reinstall .
	@touch $@

.venv-mutation/.packages: requirements/mutation.txt
	$(call new-venv,.venv-mutation,$<)

.venv-lock/.packages: requirements/lock.txt
	$(call new-venv,.venv-lock,$<)

$(UV): .venv-lock/.packages ;
