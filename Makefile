# Thin on purpose: every target is one command that can be typed by hand. CI runs the same targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := shared services/registry services/issuer services/verifier services/wallet
T ?= tests
# one worker per core, up to four: each keeps a database cluster of its own
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); if [ $$n -gt 4 ]; then n=4; fi; echo $$n)
S ?= issuer

.PHONY: help setup peers fmt fmt-check lint types arch deps check test test-unit test-sqlite test-postgres \
        e2e bench soak vectors openapi documents demo up down token images containers containers-first-move up-containers down-containers lock clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv from the hashed lock and install the packages into it

.venv/.installed: requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/it")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
	@touch $@

peers: tests/peers/node_modules/.package-lock.json ## install the npm peers that the tests talk to

tests/peers/node_modules/.package-lock.json: tests/peers/package-lock.json | .venv/.installed
	$(BIN)/python -m deploy.dev.npm ci

fmt: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fmt-check: setup
	$(BIN)/ruff format --check .

lint: setup ## lint
	$(BIN)/ruff check .

types: setup ## check types
	$(BIN)/mypy

arch: setup ## check the import rules
	$(BIN)/lint-imports

deps: setup ## check that each package declares what it imports
	@for package in $(PACKAGES); do (cd $$package && ../$$( [ $$package = shared ] || echo ../ )$(BIN)/deptry src) || exit 1; done

check: fmt-check lint types arch deps test-unit ## what must be green before every commit

# What is generated depends on the order of sets: under one seed a failure can be run again.
test: setup peers ## everything that proves the project
	PYTHONHASHSEED=0 $(BIN)/pytest -n $(WORKERS) --dist loadgroup $(T)

test-unit: setup
	$(BIN)/pytest -q -n $(WORKERS) tests/unit tests/architecture

e2e: setup peers ## the journeys over https against real processes
	$(BIN)/pytest tests/e2e

bench: setup ## measure, as ratios in one run
	-@$(MAKE) --no-print-directory peers # without them one row says that it was not measured
	$(BIN)/python -m tests.bench

soak: setup ## what takes minutes or hours to prove: make soak P="scale --scale 0.1"
	$(BIN)/python -m tests.soak $(P)

mutants: setup ## change the pure code one check at a time: which change does no test notice? (hours)
	PYTHONHASHSEED=0 $(BIN)/python -m tests.mutation $(M)

vectors: setup ## make our own test vectors again; nothing may change
	@for generator in tests/vectors/generate_*.py; do $(BIN)/python $$generator || exit 1; done

openapi: setup ## write docs/openapi/*.json
	@for service in registry issuer verifier; do $(BIN)/passport-$$service openapi > docs/openapi/$$service.json || exit 1; done
	@$(BIN)/python -m deploy.dev.staff_app > docs/openapi/staff-app.json

documents: setup ## write the settings tables of the service READMEs anew
	$(BIN)/python -m deploy.dev.documents

demo: setup ## the main journey from an empty state, in plain words
	@$(BIN)/python -m deploy.demo

up: setup ## leave the stack running as a sandbox on ports 9000 to 9002
	@$(BIN)/python -m deploy.dev up

token: setup ## print an access token of a sandbox service: make -s token S=issuer
	@$(BIN)/python -m deploy.dev token $(S)

down: setup ## stop the sandbox
	@$(BIN)/python -m deploy.dev down

images: setup ## build the container images
	$(BIN)/python -m deploy.containers images

containers: setup ## the stack in containers: images, journey, two of each; says why where there is no engine
	$(BIN)/python -m deploy.containers check

containers-first-move: setup ## the same with one movement instead of the whole pilot
	$(BIN)/python -m deploy.containers check-first-move

up-containers: setup ## leave a trial of the stack in containers running
	$(BIN)/python -m deploy.containers up

down-containers: setup ## remove the trial with its data
	$(BIN)/python -m deploy.containers down

lock: ## make the hashed, host-free lock again (needs uv)
	uv lock --upgrade
	uv export --frozen --no-emit-workspace --all-groups --all-packages --all-extras --no-header --no-annotate -q -o requirements.lock
	@for package in registry issuer verifier wallet; do uv export --frozen --no-emit-workspace --package passport-$$package \
	  --all-extras --no-default-groups --no-header --no-annotate -q -o requirements-$$package.lock || exit 1; done
	@for group in simulators build; do uv export --frozen --no-emit-workspace --only-group $$group --no-header \
	  --no-annotate -q -o requirements-$$group.lock || exit 1; done

clean: ## remove what the targets made
	rm -rf .venv .dev out tests/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
