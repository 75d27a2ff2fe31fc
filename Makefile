# Every target sets up .venv by itself, once, and again when the dependencies change; the demo
# does without the tools of development.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
DEV_INSTALLED := .venv/.installed-dev
DOCS_INSTALLED := .venv/.installed-docs
QT_READY := .venv/.qt-ready

# Modules are compiled when they are first imported: most of what is installed never is.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

# What Qt needs of the system, as Debian package:file. First what drawing without a screen needs,
# then a real window, then a virtual screen, then a font.
QT_NEEDS := \
  libegl1:libEGL.so.1 libgl1:libGL.so.1 libxkbcommon0:libxkbcommon.so.0 \
  libdbus-1-3:libdbus-1.so.3 libfontconfig1:libfontconfig.so.1 \
  libglib2.0-0:libglib-2.0.so.0 libx11-6:libX11.so.6 \
  libxcb-cursor0:libxcb-cursor.so.0 libxkbcommon-x11-0:libxkbcommon-x11.so.0 \
  libxcb-icccm4:libxcb-icccm.so.4 libxcb-keysyms1:libxcb-keysyms.so.1 \
  libxcb-image0:libxcb-image.so.0 libxcb-render-util0:libxcb-render-util.so.0 \
  libxcb-randr0:libxcb-randr.so.0 libxcb-shape0:libxcb-shape.so.0 \
  libxcb-xkb1:libxcb-xkb.so.1 libx11-xcb1:libX11-xcb.so.1 \
  xvfb:Xvfb xauth:xauth \
  fonts-dejavu-core:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

# Recipes are small bash scripts that stop at the first failure.
SHELL := bash
.SHELLFLAGS := -euc
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long coverage lint docs docs-check docs-check-full docs-figures wheel bench clean

help:
	@cat <<-'END'
	make demo       the demo: a window, or 20 s of decisions where there is no display
	make test       the tests; ARGS="-k name" chooses among them
	make test-long  the tests that take minutes
	make coverage   the tests, and the lines of the package that they do not reach
	make lint       ruff, mypy and codespell
	make wheel      the package, built and tried in an empty environment
	make docs       the manual, into docs/_build/html
	make docs-check       the commands, options, examples and links of README and docs, in short
	make docs-check-full  the same, every command as it is written: hours
	make docs-figures     the pictures of the manual
	make bench      the scripts of benchmarks/, but the one that needs recordings of people
	make clean      remove what the targets above have built, except .venv
	END

setup: $(DEV_INSTALLED) $(QT_READY)

demo: $(INSTALLED) $(QT_READY)
	@$(BIN)/semgfin-rt demo $(ARGS)

test: setup
	@QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

# Half an hour a test: the longest replays a recording in real time.
test-long: setup
	@QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m long --timeout 1800 $(ARGS)

# Told also where a test fails: measuring slows everything down, and some wait only so long.
coverage: setup
	@$(BIN)/coverage erase
	status=0
	QT_QPA_PLATFORM=offscreen $(BIN)/coverage run -m pytest -n auto --dist loadfile $(ARGS) || status=$$?
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	exit $$status

lint: setup
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell
	echo "codespell found nothing"

# docs/api is generated: pages of modules that are gone must not stay.
docs: setup $(DOCS_INSTALLED)
	@rm -rf docs/api
	QT_QPA_PLATFORM=offscreen $(BIN)/sphinx-build -j auto -W --keep-going -q docs docs/_build/html
	echo "The manual is docs/_build/html/index.html"

docs-check: setup
	@$(BIN)/python docs/check.py $(ARGS)

docs-check-full: setup
	@$(BIN)/python docs/check.py --full $(ARGS)

# The demo's window, docs/pictures.py, and the curves that `make bench` has measured before: nothing is measured here.
docs-figures: setup
	@QT_QPA_PLATFORM=offscreen $(BIN)/semgfin-rt demo --seconds 12 --theme dark --screenshot docs/images/window.png
	QT_QPA_PLATFORM=offscreen $(BIN)/python docs/pictures.py docs/images
	$(BIN)/python - <<-'END'
	import json
	from pathlib import Path
	from semgfin_rt.app.bench_plot import draw
	measured = json.loads(Path("benchmarks/decision.json").read_text())
	draw(measured["curves"], Path("docs/images/decision_cost.png"))
	END

# The wheel alone, outside the checkout. Its dependencies come from .venv, as a path: packages by
# name, but not this one, whose editable install is a hook that a path does not run.
wheel: setup
	@rm -rf dist build
	$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	empty=$$(mktemp -d); trap 'rm -rf "$$empty"' EXIT
	$(BIN)/python -m venv --without-pip "$$empty/env"
	$(BIN)/python -m pip --python "$$empty/env/bin/python" install --quiet --disable-pip-version-check --no-deps dist/*.whl
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$$(echo "$$empty"/env/lib/python*/site-packages)/dependencies.pth"
	cd "$$empty"
	env/bin/python -c 'import semgfin_rt, sys; assert semgfin_rt.__file__.startswith(sys.prefix), semgfin_rt.__file__'
	env/bin/semgfin-rt demo --headless --seconds 5
	env/bin/semgfin-train synth --out D --subjects 1 --movements 2 --repetitions 2
	echo "The wheel works alone: $$(ls -sh "$$OLDPWD"/dist)"

bench: setup
	@shopt -s nullglob
	for script in benchmarks/*.py; do
	  [[ $$script == */ablation.py ]] && continue  # needs recordings of people
	  echo "== $$script"
	  $(BIN)/python "$$script" $(ARGS)
	done

clean:
	@rm -rf build dist *.egg-info .coverage* docs/_build docs/api .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find semgfin_rt tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || {
	  echo "$(PYTHON) is missing: install Python 3.11 or newer, or name one with 'make PYTHON=...'."
	  exit 1
	}
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	  echo "$$($(PYTHON) --version) is too old: name a Python of 3.11 or newer with 'make PYTHON=...'."
	  exit 1
	}
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || {
	  echo "$(PYTHON) cannot make virtual environments: sudo apt-get install -y python3-venv"
	  exit 1
	}
	echo "Setting up .venv (once; a minute or two, torch is large) ..."
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	touch $@

$(DEV_INSTALLED): $(INSTALLED)
	@echo "Adding the tools of development to .venv (once) ..."
	$(INSTALL) -e '.[dev]'
	touch $@

$(DOCS_INSTALLED): $(DEV_INSTALLED)
	@echo "Adding what the manual needs to .venv (once) ..."
	$(INSTALL) -e '.[docs]'
	touch $@

# Missing libraries are installed where that needs no password. Otherwise the apt line is shown and
# the target goes on: without a display most of the program needs none of them.
$(QT_READY): $(INSTALLED)
	@export PATH="$$PATH:/usr/sbin:/sbin" DEBIAN_FRONTEND=noninteractive
	command -v ldconfig >/dev/null || exit 0
	missing() {
	  local cache need file; cache=$$(ldconfig -p)
	  for need in $(QT_NEEDS); do
	    file=$${need#*:}
	    [[ $$cache == *"$$file "* || -e $$file ]] || command -v "$$file" >/dev/null || echo "$${need%:*}"
	  done
	}
	packages=$$(missing | xargs)
	root=$$([[ $$(id -u) == 0 ]] || echo "sudo -n")
	if [[ -n $$packages ]] && command -v apt-get >/dev/null && $$root true 2>/dev/null; then
	  echo "Installing the system libraries that Qt needs: $$packages"
	  { $$root apt-get update -qq && $$root apt-get install -y -qq --no-install-recommends $$packages
	  } >/dev/null || echo "apt-get failed; its messages are above."
	  packages=$$(missing | xargs)
	fi
	if [[ -n $$packages ]]; then
	  echo "Qt lacks system libraries. On Debian or Ubuntu, this line installs them:"
	  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $$packages"
	  exit 0
	fi
	touch $@
