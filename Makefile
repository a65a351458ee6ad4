# make app    the page on http://127.0.0.1:7860
# make test   format, lint, types, import contracts and all tests, the browser's too
# make lint   the same without the tests
# make train  data, teacher, student, export and results, each command printed as it runs;
#             FACES=DIR takes a part of the synthetic heads from the portraits in DIR, PULSES=DIR
#             a part of the pulses from recordings of fingers
# make study  what each part of the distillation is worth, which operator over time is best, how
#             hard the synthetic world is: hours; FACES and PULSES as for train
# make rivals networks and methods of other packages on the same pictures, in an environment of
#             their own; FACES and PULSES as for train, REAL=CLIP BPM=RATE reads a real clip too
# make bench  what teacher and student cost on this machine
# make lock   requirements.lock: the page's packages and all they need, by their digests
# make licences  of those, into docs/licences.md
# make audit  known weaknesses of those, from a public database
#
# Each sets up .venv by itself, and again when a list of requirements has changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := app
.PHONY: app test lint style types imports train study rivals bench lock licences audit chromium \
    compiled tests

FACES ?=# folder of portraits that lend their looks to a part of the synthetic heads
PULSES ?=# folder of pulse recordings that lend their waves to a part of the clips
SOURCES ?=# a sentence for the model cards: where those came from, and under which licence
TELL = $(if $(SOURCES),--sources "$(SOURCES)")
REAL ?=# a real clip, and
BPM ?=# its heart rate
READ = $(if $(REAL),--real $(REAL) --real-bpm $(BPM))
LENT = $(if $(FACES),--faces $(FACES)) $(if $(PULSES),--pulses $(PULSES))
WORLD = --config.rates log $(subst --,--config.,$(LENT))

PIP := .venv/bin/python -m pip
PIP_VERSION := 26.3
PYTHON := .venv/bin/python
NEED_PYTHON := KDPhys needs Python 3.11 or 3.12 with its venv module: install python3.11 and \
python3.11-venv (Debian, Ubuntu) or get Python from python.org, then run make again.
NEED_CHROMIUM := The browser tests need Chromium: install it (Debian: apt-get install chromium) \
so that chromium, chromium-browser or google-chrome is on PATH, then run make test again.
NEED_DATABASE := The public database could not be reached for every package of requirements.lock, so \
nothing is known of their weaknesses (.venv/audit.txt says more): run make audit where it can be.

app: .venv/.app
	$(PYTHON) app.py

test: # types beside the tests, some of which wait for a camera
	$(MAKE) --no-print-directory --jobs=2 style imports compiled chromium
	$(MAKE) --no-print-directory --jobs=2 types tests

tests: .venv/.dev chromium
	unset MAKEFLAGS # of this make, and not of those that tests start
	$(PYTHON) -m pytest -m "" --durations=15

lint: style types imports

style: .venv/.dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: .venv/.dev
	nice .venv/bin/pyright

imports: .venv/.dev
	.venv/bin/lint-imports

train: .venv/.train
	set -x
	export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=268435456 # halves the time
	$(PYTHON) train/synthetic.py --out data/train --clips 1600 --config.seconds 12 $(WORLD)
	$(PYTHON) train/synthetic.py --out data/second --clips 2400 --seed 1600 --config.seconds 12 $(WORLD)
	$(PYTHON) train/synthetic.py --out data/third --clips 2400 --seed 4000 --config.seconds 12 $(WORLD)
	$(PYTHON) train/synthetic.py --out data/fourth --clips 2400 --seed 6400 --config.seconds 12 $(WORLD)
	$(PYTHON) train/synthetic.py --out data/check --clips 96 --seed 900000 $(WORLD)
	$(PYTHON) train/teacher.py --out runs/teacher --schedule.steps 2500
	distill() { $(PYTHON) train/distill.py --teacher runs/teacher "$$@"; }
	distill --out runs/first --schedule.steps 4000
	distill --out runs/second --start runs/first --data data/second --schedule.steps 4000 --schedule.seed 1
	for seed in 3 4; do
	    distill --out runs/third-$$seed --start runs/second --data data/second data/third \
	        --schedule.steps 5000 --schedule.seed $$seed
	done
	$(PYTHON) train/soup.py --runs runs/third-3 runs/third-4 --out runs/third
	for seed in 5 6; do
	    distill --out runs/fourth-$$seed --start runs/third --data data/third data/fourth \
	        --look-ahead 6 --distill.dilate 0 --schedule.steps 5000 --schedule.seed $$seed
	done
	$(PYTHON) train/soup.py --runs runs/fourth-5 runs/fourth-6 --out runs/student
	$(PYTHON) train/export.py --model teacher --run runs/teacher --out weights/teacher $(TELL)
	$(PYTHON) train/export.py --model student --run runs/student --out weights/student $(TELL)
	$(PYTHON) train/confidence.py $(LENT)
	$(PYTHON) train/evaluate.py --clips 2400 --negatives 200 --out docs/results --note $(LENT)

study: .venv/.train
	set -x
	export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=268435456
	$(PYTHON) train/operators.py
	$(PYTHON) train/ablate.py $(LENT)
	$(PYTHON) train/realism.py $(LENT)

rivals: .venv/.rivals .venv/.train
	$(PYTHON) train/rivals.py $(LENT) $(READ)

bench: .venv/.app
	$(PYTHON) -m kdphys bench

lock: .venv/.release
	.venv/release/bin/pip-compile --quiet --generate-hashes --strip-extras --no-annotate --no-header \
	    --no-emit-options --output-file .venv/lock requirements.txt
	{ head -2 requirements.lock; cat .venv/lock; } > .venv/lock.new
	mv .venv/lock.new requirements.lock

licences: .venv/.release .venv/.app
	packages=$$(sed -n 's/==.*//p' requirements.lock)
	{ printf '# Licences of what the page installs\n\nMade by `make licences` from what the packages say of themselves. Some bring libraries under\nterms of their own, such as FFmpeg in av: see each package.\n\n'
	  .venv/release/bin/pip-licenses --python $(PYTHON) --format markdown --packages $$packages; } > docs/licences.md

audit: .venv/.release
	@status=0
	.venv/release/bin/pip-audit --strict --progress-spinner off --require-hashes --disable-pip \
	    -r requirements.lock 2> .venv/audit.txt || status=$$?
	if ! grep -E '^(No known|Found [0-9]+ known) vulnerabilit' .venv/audit.txt >&2; then
	    echo "$(NEED_DATABASE)" >&2
	    exit 1
	fi
	exit $$status

# Setting up: each stamp says that what it names has been installed.

.venv/.base: Makefile
	@if [ ! -x $(PYTHON) ]; then
	    for python in python3.11 python3.12 python3; do
	        if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null; then
	            "$$python" -m venv .venv
	            break
	        fi
	    done
	fi
	if [ ! -x $(PYTHON) ]; then
	    echo "$(NEED_PYTHON)" >&2
	    exit 1
	fi
	$(PIP) install --quiet --disable-pip-version-check "pip==$(PIP_VERSION)"
	touch $@

.venv/.app: .venv/.base requirements.txt
	$(PIP) install --quiet -r requirements.txt
	touch $@

.venv/.train: .venv/.base requirements.txt requirements-train.txt pyproject.toml
	$(PIP) install --quiet -r requirements-train.txt
	touch $@ .venv/.app

.venv/.dev: .venv/.base requirements.txt requirements-train.txt pyproject.toml
	$(PIP) install --quiet --no-compile -r requirements-train.txt --group dev
	touch $@ .venv/.train .venv/.app

compiled: .venv/.compiled

.venv/.compiled: .venv/.dev # what pip does on one core; some packages carry templates that are no Python
	$(PYTHON) -m compileall -qq -j 2 .venv/lib || true
	touch $@

.venv/.release: .venv/.base pyproject.toml
	$(PYTHON) -m venv .venv/release
	.venv/release/bin/python -m pip install --quiet "pip==$(PIP_VERSION)"
	.venv/release/bin/python -m pip install --quiet --group release
	touch $@

.venv/.rivals: .venv/.base pyproject.toml
	$(PYTHON) -m venv .venv/rivals
	.venv/rivals/bin/python -m pip install --quiet "pip==$(PIP_VERSION)"
	.venv/rivals/bin/python -m pip install --quiet --group rivals
	touch $@

chromium:
	@for browser in chromium chromium-browser google-chrome; do
	    if command -v "$$browser" > /dev/null; then exit 0; fi
	done
	as_root=
	if [ "$$(id -u)" != 0 ]; then
	    if command -v sudo > /dev/null; then as_root=sudo; fi
	    if [ -z "$$as_root" ]; then echo "$(NEED_CHROMIUM)" >&2; exit 1; fi
	fi
	if ! command -v apt-get > /dev/null; then echo "$(NEED_CHROMIUM)" >&2; exit 1; fi
	$$as_root apt-get update --quiet=2
	if ! $$as_root apt-get install --quiet=2 --yes --no-install-recommends chromium; then
	    echo "$(NEED_CHROMIUM)" >&2
	    exit 1
	fi
