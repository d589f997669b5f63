# The five commands of this project; each installs what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
TESTS ?= tests

# What the tests with real phones, proxies and SDKs need from Debian: program=package. Only what is missing is
# installed, since a machine may have Node from elsewhere, beside which Debian's npm cannot be.
PHONES := sipp=sip-tester baresip=baresip openssl=openssl node=nodejs npm=npm \
	kamailio=kamailio-tls-modules linphonec=linphone-cli ip=iproute2 nft=nftables curl=curl
MISSING = $(foreach pair,$(PHONES),$(if $(shell command -v $(firstword $(subst =, ,$(pair)))),,$(lastword $(subst =, ,$(pair)))))

.PHONY: serve test check bench example format phones clean

serve: $(VENV)/.serve
	@exec $(BIN)/mixminus serve $(ARGS)

# Two at a time, those of a file in one process, since most of the time tests wait; then what loads the server and
# wants the machine for itself. (5: there is none of that among the tests that were asked for.)
test: $(VENV)/.test phones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone" $(TESTS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -m alone $(if $(filter tests,$(TESTS)),tests/e2e,$(TESTS)) || [ $$? -eq 5 ]

check: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.conformance

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks --short

example: $(VENV)/.serve
	@exec $(BIN)/python examples/app.py

format: $(VENV)/.check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# In CI the phones are installed; elsewhere the line to install them with is named, and the tests
# that need them are skipped.
phones:
	@if [ -n "$(strip $(MISSING))" ]; then \
	    if [ -n "$$CI" ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $(MISSING); \
	    else echo "Some tests need other programs and will be skipped: apt-get install $(MISSING)"; fi; \
	fi

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# One environment; each stamp says which extras are in it. A second start finds the stamp and
# installs nothing, so it works offline.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MixMinus needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.serve

$(VENV)/.check: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[check]'
	@touch $@ $(VENV)/.serve

$(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@ $(VENV)/.serve $(VENV)/.test
