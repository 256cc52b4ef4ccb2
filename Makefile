# perfcore: everything by one command each. `make help` lists them.

PYTHON ?= python3
CC ?= cc
VENV ?= .venv
PY = $(VENV)/bin/python
NATIVE_SOURCES = setup.py $(wildcard src_c/*.[ch] perfcore/_native/*.p[yx]* perfcore/_native/c/*.pxd)
PYTEST = $(VENV)/bin/pytest

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: $(VENV)/.run build/.native  ## parse a source tree cold and warm and print the table (TREE=path, default: the standard library)
	@$(PY) -m perfcore parse --twice $(if $(TREE),"$(TREE)")

test: checks pytest legs  ## everything that must pass before a change lands

# Two at a time, and each shows its output when it ends. What tests without the GIL need four minutes to be built from.
checks: dev  ## the core's own tests, style and types
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target c-test lint types build/free-threaded/bin/python

pytest: dev servers shells proofs suites promtool browser  ## the Python tests
	PERFCORE_PROOFS=demanded $(PYTEST)

# What is built for them takes both processors; then they, too, run two at a time.
LEGS_BUILT = $(foreach copy,asan tsan coverage oldest free-threaded,build/$(copy)/.built)
LEGS = asan tsan coverage-native oldest free-threaded wheels-quick

legs: dev $(LEGS_BUILT)  ## what runs on builds of its own: sanitizers, coverage, oldest versions, without the GIL, wheels for each CPython
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(LEGS)

c-test:  ## the core's own tests: under the address and undefined-behaviour sanitizers, and as shipped
	@$(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" check
	@$(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" PLAIN=1 OPTIMIZE=-O3 BUILD=../../build/c-tests-O3 check

lint: dev  ## style of Python, Cython and C
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PATH="$(abspath $(VENV)/bin):$$PATH" cython-lint perfcore
	$(VENV)/bin/clang-format --dry-run --Werror src_c/*.[ch] src_c/tests/*.[ch]

types: dev  ## mypy on the package, and the stubs against the extensions
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest perfcore._native --ignore-missing-stub --allowlist tests/typing/stubtest-allowed.txt

bench: dev servers $(VENV)/.bench  ## the benchmarks of this package, also beside its rivals, and the bounds of the parser's speed (a quarter of an hour)
	PYTHONHASHSEED=0 $(PYTEST) benchmarks --benchmark-only --benchmark-autosave
	PYTHONHASHSEED=0 $(PY) -m benchmarks.rivals
	PYTHONHASHSEED=0 $(PY) benchmarks/parsing_ceiling.py

bench-compare:  ## the last two runs that make bench kept: what became slower by more than a quarter, and fails (RUNS="0001 0002")
	@$(PY) -m benchmarks.compare $(RUNS)

report: dev servers $(VENV)/.bench  ## everything beside its rivals, as one page and charts in build/report (eight minutes; QUICK=1: two)
	@PYTHONHASHSEED=0 $(PY) -m benchmarks.report all $(if $(QUICK),--quick)

nab: dev  ## the anomaly detector on labelled series, beside published detectors
	$(PY) -m benchmarks.nab

asan: build/asan/.built  ## the native tests under the address and undefined-behaviour sanitizers
	cd build/asan && PERFCORE_BUILD=asan PYTHONPATH=. PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	    LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	    ../../$(PYTEST) -c ../../pyproject.toml --rootdir ../.. ../../tests/native -m "not no_sanitizer" -p no:cacheprovider

# The thread sanitizer of older compilers stops where a kernel spreads addresses wider than it knows.
FIXED_ADDRESSES = $$(setarch -R true 2>/dev/null && echo setarch -R) env

tsan: build/tsan/.built  ## the C tests and the threaded native tests under the thread sanitizer
	@$(FIXED_ADDRESSES) $(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" TSAN=1 BUILD=../../build/c-tests-tsan check
	cd build/tsan && PERFCORE_BUILD=tsan PYTHONPATH=. TSAN_OPTIONS=report_bugs=1:exitcode=66 $(FIXED_ADDRESSES) \
	    LD_PRELOAD="$$($(CC) -print-file-name=libtsan.so)" \
	    ../../$(PYTEST) -c ../../pyproject.toml --rootdir ../.. ../../tests/native -k "thread" -p no:cacheprovider

# What runs the native layer: with the C tests it takes two minutes, of which the copy's compilation is one.
COVERING = tests/native tests/metrics tests/functions tests/memory

coverage-native: build/coverage/.built  ## which lines of C and Cython the native tests run: a table, pages in build/coverage/html, at least 95 %
	@mkdir -p build/c-tests-coverage && find build/coverage-work build/c-tests-coverage -name '*.gcda' -delete
	@$(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" COVERAGE=1 OPTIMIZE=-O0 BUILD=../../build/c-tests-coverage check
	cd build/coverage && PERFCORE_BUILD=coverage PYTHONPATH=. \
	    ../../$(PYTEST) -c ../../pyproject.toml --rootdir ../.. $(COVERING:%=../../%) -m "not no_sanitizer" -p no:cacheprovider
	$(PY) tools/native_coverage.py --copy build/coverage-work --copy build/c-tests-coverage --html build/coverage/html --least 95

coverage: coverage-native coverage-python  ## both: lines of C, Cython and Python

# Threads, subprocesses and forked children count, a child that is killed does not. What times constructors would time the tracer,
# and harnesses refuse one.
TIMING = what_is_made_often_and_dropped_at_once_is_found_and_the_rest_is_not constructors_are_timed_and_said_to_pay_or_not

coverage-python: dev servers shells proofs suites promtool browser  ## which lines of Python the whole suite runs: at least 95 %, pages beside them (TESTS=..., KEEP=1: one part more)
	@$(if $(KEEP),,rm -f build/.coverage*)
	$(PY) -m coverage run -m pytest $(or $(TESTS),tests) $(TIMING:%=--deselect tests/memory/test_discovery.py::test_%) \
	    --ignore tests/test_benchmarks.py --ignore tests/test_report.py
	$(PY) -m coverage combine -q --append
	$(PY) -m coverage html -q
	$(PY) -m coverage report $(if $(TESTS),,--fail-under 95)

# What depends on other packages, but for servers and clusters; too long for `make test`.
OLDEST = tests/config tests/metrics tests/cli tests/test_sizing.py tests/native/test_simulate.py tests/native/test_plain.py \
    tests/native/test_unpack.py tests/native/test_envelope.py tests/cache/test_codec.py tests/cache/test_compression.py \
    tests/cache/test_disk.py tests/cache/test_disk_tags.py tests/cache/test_format.py tests/cache/test_structure.py \
    tests/cache/test_tiers.py tests/parsing

oldest: build/oldest/.built build/.native servers shells promtool  ## the tests of what needs other packages, with the oldest versions that pyproject.toml promises
	build/oldest/bin/python -m pytest -p no:cacheprovider -W "ignore:'click:DeprecationWarning" $(OLDEST)

free-threaded: build/free-threaded/.built  ## the native tests on a CPython without the GIL (built once if there is none)
	cd build/free-threaded && PYTHONPATH=. PYTHON_GIL=0 bin/python -m pytest -c ../../pyproject.toml --rootdir ../.. \
	    ../../tests/native ../../tests/conformance --ignore ../../tests/native/test_simulate.py --ignore ../../tests/native/test_hit_ratios.py \
	    --ignore ../../tests/native/test_plain.py --ignore ../../tests/native/test_unpack.py --ignore ../../tests/native/test_envelope.py \
	    --ignore ../../tests/conformance/test_diskcache.py --ignore ../../tests/conformance/test_django.py $(foreach script,leak_unpack leak_tiers,--deselect "tests/native/test_leaks.py::test_memory_stays_flat[$(script)]") \
	    $(foreach room,envelope plain,--deselect "tests/native/test_manners.py::test_the_examples_of_the_extensions_are_true[$(room)]") \
	    -p no:cacheprovider

free-threaded-rivals: build/free-threaded/.rivals  ## the other caches beside that one, as far as they have wheels for it

prove: dev proofs  ## properties, models and races, twenty times as long as in `make test` (PARTS="native proofs": some of them)
	@CC="$(CC)" $(PY) tools/prove.py $(PARTS)

# Its two parts that are not Python's: what threads share in the C core, as shipped and under the thread sanitizer.
stress:
	@$(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" PLAIN=1 OPTIMIZE=-O3 BUILD=../../build/c-tests-O3 stress

races:
	@$(FIXED_ADDRESSES) $(MAKE) --no-print-directory -C src_c/tests CC="$(CC)" TSAN=1 BUILD=../../build/c-tests-tsan stress

.PHONY: stress races

chaos: dev servers  ## processes killed 200 times, files damaged ten thousand times, servers at fault, with a table
	PERFCORE_KILLS=200 PERFCORE_MUTATIONS=10000 $(PYTEST) tests/cache tests/parsing/test_parallel.py --timeout 7200
	PERFCORE_FAULT_SECONDS=5 $(PYTEST) -s tests/remote/test_faults.py tests/remote/test_window.py --timeout 7200

fuzz: dev  ## long random runs: the native cache against its models, the codec against hostile bytes
	PERFCORE_EFFORT=200 $(PYTEST) tests/native/test_cache_model.py tests/native/test_policies.py \
	    tests/cache/test_codec.py tests/cache/test_codec_hostile.py tests/cache/test_keys.py --timeout 36000
	$(PY) tests/fuzz_decoder.py build/fuzz/decoder -max_total_time=$(or $(SECONDS),60) -rss_limit_mb=1024 -timeout=10

docs: dev  ## these pages as a site, with the reference, in build/docs; a warning is an error
	$(PY) -m sphinx -W --keep-going -q -b html docs build/docs

wheels-quick: dev  ## the same with few tests
	$(PY) tools/wheels.py --quick $(foreach python,$(PYTHONS),--python $(python))

wheels: dev servers suites promtool browser  ## a wheel for every CPython found, each with the whole suite on what it installs (TESTS=..., PYTHONS="...", KEEP=1: from what is up to date)
	$(PY) tools/wheels.py $(if $(KEEP),--keep) $(foreach python,$(PYTHONS),--python $(python)) -- $(TESTS)

dist: dev  ## the source archive and a wheel, the same bytes for the same commit
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PY) -m build --no-isolation
	$(PY) -m twine check --strict dist/*

# Every package of the environment at its version; one that the service cannot tell of fails, and so does no answer.
# What was looked into and does not concern this project: IGNORED="--ignore-vuln ID", with the reason here.
IGNORED =
audit: dev  ## known vulnerabilities of all packages that are installed here (asks the service of the index; fails without an answer)
	$(PY) -m pip install -q 'pip-audit>=2.7'
	$(PY) -m pip freeze --exclude perfcore > build/audited.txt
	$(PY) -m pip_audit --strict --no-deps --disable-pip --progress-spinner off $(IGNORED) -r build/audited.txt || \
	    { echo "The audit found something, or has no answer from the service: see above. This is no pass."; exit 1; }

clean:  ## remove everything that was built
	rm -rf build dist *.egg-info perfcore/_native/*.so
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

dev: $(VENV)/.dev build/.native

servers:
	@tools/debian-packages redis-server=redis-server redis-cli=redis-tools openssl=openssl

# What shell completion is tried in, besides bash.
shells:
	@tools/debian-packages zsh=zsh fish=fish

# What the live page is looked at with.
browser:
	@tools/debian-packages chromium=chromium

# CPython's tests of thread pools, which some installations of it leave out.
suites:
	@tools/debian-packages /usr/lib/python3.11/test/test_concurrent_futures.py=libpython3.11-testsuite

# What generated rules and exported metrics are checked with, and the Prometheus that scrapes them.
promtool:
	@tools/debian-packages promtool=prometheus

# What the ring and the queue are explored with.
proofs:
	@tools/debian-packages g++=g++ spin=spin /usr/include/relacy/relacy.hpp=relacy-dev

# A virtual environment that can build. The version is checked here, where the message can say what to do.
$(VENV)/.base: Makefile
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "perfcore needs Python 3.11 or newer with venv; name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --upgrade pip
	$(PY) -m pip install -q 'Cython>=3.3' 'setuptools>=77' wheel
	@touch $@

# The extensions are built in place below, and not once more by pip. That the tree is what gets imported is meant so.
WITHOUT_EXTENSIONS = PERFCORE_BUILD=none PYTHONWARNINGS='ignore:Editable installation'

$(VENV)/.run: $(VENV)/.base pyproject.toml
	$(WITHOUT_EXTENSIONS) $(PY) -m pip install -q --no-build-isolation -e '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml
	$(WITHOUT_EXTENSIONS) $(PY) -m pip install -q --no-build-isolation -e '.[dev]'
	@touch $@ $(VENV)/.run

# The other libraries, to be measured beside.
$(VENV)/.bench: $(VENV)/.base pyproject.toml
	$(WITHOUT_EXTENSIONS) $(PY) -m pip install -q --no-build-isolation -e '.[bench]'
	@touch $@

build/.native: $(NATIVE_SOURCES) | $(VENV)/.run
	$(PY) setup.py -q build_ext --inplace
	@mkdir -p build && touch $@

# A sanitized copy of the whole package, beside the one that is installed.
build/%/.built: $(NATIVE_SOURCES) $(wildcard perfcore/*.py perfcore/*/*.py perfcore/*/*/*.py) | $(VENV)/.dev
	PERFCORE_BUILD=$* $(PY) setup.py -q build --build-base build/$*-work --build-lib build/$*
	@touch $@

# Of pyparsing, which warns of what matplotlib 3.8 calls, what was there at the time.
build/oldest/.built: pyproject.toml tools/oldest.py | $(VENV)/.base
	$(PY) -m venv build/oldest
	$(PY) tools/oldest.py all starlette >build/oldest/requirements.txt
	build/oldest/bin/python -m pip install -q --only-binary :all: -r build/oldest/requirements.txt 'Cython>=3.3' 'setuptools>=77' \
	    hypothesis pytest pytest-asyncio pytest-timeout pytest-benchmark httpx jsonschema 'pyparsing<3.3'
	$(WITHOUT_EXTENSIONS) build/oldest/bin/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

build/free-threaded/bin/python:
	@mkdir -p build
	"$$(tools/free-threaded-python)" -m venv build/free-threaded

# numpy and psutil have wheels for 3.13t; msgspec, lmdb and zstandard do not, and nothing that needs them is tested there.
build/free-threaded/.built: $(NATIVE_SOURCES) $(wildcard perfcore/*.py perfcore/*/*.py) | build/free-threaded/bin/python
	build/free-threaded/bin/python -m pip install -q --only-binary hypothesis,numpy,psutil 'Cython>=3.3' 'setuptools>=77' 'numpy<2.4' platformdirs psutil \
	    hypothesis pytest pytest-asyncio pytest-timeout
	build/free-threaded/bin/python setup.py -q build --build-base build/free-threaded-work --build-lib build/free-threaded
	@touch $@

# Of the other caches what has a wheel for it, and lru-dict from its source; who does not install is named in the report.
# theine asks for zstandard, which has no wheel, and which its caches do without.
build/free-threaded/.rivals: build/free-threaded/.built
	@for rival in cachebox cachetools '--no-binary lru-dict --no-build-isolation lru-dict' moka-py 'theine theine-core typing_extensions'; do \
	    build/free-threaded/bin/python -m pip install -q --no-deps --only-binary :all: $$rival 2>/dev/null || \
	        echo "$$rival does not install on a CPython without the GIL"; \
	done
	@touch $@

.PHONY: docs report bench-compare free-threaded-rivals browser suites servers proofs promtool nab free-threaded help run test pytest c-test lint types bench asan tsan prove chaos fuzz dist clean dev
.PHONY: coverage coverage-native coverage-python oldest
.PHONY: audit wheels wheels-quick checks legs
