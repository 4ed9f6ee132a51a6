"""The chain on other CPUs, emulated: every step repeats, byte for byte, what it made on this one.

`make test-portable` runs it. The chain of chain.yaml is made natively by Snakemake. Then each step is repeated by hand,
by the command of its record, from the same inputs, under qemu-user as an Intel and as an AMD CPU, both without AVX-512.
Equal manifests of every single step are equal manifests of the chain. Curation is left out: DataTrove forks a process
with threads, which the emulator does not survive. It computes with integers, apart from the classifiers.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.common import numerics
from scripts.common.artifacts import MANIFEST, read_json, run_path
from tests.conftest import ROOT, Checkout, copy_of_the_project

QEMU = "qemu-x86_64"
CPUS = ("Haswell", "EPYC")
"""qemu's names of an Intel and of an AMD CPU with AVX2."""
OPERATIONS = "tests.portable.operations"
SHORT = ("models/brief/manifest.json",)
STEPS = (
    "classifiers/domain/manifest.json",
    *SHORT,  # pretraining
    "responses/instruct/samples/base/manifest.json",  # generation
    "responses/instruct/verdicts/manifest.json",
    "datasets/ins-stage-3/manifest.json",  # selection by k-center
    "models/ins-sft-3/manifest.json",
    "attempts/instruct/manifest.json",
    "graded/instruct/manifest.json",
    "models/ins-grpo/manifest.json",
    "datasets/mopd-prompts/manifest.json",  # selection by clusters
    "models/mopd/manifest.json",
    "generations/mopd/ifeval.parquet",
    "scores/mopd/ifeval.json",
    "cells/chain/mopd/average.json",
    "tables/chain.json",
)

pytestmark = [
    pytest.mark.portable,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="portable numerics are of x86-64 CPUs"),
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here: apt-get install qemu-user"),
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout of the chain, in which each test makes what it needs."""
    overlay = ROOT / "tests" / "portable" / "chain.yaml"
    return copy_of_the_project(tmp_path_factory.mktemp("native") / "checkout", overlay)


def emulated(folders: Sequence[Path], command: str) -> list[str]:
    """What the command prints in each folder, on each of `CPUS`, all at once.

    `python` in the command becomes this interpreter in an emulator. Processes that it starts run natively.
    """
    processes = [start(folder, command, cpu) for folder, cpu in zip(folders, CPUS, strict=True)]
    outputs = []
    for cpu, process in zip(CPUS, processes, strict=True):
        output, errors = process.communicate(timeout=1800)
        assert process.returncode == 0, f"on {cpu}: {errors[-4000:]}"
        outputs.append(output)
    return outputs


def start(folder: Path, command: str, cpu: str) -> subprocess.Popen[str]:
    """The command on an emulated CPU, with no variable of `numerics` that it does not bring itself."""
    environment = {name: value for name, value in os.environ.items() if name not in numerics.variables("portable")}
    environment |= {"PYTHONPATH": str(folder), "NEBULA_COMMIT": "unknown", "NEBULA_DIRTY": "false"}
    words = shlex.split(command)
    at = words.index("python")
    words[at : at + 1] = [QEMU, "-cpu", cpu, sys.executable]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=folder, env=environment, text=True, **pipes)


def test_operations() -> None:
    native = subprocess.run([sys.executable, "-m", OPERATIONS], cwd=ROOT, check=True, capture_output=True).stdout
    variables = [f"{name}={value}" for name, value in numerics.variables("portable").items()]
    command = shlex.join(["env", *variables, "python", "-m", OPERATIONS])
    for cpu, output in zip(CPUS, emulated([ROOT] * len(CPUS), command), strict=True):
        here, there = json.loads(native), json.loads(output)
        assert [name for name in here if there[name] != here[name]] == [], f"differ on {cpu}"


@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_the_same_bytes(chain: Checkout, tmp_path: Path, name: str) -> None:
    chain.snakemake(f"results/tiny/{name}")
    native = chain.results / name
    places = [shutil.copytree(chain.root, tmp_path / cpu, symlinks=True) for cpu in CPUS]
    for place in places:
        remove(place / "results" / "tiny" / name)
    emulated(places, read_json(run_path(native))["command"])
    for cpu, place in zip(CPUS, places, strict=True):
        assert contents(place / "results" / "tiny" / name) == contents(native), f"{name} on {cpu}"


def test_every_step_whose_numbers_could_differ_is_among_them(chain: Checkout) -> None:
    """By the recipes of the finished chain; of several models of a kind, data sets and generations one is enough."""
    chain.snakemake(f"results/tiny/{STEPS[-1]}", f"results/tiny/{SHORT[0]}")
    dependent = {
        record["step"]
        for path in [*chain.results.rglob("run.json"), *chain.results.rglob("*.run")]
        if "numerics" in (record := read_json(path))["recipe"]
    }
    repeated = {read_json(run_path(chain.results / name))["step"] for name in STEPS}
    assert dependent <= repeated


def remove(artifact: Path) -> None:
    """Take the artifact away, so that what is compared was made here."""
    if artifact.name == MANIFEST:
        shutil.rmtree(artifact.parent)
    else:
        artifact.unlink()


def contents(artifact: Path) -> dict[str, str] | bytes:
    """What identifies an artifact: the digests of its files and its counts, or the bytes of the only file."""
    return read_json(artifact) if artifact.name == MANIFEST else artifact.read_bytes()
