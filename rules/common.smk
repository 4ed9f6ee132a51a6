"""Shared by the files of rules: the checked configuration, and what the map of artifacts says of each rule.

Nothing here reads a file per job: configuration, fingerprints and digests are computed once per process.
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

# Jobs outside of an image run in the environment that Snakemake runs in.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def git(*arguments):
    """Output of a git command in the project, empty where there is no git or no repository."""
    try:
        run = subprocess.run(["git", *arguments], cwd=workflow.basedir, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


# One name for this run and all its jobs, so that a retry knows what the attempt before it met.
os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)


def in_prefix(text):
    """A word of the shell's prefix: quoted, and its braces doubled, since Snakemake formats the prefix."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def assignments(variables):
    """Variables of the environment, as the shell's prefix sets them."""
    return " ".join(f"{name}={in_prefix(value)}" for name, value in variables.items())


# The prefix is no part of a rule's tracked text: commits and thread counts must not rerun anything. With `exec`, a
# rule's one command takes the shell's place and gets the signals that a job is sent before its time is over.
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
    """The log of a rule's job."""
    return ARTIFACTS.kinds[rule].log


def names_of(rule):
    """Wildcard constraints of a rule: exactly the names in the configuration."""
    kind = ARTIFACTS.kinds[rule]
    return {wildcard: constraint(kind, wildcard) for wildcard in kind.wildcards}


def recipe(rule):
    """Params function: the one string that says what a job makes."""
    kind = ARTIFACTS.kinds[rule]

    @cache
    def text(**names):
        return recipe_text(CONFIG, kind, names)

    return lambda wildcards: text(**dict(wildcards.items()))
