# Short commands. `make help` lists them; all of them use .venv, which `make env` creates from the lock.

.DEFAULT_GOAL := help
SHELL := bash
SCALE ?= tiny
SEEDS ?= 1
CORES ?= $(shell nproc)
SEED_RESULTS = results/$(SCALE) $(foreach seed,$(shell seq 2 $(SEEDS)),results/$(SCALE)-seed-$(seed))
BIN := .venv/bin
STAMP := .venv/.installed
STACK := .venv-stack/.installed

.PHONY: help env reproduce cell test lint plan lineage diff-lineage why compare reference readme bench test-portable test-stack test-cluster \
	verify-results export lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-16s %s\n", $$1, $$2}'

env: $(STAMP) ## the environment in .venv, from envs/cpu.txt

$(STAMP): envs/cpu.txt
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/cpu.txt
	touch $@

reproduce: $(STAMP) ## the whole chain, then the tables (SCALE=tiny, SEEDS=1, CORES=all)
	$(BIN)/python -m scripts.workflow.reproduce --scale $(SCALE) --seeds $(SEEDS) --cores $(CORES)
	$(BIN)/python -m scripts.tables.$(if $(filter 1,$(SEEDS)),terminal results/$(SCALE) --all,seeds $(SEED_RESULTS) --out results/$(SCALE)-seeds)
	@for results in $(SEED_RESULTS); do $(BIN)/python -m scripts.results.compare $$results || true; done

cell: $(STAMP) ## one cell and all it needs: make cell CELL=instruct/ins-grpo/ifeval
	@test -n "$(CELL)" || { echo 'say which: make cell CELL=table/row/column'; exit 2; }
	$(BIN)/python -m scripts.workflow.reproduce --scale $(SCALE) --cores $(CORES) results/$(SCALE)/cells/$(CELL).json
	@sed '/^ "lineage"/,/^ }/d' results/$(SCALE)/cells/$(CELL).json  # `make lineage` shows that

test: $(STAMP) ## all tests but those of the emulated CPUs, of the stack and of the cluster
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

test-portable: $(STAMP) ## the same bytes on emulated Intel and AMD CPUs (qemu-user; 12 minutes; SHORT=1 for its shortest part)
	$(BIN)/python -m pytest -m portable tests/portable $(if $(SHORT),-k 'operations or brief')

lint: $(STAMP) ## ruff, snakefmt, snakemake --lint, mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m snakemake --config scale=paper --lint  # the scale whose rules name their images
	$(BIN)/mypy

plan: $(STAMP) ## what would run and what it costs; starts nothing (SCALE=, CELL= or TABLE=)
	@$(BIN)/python -m scripts.workflow.plan --scale $(SCALE) $(if $(CELL),results/$(SCALE)/cells/$(CELL).json) $(if $(TABLE),results/$(SCALE)/tables/$(TABLE).json)

lineage: $(STAMP) ## where a number comes from: make lineage CELL=instruct/ins-grpo/ifeval
	@test -n "$(CELL)" || { echo 'say which: make lineage CELL=table/row/column'; exit 2; }
	@$(BIN)/python -m scripts.results.lineage $(CELL) --results results/$(SCALE)

diff-lineage: $(STAMP) ## the differences of two cells: make diff-lineage A=table/row/column B=table/row/column
	@test -n "$(A)" -a -n "$(B)" || { echo 'say which two: make diff-lineage A=table/row/column B=table/row/column'; exit 2; }
	@$(BIN)/python -m scripts.results.lineage --diff $(A) $(B) --results results/$(SCALE)

why: $(STAMP) ## whether an artifact would be made again, and why: make why ARTIFACT=results/tiny/models/opd, or CELL=table/row/column
	@test -n "$(ARTIFACT)$(CELL)" || { echo 'say which: make why ARTIFACT=results/... or CELL=table/row/column'; exit 2; }
	@$(BIN)/python -m scripts.results.why $(or $(ARTIFACT),--cell $(CELL) --results results/$(SCALE))

compare: $(STAMP) ## whether the results are the reference's, or how two folders differ (SEEDS=n, or A=results/tiny B=other/tiny)
	@$(if $(A)$(B),$(BIN)/python -m scripts.results.compare $(A) --with $(B),\
		code=0; for results in $(SEED_RESULTS); do $(BIN)/python -m scripts.results.compare $$results || code=1; done; exit $$code)

reference: $(STAMP) ## reference/<scale>.json and the documents' tables, from results made by this code
	$(BIN)/python -m scripts.results.reference --scale $(SCALE)

readme: $(STAMP) ## the tables of README.md and docs/tiny.md, from the reference
	$(BIN)/python -m scripts.results.readme

verify-results: $(STAMP) ## every artifact against its manifest and its inputs
	$(BIN)/python -m scripts.results.verify results/$(SCALE)

export: $(STAMP) ## the run as a Workflow Run RO-Crate: make export [OUT=run.zip] [CELL=table/row/column]
	$(BIN)/python -m scripts.results.export $(or $(OUT),results/$(SCALE).zip) $(CELL) --results results/$(SCALE)

bench: $(STAMP) ## speed, compared with the usual alternatives
	$(BIN)/python -m benchmarks

$(STACK): envs/stack.txt
	python3 -m venv .venv-stack
	.venv-stack/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/stack.txt
	touch $@

test-stack: $(STACK) ## the paper scale's DeepSpeed and vLLM on the CPU (10 minutes; WHOLE=1 adds slow tests, 30 more)
	OMP_NUM_THREADS=1 .venv-stack/bin/python -m pytest -n 2 --dist loadfile \
		$(if $(WHOLE),tests/train,-m 'not whole' tests/train/test_sharded.py) tests/generation

test-cluster: $(STAMP) ## the real SLURM and Apptainer on this machine (root, Debian 12; 20 minutes)
	$(BIN)/python -m tests.cluster test

lock: ## resolve envs/cpu.in to envs/cpu.txt again
	scripts/lock cpu
