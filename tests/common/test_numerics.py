"""Portable numerics: what a process needs, what it is refused for, and where it is said."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common import numerics, provenance
from scripts.common.artifacts import read_json
from scripts.common.fingerprint import ROOT, packages
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import ConfigError, read

STEP = """
import sys
from importlib.machinery import ModuleSpec
from scripts.common.step import step
class Plain:
    @classmethod
    def model_validate(cls, obj): return obj
with step(ModuleSpec("scripts.common.artifacts", None), inputs=(), settings=Plain) as run:
    (run.out / "rows").write_text("x")
"""


def started(folder: Path, recipe: dict[str, object], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A step in a process of its own that gets these variables and no others of `numerics`."""
    bare = {name: value for name, value in os.environ.items() if name not in numerics.variables("portable")}
    arguments = ["--recipe", json.dumps(recipe), "--out", "r/a/manifest.json"]
    return subprocess.run(
        [sys.executable, "-c", STEP, *arguments],
        cwd=folder,
        env=bare | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )


PORTABLE = {"settings": {}, "seed": 1, "numerics": "portable"}


def test_a_step_with_the_variables_of_its_recipe_runs(tmp_path: Path) -> None:
    done = started(tmp_path, PORTABLE, numerics.variables("portable"))
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "r" / "a" / "run.json")["recipe"]["numerics"] == "portable"


@pytest.mark.parametrize("name", numerics.variables("portable"))
def test_a_step_without_one_of_them_is_refused_with_the_command_that_has_it(tmp_path: Path, name: str) -> None:
    done = started(
        tmp_path, PORTABLE, {key: value for key, value in numerics.variables("portable").items() if key != name}
    )
    assert done.returncode != 0 and not (tmp_path / "r" / "a").exists()
    assert f"numerics: the recipe says portable, but {name} of the environment" in done.stderr
    assert done.stdout.startswith("env OMP_NUM_THREADS=1 ") and f" {name}=" in done.stdout


def test_native_and_silent_recipes_need_none(tmp_path: Path) -> None:
    for recipe in ({"settings": {}, "seed": 1}, PORTABLE | {"numerics": "native"}):
        done = started(tmp_path, recipe, {})
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("env OMP_NUM_THREADS=1 PYTHONHASHSEED=0 python -m scripts.common.artifacts ")


def test_the_printed_command_brings_its_own_variables(tmp_path: Path) -> None:
    """Its words, given to a shell that has none of the variables, are what the step needs."""
    words = shlex.split(started(tmp_path, PORTABLE, {}).stdout.splitlines()[0])
    assert words[0] == "env"
    assigned = dict(word.split("=", 1) for word in words[1 : words.index("python")])
    assert assigned == numerics.variables("portable")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx avx2 fma avx512f", []),
        ("fpu avx fma", ["the CPU has no avx2"]),
        ("fpu avx2x", ["the CPU has no avx2", "the CPU has no fma"]),
    ],
)
def test_a_cpu_that_the_promise_is_not_made_for(flags: str, expected: list[str]) -> None:
    _, known = provenance.cpu(f"model name\t: some\nflags\t\t: {flags}\nbugs\t\t: avx2 fma\n")
    assert provenance.exceptions({"machine": "x86_64", "flags": known}) == expected


def test_another_architecture() -> None:
    machine = {"machine": "aarch64", "flags": ["asimd"]}
    assert provenance.exceptions(machine) == ["aarch64 is another architecture than x86-64"]


def test_a_record_says_where_the_promise_does_not_hold(tmp_path: Path) -> None:
    broken = "import platform; platform.machine = lambda: 'aarch64'" + STEP
    for recipe, expected in (
        (PORTABLE, ["aarch64 is another architecture than x86-64"]),
        (PORTABLE | {"numerics": "native"}, []),
    ):
        arguments = ["--recipe", json.dumps(recipe), "--out", "r/a/manifest.json"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | numerics.variables("portable")
        subprocess.run([sys.executable, "-c", broken, *arguments], cwd=tmp_path, env=environment, check=True)
        assert read_json(tmp_path / "r" / "a" / "run.json")["not_portable"] == expected
        assert "not_portable" not in (tmp_path / "r" / "a" / "manifest.json").read_text()


def test_steps_that_compute_with_floats_of_the_cpu_say_so_in_their_recipes() -> None:
    steps = {f"scripts.{kind.step}" for kind in Artifacts(read("tiny")).kinds.values()}
    assert {name for name in steps if packages(name) & numerics.DEPENDENT} == {
        "scripts.distill.judge",
        "scripts.distill.sample",
        "scripts.evaluate.generate",
        "scripts.mix.build",
        "scripts.mix.encode",
        *(f"scripts.train.{kind}" for kind in ("pretrain", "sft", "grpo", "opd")),
    }


def test_a_recipe_states_them() -> None:
    for scale, expected in (("tiny", "portable"), ("paper", "native")):
        artifacts = Artifacts(read(scale))
        root = f"results/{scale}"
        assert artifacts.find(f"{root}/models/ins-grpo/manifest.json").recipe["numerics"] == expected
        assert "numerics" not in artifacts.find(f"{root}/pools/sft/format/manifest.json").recipe


def test_portable_numerics_are_of_cpus() -> None:
    assert read("tiny").numerics == read("small").numerics == "portable"
    assert read("paper").numerics == "native"
    with pytest.raises(ConfigError, match=r"numerics: portable, but resources\.train\.sft\.gpus is 8"):
        read("tiny", {"resources": {"train.sft": {"gpus": 8}}})


def test_a_node_of_a_cluster_hands_the_variables_into_its_image() -> None:
    pattern = re.search(r"^numerics='(.+)'$", (ROOT / "containers" / "on_node.sh").read_text(), re.M)
    assert pattern is not None
    assert sorted(pattern[1].strip("^()$").split("|")) == sorted(numerics.variables("portable"))


def test_numpy_knows_the_features_that_are_turned_off() -> None:
    """Its names change with its versions, and an unknown one turns nothing off."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    wide = set(__cpu_dispatch__) - {"X86_V3"}  # AVX2 and FMA
    assert wide == set(numerics.PORTABLE["NPY_DISABLE_CPU_FEATURES"].split(","))
    assert not [name for name in wide if __cpu_features__[name]], "this process was started without portable numerics"
