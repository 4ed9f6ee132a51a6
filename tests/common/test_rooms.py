"""Rules of imports between packages. An import is identity, so each rule states steps that an edit never reruns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from scripts.common.fingerprint import EXECUTION_ONLY, ROOT, closure, file_digests

SCRIPTS = ROOT / "scripts"
FLOORS = (
    {"common"},
    {"sources", "curate", "verify", "generation", "containers", "tables"},
    {"distill", "mix", "train", "evaluate"},
    {"workflow"},
    {"results"},
)
"""Packages from the ground up: a package imports packages of its own floor and of those below."""
COMMANDS = {"scripts/curate/check.py": "workflow"}
"""Commands, which are not steps, and the package above them that they may import: nothing imports them."""


def files(step: str) -> set[str]:
    """The files in a step's identity, relative to the project."""
    return set(file_digests(f"scripts.{step}"))


def imported_packages(path: Path) -> set[str]:
    """The packages of the project that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    packages = {name.split(".")[1] for name in names if name.startswith("scripts.")}
    return {package for package in packages if (SCRIPTS / package).is_dir()}


def arrows() -> Iterator[tuple[str, str, str]]:
    """(file, its package, a package that it imports)."""
    for path in sorted(SCRIPTS.rglob("*.py")):
        parts = path.relative_to(SCRIPTS).parts
        for package in imported_packages(path) - {parts[0]} if len(parts) > 1 else ():
            yield path.relative_to(ROOT).as_posix(), parts[0], package


def test_no_package_imports_one_above_it() -> None:
    floor = {package: number for number, packages in enumerate(FLOORS) for package in packages}
    assert set(floor) == {path.name for path in SCRIPTS.iterdir() if (path / "__init__.py").is_file()}
    up = [
        (file, package)
        for file, importer, package in arrows()
        if floor[package] > floor[importer] and COMMANDS.get(file) != package
    ]
    assert up == []


def test_no_packages_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for file, importer, package in arrows():
        if COMMANDS.get(file) != package:
            graph.setdefault(importer, set()).add(package)
    assert [*TopologicalSorter(graph).static_order()]  # raises CycleError with the circle


NEVER = {
    "scripts/verify/": (
        "distill.sample",
        "distill.judge",
        "evaluate.generate",
        "train.pretrain",
        "train.sft",
        "train.opd",
        "train.hub",
        "mix.build",
        "mix.encode",
        "sources.normalize",
        "curate.near_dedup",
        "tables.cell",
    ),
    "scripts/generation/": (
        "train.pretrain",
        "train.sft",
        "train.hub",
        "distill.cross_verify",
        "distill.grade",
        "evaluate.score",
        "mix.build",
    ),
    "scripts/train/": ("distill.sample", "distill.judge", "evaluate.generate", "evaluate.score", "tables.cell"),
    "scripts/workflow/": ("distill.sample", "train.grpo", "curate.format", "tables.report", "containers.build"),
}
"""A folder, and steps whose identity it must never enter."""


@pytest.mark.parametrize(("folder", "step"), [(folder, step) for folder, steps in NEVER.items() for step in steps])
def test_a_step_never_reaches(folder: str, step: str) -> None:
    assert [name for name in files(step) if name.startswith(folder)] == []


@pytest.mark.parametrize("step", ["distill.cross_verify", "distill.grade", "evaluate.score", "train.grpo"])
def test_steps_that_verify_depend_on_the_verifiers_and_their_limits(step: str) -> None:
    assert {"scripts/verify/choice.py", "scripts/verify/settings.py"} <= files(step)


def test_execution_only_files_exist_and_are_in_no_identity() -> None:
    steps = [
        path
        for path in SCRIPTS.glob("*/*.py")
        if "def main(" in path.read_text() and "step(__spec__" in path.read_text()
    ]
    assert len(steps) > 15
    for name, reason in EXECUTION_ONLY.items():
        assert (ROOT / name).is_file() and reason, name
    for path in steps:
        module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        assert not {file.relative_to(ROOT).as_posix() for file in closure(module)} & EXECUTION_ONLY.keys()


def test_the_docs_name_the_exempt_modules() -> None:
    page = (ROOT / "docs" / "rebuild.md").read_text()
    assert [name for name in EXECUTION_ONLY if f"`{name}`" not in page] == []


def test_every_data_file_belongs_to_a_module() -> None:
    """A data file that no module names is part of no identity, so an edit of it would rerun nothing."""
    for path in SCRIPTS.rglob("data/*"):
        if path.is_file() and path.name != "README.md":
            named = [
                file for file in SCRIPTS.rglob("*") if file.suffix in {".py", ".j2"} and path.name in file.read_text()
            ]
            assert named, path
