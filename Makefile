# Every command sets up what it needs on a bare Debian/Ubuntu (as root): apt packages, uv, the locked environment.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
APT := openvswitch-switch openvswitch-common mininet iproute2 iputils-ping ethtool tcpdump procps python3-venv ca-certificates

.PHONY: setup demo test check bench lock clean

setup: $(VENV)/.ready .apt-ready

demo: setup
	$(BIN)/vtrace demo

test: check
	$(BIN)/pytest tests/functional
	$(BIN)/pytest tests/emulation

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit tests/golden tests/architecture

bench: setup
	$(BIN)/python benchmarks/run.py
