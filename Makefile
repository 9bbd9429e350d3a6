# `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SCRAPY := $(BIN)/scrapy
RIVALS := var/bench-venv
RIVALS_LOCK := tests/bench/requirements.lock
DEMO := var/demo
DEMO_OPTIONS := -s TGE_REPLAY=$(DEMO)/archive.warc.gz \
	-s TGE_DATABASE_URL=sqlite:///$(DEMO)/tge.db \
	-s TGE_WATCHLIST=tgecrawler/demo/watchlist.yaml \
	-s TGE_SOURCES=tgecrawler/demo/sources.yaml

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-distributed crawl watch test test-quick lint format docs fit bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install what requirements.lock says

$(STAMP): requirements.lock deploy/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh deploy/install.sh
	@touch $@

demo: setup ## crawl the bundled archive, without network, and show what it found
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@$(BIN)/python -m tgecrawler.demo.build $(DEMO)/archive.warc.gz
	@$(SCRAPY) crawl rss $(DEMO_OPTIONS) -s TGE_STATS_JSON=$(DEMO)/rss.json
	@$(SCRAPY) crawl articles $(DEMO_OPTIONS) -s TGE_STATS_JSON=$(DEMO)/articles.json
	@$(SCRAPY) alerts $(DEMO_OPTIONS)
	@$(SCRAPY) events $(DEMO_OPTIONS)

demo-distributed: setup ## the same archive by three workers over a Redis and a PostgreSQL of their own; one is killed
	@$(BIN)/python -m tgecrawler.demo.distributed var/demo-distributed

crawl: setup ## one cycle over the live default sources into var/tge.db
	@$(SCRAPY) crawl rss

watch: setup ## poll the live default sources for ever, each by its own rhythm
	@$(SCRAPY) crawl rss -a watch=1

test: setup lint ## everything that CI runs
	@$(BIN)/python -m pytest -n 4 --dist loadfile -m "not alone" --cov --cov-report= --durations=5 -rs
	@$(BIN)/python -m pytest -m alone --cov --cov-append --cov-report=term:skip-covered -rs

test-quick: setup ## what takes no server and no crawl: under a minute
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests/unit tests/test_architecture.py -rs

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## let ruff put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

LABELLED ?= ../shared/data/labelled
STREAM ?= ../shared/data/news/stream_2021_2024.jsonl.gz
FIT_FILES = $(LABELLED)/dev.jsonl $(LABELLED)/clusters_dev.jsonl $(LABELLED)/stream_window.jsonl var/fit/stream.jsonl
FIT_WRITTEN = $(addprefix --written ,$(wildcard tests/gate/written_*.jsonl))

fit: setup ## fit tgecrawler/config/weights.tsv anew on labelled records, and cross-validate
	@$(BIN)/python tests/gate/stream_records.py $(STREAM) var/fit/stream.jsonl
	@$(SCRAPY) fit $(FIT_FILES) $(FIT_WRITTEN) --cross-validate --hold-out $(LABELLED)/stream_window.jsonl \
		--out tgecrawler/config/weights.tsv

docs: demo ## write the generated pages and the picture anew
	@$(BIN)/python -m tgecrawler.manual
	@$(SCRAPY) alerts $(DEMO_OPTIONS) --svg docs/demo.svg

bench: setup $(RIVALS)/.installed ## the benchmarks and the soaks (half an hour): tables, JSON under var/bench/
	@$(BIN)/python tests/bench/run.py
	@$(BIN)/python tests/bench/run.py --soak

$(RIVALS)/.installed: $(RIVALS_LOCK) deploy/install.sh
	@mkdir -p $(RIVALS)
	@PYTHON="$(PYTHON)" VENV="$(RIVALS)" LOCK="$(RIVALS_LOCK)" sh deploy/install.sh
	@touch $@

lock: setup ## pin everything below requirements.txt, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --no-annotate \
		--python-version 3.11 --custom-compile-command "make lock" \
		requirements.txt --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --no-annotate \
		--python-version 3.11 --custom-compile-command "make lock" \
		tests/bench/requirements.txt --output-file $(RIVALS_LOCK)

clean: ## remove what was built and crawled, but not .venv
	@rm -rf var build dist .pytest_cache .mypy_cache .ruff_cache .coverage .hypothesis
