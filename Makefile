# `make run` and `make test` need python3 (3.10 or newer) and make; they fetch the rest.
# `make help` lists the targets.

PYTHON ?= python3
# Arguments for pytest, as in `make test PYTEST_ARGS="tests/record -k merge"`: only the tests
# that they select, slow or not.
PYTEST_ARGS ?=

# `make test ALL=1` also runs the tests marked `slow`, and measures the coverage.
ALL ?=

# `make test SDK=oldest` tests with the oldest supported OpenTelemetry.
SDK ?= newest

PYVER := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
CHECKOUT := $(CURDIR)
BUILD := build/py$(PYVER)$(if $(filter oldest,$(SDK)),-oldest)
# The tools and programs of the extra `test` need a newer one.
EXTRA := $(if $(filter oldest,$(SDK)),test-base,test)
CONSTRAINTS := $(if $(filter oldest,$(SDK)),$(BUILD)/constraints.txt,constraints.txt)
DIST := $(BUILD)/dist
PIP := -m pip --quiet --disable-pip-version-check --no-input
TEST_PYTHON := $(BUILD)/venv/bin/python
STAMPS := $(BUILD)/stamps
# Its name contains the platform, so it is looked up.
WHEEL = $$(echo $(DIST)/otel_ext-*.whl)

# Folders are listed too, so that the wheel is rebuilt when a module is deleted.
PACKAGING := pyproject.toml README.md LICENSE
SOURCES := $(PACKAGING) $(wildcard \
	otel_ext otel_ext/* otel_ext/*/* otel_ext/*/*/* otel_ext/*/*/*/* processors processors/* \
	exporters exporters/* exporters/*/* exporters/*/*/*)
SOURCES := $(filter-out %/__pycache__ %.pyc %.so,$(SOURCES))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help python run test lint lint-words lint-ruff lint-mypy lint-pyright wheel wheel-check matrix \
	builder compat bench bench-compare bench-peers bench-quick soak storm chaos sanitize fuzz \
	collector test-collector viewer page clean

help: ## show this list
	@$(PYTHON) tools/targets.py Makefile

python:
	@$(PYTHON) tools/check_python.py

# -- the program ------------------------------------------------------------

run: .venv/ready-$(PYVER) ## set up .venv and run the main job on real input
	@echo "==> otel-ext run -- python examples/index_library.py"
	@PATH="$(CHECKOUT)/.venv/bin:$$PATH" .venv/bin/otel-ext run -- python examples/index_library.py
	@echo "==> to look at this run in the browser: .venv/bin/otel-ext serve traces"
	@echo "==> for the command otel-ext in this shell: . .venv/bin/activate"

.venv/ready-$(PYVER): pyproject.toml constraints.txt | python
	@echo "==> making .venv with Python $(PYVER)"
	@$(PYTHON) -m venv --clear .venv
	@echo "==> installing otel-ext and what the example needs into .venv"
	@.venv/bin/python $(PIP) install --constraint constraints.txt --editable '.[examples,server]'
	@touch $@

# -- the tests --------------------------------------------------------------

test: $(STAMPS)/installed ## build the wheel, install it, run the tests against it; ALL=1 has the slow ones
	@echo "==> testing the installed wheel, $$($(TEST_PYTHON) --version)"
	@$(TEST_PYTHON) -m tools.run_tests --checkout "$(CHECKOUT)" --work $(BUILD)/run \
		$(if $(ALL),--all) -- $(PYTEST_ARGS)

$(STAMPS)/venv: | python
	@echo "==> making $(BUILD)/venv with Python $(PYVER)"
	@$(PYTHON) -m venv --clear $(BUILD)/venv
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/build: $(STAMPS)/venv constraints.txt
	@$(TEST_PYTHON) $(PIP) install --constraint constraints.txt build
	@touch $@

builder: $(STAMPS)/build

# The wheel is built from the source archive, so an archive that lacks a file fails here.
$(STAMPS)/wheel: $(SOURCES) | $(STAMPS)/build
	@echo "==> building the wheel"
	@$(TEST_PYTHON) tools/build_wheel.py --out $(DIST)
	@touch $@

build/py$(PYVER)-oldest/constraints.txt: constraints.txt constraints-oldest.txt
	@mkdir -p $(@D)
	@$(PYTHON) tools/oldest_constraints.py > $@

$(STAMPS)/tools: pyproject.toml $(CONSTRAINTS) | $(STAMPS)/venv $(STAMPS)/wheel
	@echo "==> installing the wheel's dependencies and the test tools"
	@$(TEST_PYTHON) $(PIP) install --constraint $(CONSTRAINTS) "$(WHEEL)[$(EXTRA)]"
	@touch $@

$(STAMPS)/installed: $(STAMPS)/wheel $(STAMPS)/tools
	@echo "==> installing $(WHEEL)"
	@$(TEST_PYTHON) $(PIP) install --no-deps --force-reinstall $(WHEEL)
	@touch $@

sanitize: $(STAMPS)/installed ## the compiled part under sanitizers, and a debug interpreter if there is one
	@$(PYTHON) tools/sanitize.py $(TEST_PYTHON) $(PYTEST_ARGS)

# `make fuzz FUZZ="2000 7"`: how many spans, and the first seed.
FUZZ ?=

fuzz: $(STAMPS)/installed ## the compiled code against the plain one: 200,000 random spans
	@$(PROGRAMS) tests/native/fuzz.py -- $(FUZZ)

# MATRIX_ARGS="--python 3.13 --sdk newest" runs one; `--python PATH` names an interpreter.
MATRIX_ARGS ?=

matrix: python ## run the tests with every Python found here, oldest and newest OpenTelemetry
	@$(PYTHON) -m tools.matrix $(MATRIX_ARGS)

# COMPAT_ARGS="sqlite3 asgi" runs two; --source FOLDER uses checkouts instead of archives.
COMPAT_ARGS ?=

compat: $(STAMPS)/wheel ## OpenTelemetry's own test suites, with and without our processor
	@$(TEST_PYTHON) -m tools.compat --wheel $(WHEEL) --work $(BUILD)/compat $(COMPAT_ARGS)

# -- the code ---------------------------------------------------------------

lint: wheel-check lint-words lint-ruff lint-mypy lint-pyright ## plain words, ruff, mypy --strict, pyright, and the wheel's contents

lint-words: | python ## refuse wordings that a newcomer has to guess: see CONTRIBUTING.md
	@echo "==> plain words"
	@$(PYTHON) tools/plain_words.py

lint-ruff: $(STAMPS)/lint
	@echo "==> ruff check"
	@$(TEST_PYTHON) -m ruff check .
	@echo "==> ruff format --check"
	@$(TEST_PYTHON) -m ruff format --check .

lint-mypy: $(STAMPS)/lint
	@echo "==> mypy --strict"
	@$(TEST_PYTHON) -m mypy

lint-pyright: $(STAMPS)/lint
	@echo "==> pyright"
	@$(TEST_PYTHON) -m pyright --pythonpath $(TEST_PYTHON)

$(STAMPS)/lint: $(STAMPS)/installed pyproject.toml constraints.txt
	@echo "==> installing the static checkers"
	@$(TEST_PYTHON) $(PIP) install --constraint constraints.txt "$(WHEEL)[dev]"
	@touch $@

wheel: $(STAMPS)/wheel ## build the wheel, and print its path
	@echo "$(WHEEL)"

wheel-check: $(STAMPS)/wheel $(STAMPS)/lint ## compare the wheel's contents with the tree
	@echo "==> contents of the wheel"
	@$(TEST_PYTHON) tools/check_wheel.py $(WHEEL)
	@$(TEST_PYTHON) -m check_wheel_contents --toplevel otel_ext $(WHEEL)

# -- longer runs ------------------------------------------------------------

PROGRAMS = $(TEST_PYTHON) -m tools.run_programs --checkout "$(CHECKOUT)" --work $(BUILD)/$@

# In a separate environment: the peers that are compared bring packages that tests must not see.
BENCH_PYTHON := $(BUILD)/bench-venv/bin/python
BENCHMARKS = PATH="$$PATH:$(CHECKOUT)/$(BUILD)/peers-venv/bin" $(BENCH_PYTHON) -m tools.run_programs --checkout "$(CHECKOUT)" \
	--work $(BUILD)/$@ benchmarks/run.py -- --results "$(CHECKOUT)/build/$@"

# Large: they bring some hundred packages, and are compared only where they are installed.
bench-peers: ## the other servers that store spans, for make bench to compare with
	@$(PYTHON) -m venv --clear $(BUILD)/peers-venv
	@$(BUILD)/peers-venv/bin/python $(PIP) install arize-phoenix==20.26.1 mlflow==3.17.2

bench: $(STAMPS)/bench ## every benchmark; tables and charts go to docs/benchmarks
	@$(BENCHMARKS) --docs "$(CHECKOUT)/docs/benchmarks"

bench-quick: $(STAMPS)/bench ## the benchmarks that the tests leave out, short: for breakage, not figures
	@$(BENCHMARKS) --quick --only application django_application celery_application instructions latency memory reading watched

# `make bench-compare AGAINST=FILE` compares with another file than the committed results.json.
AGAINST ?=

bench-compare: | python ## compare what make bench measured with the published run; fails if worse
	@$(PYTHON) benchmarks/compare.py --results build/bench $(if $(AGAINST),--against "$(AGAINST)")

$(STAMPS)/bench: $(STAMPS)/wheel pyproject.toml constraints.txt
	@echo "==> installing the wheel and what the benchmarks compare it with"
	@$(PYTHON) -m venv --clear $(BUILD)/bench-venv
	@$(BENCH_PYTHON) $(PIP) install --constraint constraints.txt "$(WHEEL)[bench]"
	@touch $@

# Shorter runs: `make soak SOAK_SECONDS=120` and `make chaos CHAOS_TIMES=100`.
SOAK_SECONDS ?=
CHAOS_TIMES ?=

soak: $(STAMPS)/installed ## hours of load and disturbances
	@$(PROGRAMS) tests/soak -- $(SOAK_SECONDS)

storm: $(STAMPS)/installed ## the tests that kill, fork, damage and load for many seconds
	@$(TEST_PYTHON) -m tools.run_tests --checkout "$(CHECKOUT)" --work $(BUILD)/$@ -- \
		-m storm -n 2 tests $(PYTEST_ARGS)

chaos: $(STAMPS)/installed ## thousands of random kills and forks
	@$(PROGRAMS) tests/chaos -- $(CHAOS_TIMES)

# -- with the OpenTelemetry Collector ----------------------------------------

collector: python ## compile the Collector of deploy/collector (Go; minutes, once)
	@$(PYTHON) tools/build_collector.py

test-collector: $(STAMPS)/installed collector ## the tests that need that Collector
	@$(TEST_PYTHON) -m tools.run_tests --checkout "$(CHECKOUT)" --work $(BUILD)/$@ -- \
		-m collector tests/collector $(PYTEST_ARGS)

# -- the viewer, in TypeScript (Node 20.19 or newer) -------------------------

PAGE := otel_ext/views/page/report.html
# The application that the server serves.
APP := otel_ext/server/static
APP_FILES := index.html app.css app.js

viewer: viewer/dist/report.html ## check, test and build the viewer; fails if the pages in the package are others
	@echo "==> the viewer: types, lint and tests"
	@cd viewer && npm run --silent check && npm test --silent
	@cmp viewer/dist/report.html $(PAGE) || { echo "$(PAGE) is not what viewer/ builds: make page"; exit 1; }
	@for file in $(APP_FILES); do cmp viewer/dist/app/$$file $(APP)/$$file || \
		{ echo "$(APP)/$$file is not what viewer/ builds: make page"; exit 1; }; done

page: viewer/dist/report.html ## build the viewer into the package
	@cp viewer/dist/report.html $(PAGE)
	@mkdir -p $(APP)
	@cp $(addprefix viewer/dist/app/,$(APP_FILES)) $(APP)/

viewer/node_modules/.ready: viewer/package.json viewer/package-lock.json viewer/.npmrc
	@echo "==> installing what builds the viewer"
	@cd viewer && npm ci --silent --no-progress
	@touch $@

viewer/dist/report.html: viewer/node_modules/.ready $(wildcard viewer/*.ts viewer/*.json viewer/page/* \
		viewer/scripts/* viewer/src/* viewer/src/*/* viewer/src/*/*/*)
	@echo "==> building the viewer"
	@cd viewer && npm run --silent build

clean: ## remove everything that make has created
	rm -rf build .venv viewer/node_modules viewer/dist otel_ext.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
