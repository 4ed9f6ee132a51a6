"""Shared by the files of rules: the checked configuration, and each rule's files and recipe from the map of artifacts.

Nothing here reads a file once per job: configuration, fingerprints and digests are computed once per process.
"""

import os
import shlex
import subprocess
import sys
import uuid
from functools import cache

from scripts.common import numerics
from scripts.common.artifacts import canonical_json
from scripts.common.fingerprint import fingerprint
from scripts.common.retries import RUN_VARIABLE
from scripts.containers import images
from scripts.curate.pools import STEPS, module_of
from scripts.generation import serving
from scripts.workflow.artifacts import Artifacts, constraint, recipe_text
from scripts.workflow.config import load

CONFIG = load(config)
ARTIFACTS = Artifacts(CONFIG)
PATHS = ARTIFACTS.paths

# Jobs outside images use the Python environment that runs Snakemake.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def git(*arguments):
    """Output of a git command in the project; empty if git or the repository is missing."""
    try:
        run = subprocess.run(["git", *arguments], cwd=workflow.basedir, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


# One identifier for this run and all its jobs, by which a retry recognises the mark of the previous attempt.
os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)


def in_prefix(text):
    """A word of the shell's prefix: quoted, with doubled braces because Snakemake formats the prefix."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def assignments(variables):
    """Environment variables as assignments in the shell's prefix."""
    return " ".join(f"{name}={in_prefix(value)}" for name, value in variables.items())


# Snakemake does not compare the prefix, so a new commit or thread count reruns nothing. With `exec`, a rule's command
# replaces the shell and so receives the signal that SLURM sends before a job's time limit.
COMMIT = git("rev-parse", "HEAD") or "unknown"
DIRTY = "true" if git("status", "--porcelain") else "false"
shell.prefix(
    f"set -euo pipefail; export NEBULA_COMMIT={COMMIT} NEBULA_DIRTY={DIRTY} PYTHONPATH={in_prefix(str(workflow.basedir))}"
    f" {RUN_VARIABLE}={os.environ[RUN_VARIABLE]}"
    f" {serving.VARIABLE}={in_prefix(CONFIG.serving.model_dump_json(exclude_defaults=True))}"
    f" {assignments(numerics.variables(CONFIG.numerics))}"
    " TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1; exec env "
)


def outputs(rule):
    """The files that a rule makes."""
    return list(ARTIFACTS.kinds[rule].outputs)


def inputs(rule):
    """Input function: the paths that a rule reads, by name."""
    return unpack(lambda wildcards: ARTIFACTS.kinds[rule].inputs(dict(wildcards.items())))


def log_of(rule):
    """The path of the log of a rule's jobs."""
    return ARTIFACTS.kinds[rule].log


def names_of(rule):
    """Wildcard constraints of a rule: exactly the names in the configuration."""
    kind = ARTIFACTS.kinds[rule]
    return {wildcard: constraint(kind, wildcard) for wildcard in kind.wildcards}


def recipe(rule):
    """Params function: the recipe of a rule's job as one string."""
    kind = ARTIFACTS.kinds[rule]

    @cache
    def text(**names):
        return recipe_text(CONFIG, kind, names)

    return lambda wildcards: text(**dict(wildcards.items()))
