# Two commands: `make demo` (no torch needed) and `make test` (everything CI runs).
# Each sets up .venv by itself; second runs reuse it.
PYTHON ?= python3
BIN := .venv/bin
# matrices here are small: one thread each is faster, and sums keep one order
export OMP_NUM_THREADS := 1
QUIET := --quiet --disable-pip-version-check -c constraints.txt
INSTALL := $(BIN)/python -m pip install $(QUIET)

# which claims `make test` samples: a sixth by the commit; or rest, all, 0 to 5 (tests/conftest.py)
CLAIMS ?= commit
PYTEST = CLAIMS=$(CLAIMS) $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test lint types units claims floors wheel fixtures frozen results bench docs zoo genealogies parents vision catalogue catalogue-check clean

demo: .venv/.core
	@$(BIN)/python zoo/derive.py
	@$(BIN)/python -m benchmarks.demo

test: lint types units

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

units: .venv/.dev
	$(BIN)/python zoo/derive.py
	$(PYTEST) $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=1)

# the five sixths of the claims that `make test` leaves out
claims: CLAIMS = rest
claims: .venv/.dev
	$(BIN)/python zoo/derive.py
	$(PYTEST) -m claim

# the core with the oldest dependencies that pyproject.toml allows
floors: .venv/.core
	$(BIN)/python zoo/derive.py
	$(BIN)/python -m benchmarks.claims.floors

# what would be published: built, checked, installed into an empty environment, and used once there
wheel: .venv/.python
	rm -rf dist build/wheel
	$(BIN)/python -m venv build/wheel/tools
	$(BIN)/python -m venv build/wheel/empty
	build/wheel/tools/bin/python -m pip install $(QUIET) build twine
	build/wheel/tools/bin/python -m build --outdir dist
	build/wheel/tools/bin/twine check --strict dist/*
	build/wheel/empty/bin/python -m pip install $(QUIET) dist/*.whl
	cd build/wheel && empty/bin/weightkin compare ../../zoo/models/llama-a ../../zoo/models/llama-a-ft1 \
	  | tee compared && grep -q '^dependent' compared

# the small files under tests/fixtures that other libraries wrote: each script of writers/ runs in an
# environment of its own, with the releases that the text of its name pins (those of .alone.txt
# without what they depend on); never needed by tests
fixtures: .venv/.python
	for script in tests/fixtures/writers/*.py; do \
	  name=$$(basename $$script .py); env=build/fixtures/$$name; \
	  $(BIN)/python -m venv $$env && \
	  $$env/bin/python -m pip install --quiet -r tests/fixtures/writers/$$name.txt && \
	  { [ ! -f tests/fixtures/writers/$$name.alone.txt ] || $$env/bin/python -m pip install --quiet \
	    --no-deps -r tests/fixtures/writers/$$name.alone.txt; } && \
	  $$env/bin/python $$script || exit 1; \
	done

# all that is said of the zoo, against what 0.1.0 said; PART=tree, ONLY=llama-a and WORKERS=2 narrow it
frozen: .venv/.dev
	$(BIN)/python zoo/derive.py
	$(BIN)/python -m benchmarks.claims.frozen compare $(PART:%=--part %) $(ONLY:%=--only %) $(WORKERS:%=--workers %)

# timm and torchvision, beside the environment: PYTHONPATH=.venv-vision .venv/bin/python ...
vision: .venv/.dev
	$(INSTALL) --no-deps --upgrade --target .venv-vision -r benchmarks/catalogue/vision.txt

# CLAIM=zoo runs that section of the pages of docs/results; AGAIN=1 also what is up to date
results: .venv/.dev
	$(BIN)/python zoo/derive.py
	$(BIN)/python -m benchmarks.lib.results $(CLAIM) $(if $(AGAIN),--again)

bench: .venv/.dev
	$(BIN)/python -m benchmarks.claims.speed

docs: .venv/.dev
	$(BIN)/python docs/cli_page.py
	$(BIN)/python -m sphinx -W -q -b html docs build/site

zoo: .venv/.dev
	$(BIN)/python zoo/grow.py
	$(BIN)/python zoo/derive.py

# random families (zoo/genealogies): some hours; HALF=test one part, a stopped run goes on
genealogies: .venv/.dev
	$(BIN)/python -m zoo.genealogies grow $(or $(HALF),test calibration fit second-fit third-fit fourth-fit)

# the weights of parents, from the random families of the part fit: lineage/parents.json.xz
parents: genealogies
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[fit]"
	$(BIN)/python -m benchmarks.generate.fit_parents --report

# every model class of transformers and diffusers, built tiny, traced and proven by running it:
# src/weightkin/catalogue/traced.bin; ONLY="llama bert" makes these, a stopped run goes on
catalogue: .venv/.dev
	$(BIN)/python -m benchmarks.catalogue $(ONLY) $(WORKERS:%=--workers %) $(if $(AGAIN),--again)

# whether a sample of classes still gives what is stored; SAMPLE=60 for more
catalogue-check: .venv/.dev
	$(BIN)/python -m benchmarks.catalogue --check $(or $(SAMPLE),6)

.venv/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "weightkin needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.core: .venv/.python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

.venv/.dev: .venv/.python pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev]'
	touch $@ .venv/.core

clean:
	rm -rf .venv .venv-vision .coverage build dist zoo/derived
