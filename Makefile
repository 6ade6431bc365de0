# make demo, make test: each installs what it needs into .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# A file format, an option of ffmpeg, and what the tests misspell on purpose.
MEANT := alis,caf,clasify,embeded,rin,simpy,lable
WRITTEN := src tests tools benchmarks examples docs README.md CHANGELOG.md CONTRIBUTING.md

.PHONY: help install demo test spelling slow conformance bench lock clean

help:
	@echo "make demo     every stage on a synthetic town, into demo/, with screenshots of the page"
	@echo "make test     what a change must pass"
	@echo "make slow     the tests that take minutes"
	@echo "make conformance  read a corpus of unusual media files in every way, and print what is right and wrong"
	@echo "make bench    times beside other tools, into benchmarks/results.md; most of an hour"
	@echo "make install  avscene and its tools into .venv"
	@echo "make lock     newest versions of everything into constraints.txt"
	@echo "make clean    remove .venv, demo/ and caches"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --no-input -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	rm -rf demo
	$(BIN)/avscene demo --output demo
	$(BIN)/python -m tools.page_screenshots demo

test: install spelling
	@command -v chromium chromium-browser google-chrome > /dev/null || \
		echo "no Chromium: tests of the page are skipped; try: apt-get install chromium"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

spelling: install
	$(BIN)/codespell --ignore-words-list $(MEANT) $(WRITTEN)

slow: install
	$(BIN)/pytest -m slow

conformance: install
	$(BIN)/python -m tests.media_conformance

bench: install
	$(BIN)/pip install --disable-pip-version-check --no-input -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks

# A fresh environment, without constraints: about 6 GB and a few minutes.
lock:
	set -e; venv=$$(mktemp -d); trap 'rm -rf "$$venv" constraints.txt.part' EXIT; \
	$(PYTHON) -m venv "$$venv"; \
	"$$venv/bin/pip" install --disable-pip-version-check --no-input '.[dev,bench,gs,az]'; \
	head -n 1 constraints.txt > constraints.txt.part; \
	"$$venv/bin/pip" freeze --all --exclude pip --exclude avscene > "$$venv/pins"; \
	LC_ALL=C sort -f "$$venv/pins" >> constraints.txt.part; \
	mv constraints.txt.part constraints.txt

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
