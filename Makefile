# Rowpost: `make run` starts the product, `make test` the tests. Everything else is here too.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
export PORT
export POSTGRES ?= postgres://postgres@127.0.0.1:5432/postgres
export REDIS ?= redis://127.0.0.1:6379/0
export RABBITMQ ?= amqp://guest:guest@127.0.0.1:5672//

.PHONY: run setup setup-dev test check test-all test-all-servers test-browser screenshots bench lock clean

run: setup
	@exec $(BIN)/python manage.py run --port $(PORT)

setup: var/.ready

var/.ready: .venv/.installed $(shell find templates/static config/demo/samples -type f 2>/dev/null) $(wildcard */migrations/*.py)
	@mkdir -p var
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0
	@touch $@

.venv/.installed: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "A virtual environment cannot be made: apt install python3-venv"; exit 1; }
	@echo "Installing what Rowpost needs (once)…"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

setup-dev: .venv/.installed-dev

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# The suite on the embedded defaults: SQLite, and the broker without a server. Four at once: many tests wait.
test: setup-dev
	@$(BIN)/python -m pytest -n 4 $(ARGS)

check: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy config feeds deliveries outbox tests
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check --fail-level WARNING

# The same suite on PostgreSQL with Redis, what runs real processes once more with RabbitMQ, and the browser.
test-all: test test-all-servers test-browser

test-all-servers: setup-dev
	@$(BIN)/python -m tests.servers
	@DATABASE_URL=$(POSTGRES) BROKER_URL=$(REDIS) $(BIN)/python -m pytest -n 4 $(ARGS)
	@DATABASE_URL=$(POSTGRES) BROKER_URL=$(RABBITMQ) $(BIN)/python -m pytest -n 4 -m processes $(ARGS) tests/acceptance

# The pages in Chromium (CHROMIUM names another than Debian's).
test-browser: setup-dev
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m browser $(ARGS) tests/browser

# Every page, on a desktop and a phone, light and dark: the best into docs/screenshots, all into var/screenshots.
screenshots: setup-dev
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m tests.browser.screenshots

bench: setup-dev
	@$(BIN)/python -m tests.bench $(ARGS)

lock:
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-header \
	  -o requirements.txt pyproject.toml
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
	  --no-header --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
