# Each command sets up what it needs on a bare Debian or Ubuntu with Python ≥ 3.11, as root: apt packages, uv in a
# virtual environment of its own, and the locked environment.

VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
READY := $(VENV)/.ready
APT := openvswitch-switch openvswitch-common ovn-central ovn-host mininet iproute2 iputils-ping ethtool nftables tcpdump procps openssl

# Test files of different rooms have the same names, so mypy looks at one room at a time.
ROOMS := benchmarks/ tests/conftest.py $(filter-out tests/unit/,$(sort $(dir $(wildcard tests/*/*.py tests/golden/*/*.py tests/unit/*/*.py))))

.PHONY: demo test browser check bench fuzz differential equivalence matrix lost-copies setup apt lock clean

demo: setup
	$(BIN)/vtrace demo

test: browser check
	$(BIN)/pytest tests/functional
	$(BIN)/pytest tests/emulation

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	set -e; for room in $(ROOMS); do $(BIN)/mypy $$room; done
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit tests/golden tests/architecture tests/fuzz

bench: setup
	$(BIN)/python benchmarks/run.py

fuzz: setup
	$(BIN)/python benchmarks/fuzz.py $(or $(N),1000000)

differential: setup
	$(BIN)/python benchmarks/differential.py $(or $(N),100000)

equivalence: setup
	$(BIN)/python benchmarks/equivalence.py $(or $(N),10000) $(SEED)

matrix: setup
	$(BIN)/python benchmarks/matrix.py $(N)

lost-copies: setup
	$(BIN)/python benchmarks/missing_copies.py $(N)

setup: apt $(READY)

# Pages are looked at in a real browser; nothing but the tests needs one.
browser:
	@command -v chromium >/dev/null || { \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium; }

apt:
	@dpkg -s $(APT) python3-venv >/dev/null 2>&1 || { \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $(APT) python3-venv; }

$(UV): | apt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	python3 -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

$(READY): $(UV) requirements.lock requirements-build.txt pyproject.toml
	test -x $(BIN)/python || $(UV) venv --quiet --python python3 $(VENV)
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --build-constraints requirements-build.txt --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --no-deps --python $(BIN)/python --editable .
	$(BIN)/python -m compileall -q vtrace_ovs
	touch $(READY)

# The lock is a hashed requirements file and not uv.lock: that format writes a registry's address beside every package.
lock: $(UV)
	$(UV) pip compile pyproject.toml --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --build-constraints requirements-build.txt --extra ryu --extra lab --group dev -o requirements.lock

clean:
	rm -rf $(VENV) .uv .pytest_cache .mypy_cache .ruff_cache .hypothesis
