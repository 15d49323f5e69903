# Everything runs in .venv, made from the lock file on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# What is run here starts hundreds of processes of our own, each of which would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest test-ha fast check format bench docs examples screenshots site changelog lock clean

help: ## Show what there is to make
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY) ## Show the main job: a fleet registered, pushed to and accounted for; Ctrl-C ends it
	@$(BIN)/pushkeeper demo

# Libraries of others that do not fit into .venv: Customer.io's by its name, those that send pushes by what they need, what
# makes a client of our own description, and what runs on Node by its language (skipped without npm; what is optional,
# Firestore and the like, sends no push).
PYTHON_CLIENTS := $(foreach of,cdp openapi senders,tests/clients/$(of)/.venv/.ready)
NODE_CLIENTS := $(if $(shell command -v npm),tests/clients/node/node_modules/.ready)

$(PYTHON_CLIENTS): tests/clients/%/.venv/.ready: requirements/clients-%.lock
	$(PYTHON) -m venv tests/clients/$*/.venv
	tests/clients/$*/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

tests/clients/node/node_modules/.ready: tests/clients/node/package-lock.json
	npm ci --silent --no-audit --no-fund --omit=optional --prefix tests/clients/node
	touch $@

# What builds the documentation's site has an environment of its own.
SITE := .venv-site/.ready

$(SITE): requirements/docs.lock
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

test: $(READY) $(PYTHON_CLIENTS) $(NODE_CLIENTS) $(SITE) ## Run every test, on all processors
	$(BIN)/python -m pytest -n logical --dist loadfile

OLDEST ?= /usr/lib/postgresql/15/bin

# What these are about is no statement: answers of push services, texts, limits and shapes, the same on every server.
ON_ANY_SERVER := $(foreach of,api_examples clock_skew decision_table hostile_world lanes_end_to_end payload_limits previews \
	schemas sdk_sequences snippets strange_answers templates webhooks,--ignore tests/services/test_$(of).py)

test-oldest: $(READY) ## Run the rings of store, services and worker on the oldest PostgreSQL that is supported
	$(BIN)/python -m pytest -n logical --dist loadfile --postgres $(OLDEST) $(ON_ANY_SERVER) tests/store tests/services tests/worker

# Patroni has an environment of its own.
HA := tests/ha/.venv/.ready

$(HA): requirements/ha.lock
	$(PYTHON) -m venv tests/ha/.venv
	tests/ha/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# In namespaces of its own, of the network and of processes: nothing that it starts outlives it, or is seen from outside.
test-ha: $(READY) $(HA) ## Pull cables on a PostgreSQL cluster, 10 minutes (as root; needs etcd-server, haproxy, iproute2)
	unshare --net --mount --pid --fork --kill-child --mount-proc $(BIN)/python -m pytest tests/ha $(ARGS)

fast: $(READY) ## Run what needs no database and no other process: pure rules, provider tables, the worker's decisions, the law
	$(BIN)/python -m pytest -n logical --dist loadfile --pure --ignore tests/core/test_template_cost.py tests/core tests/providers tests/worker tests/law

check: $(READY) ## Lint, types, the import law, banned words, and known vulnerabilities where the advisories can be had
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --quiet -p no:cacheprovider tests/law/test_words.py
	$(BIN)/python requirements/audit.py

format: $(READY) ## Put the code into shape
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(READY) ## Measure: the sender beside h2load, the pipeline, the APIs, broadcasts, audiences, the dashboard, neighbours, start-up and memory
	for what in sender pipeline ingest transactional broadcast rendering reading dashboard neighbour startup; do $(BIN)/python -m benchmarks $$what; done

docs: $(READY) ## Write the generated pages of docs/reference
	PYTHONPATH=. $(BIN)/python docs/generate.py

examples: $(READY) ## Record the examples of the API reference
	PUSHKEEPER_EXAMPLES=1 $(BIN)/python -m pytest --quiet tests/services/test_api_examples.py

screenshots: $(READY) ## Take the pictures of the documentation (needs Chromium)
	PUSHKEEPER_SCREENSHOTS=docs/images $(BIN)/python -m pytest --quiet tests/browser/test_pictures.py

site: $(SITE) docs ## Build the documentation's site into site/, every link checked
	.venv-site/bin/zensical build --strict --clean

changelog: $(READY) ## Assemble the changelog of a release from its fragments: make changelog VERSION=0.2.0
	@test -n "$(VERSION)" || { echo "VERSION is missing: make changelog VERSION=0.2.0"; exit 2; }
	$(BIN)/towncrier build --yes --version $(VERSION)

lock: ## Pin the dependencies (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --upgrade -q -o requirements/runtime.lock
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header -c requirements/runtime.lock --upgrade -q -o requirements/dev.lock
	echo customerio-cdp-analytics | uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade -q -o requirements/clients-cdp.lock
	printf '%s\n' aioapns async-firebase fcm-django firebase-admin kalyke-apns pyfcm pywebpush | uv pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -q -o requirements/clients-senders.lock
	echo openapi-python-client | uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade -q -o requirements/clients-openapi.lock
	echo 'patroni[etcd3,psycopg3]>=4.1' | uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade -q -o requirements/ha.lock
	# Later ones need zensical-ui, which could not be had when this was written.
	echo 'zensical<0.0.74' | uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade -q -o requirements/docs.lock

clean: ## Remove what make made
	rm -rf $(VENV) .venv-site site .cache tests/clients/*/.venv tests/ha/.venv tests/clients/node/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
