"""The reference: what it is made from, what it refuses, and whether the one in the repository is current."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.common.artifacts import write_json
from scripts.results import reference
from scripts.results.reference import NotReproduced, make, named, outdated, planned_recipes
from scripts.results.reference_file import Reference, path_of, read_reference
from scripts.results.snapshot import Number, RecordedArtifact, of_folder
from scripts.tables.measurement import Cell

TINY = path_of("tiny")


def test_the_reference_is_what_the_code_makes() -> None:
    """No recipe has changed since the reference was made: otherwise nobody gets what it states."""
    changed = outdated(planned_recipes("tiny", 1), read_reference(TINY).artifacts)
    assert not changed, (
        f"{len(changed)} artifacts have another recipe than in {TINY.name}: {named(changed)}. "
        "Run `make reproduce SEEDS=3`, then `make reference`, and commit what they change"
    )


def test_every_cell_has_every_seed() -> None:
    content = read_reference(TINY)
    assert len({frozenset(cells) for cells in content.cells.values()}) == 1
    assert {f"cells/{name}.json" for name in content.cells[1]} <= content.artifacts.keys()


def test_a_plan_names_every_artifact_of_the_scale() -> None:
    """The whole tiny scale, down to its raw sources, each with settings, seed, code and environment."""
    planned = planned_recipes("tiny", 2)
    for name in (
        "synthetic/manifest.json",
        "models/mopd/manifest.json",
        "cells/stages/one/average.json",
        "report.html",
    ):
        keys = {"settings", "seed", "code", "environment"} | ({"numerics"} if name.startswith("models/") else set())
        assert planned[name].keys() == keys and planned[name]["seed"] == 2
    assert planned["tables/instruct.md"] == planned["tables/instruct.tex"] != planned["tables/mopd.md"]
    assert sum(name.startswith("cells/") for name in planned) == 200


def test_outdated_by_hand() -> None:
    planned = {"a": {"code": "1"}, "b": {"code": "1"}, "new": {"code": "1"}}
    artifacts = {
        name: RecordedArtifact("x", {"code": code}, {}, {}) for name, code in (("a", "1"), ("b", "2"), ("old", "1"))
    }
    assert outdated(planned, artifacts) == ["b", "new", "old"]
    machines = [{"code": "1", "environment": {"cpu.txt": "5e7", "python": version}} for version in ("3.11.7", "3.12.1")]
    assert outdated({"a": machines[0]}, {"a": RecordedArtifact("x", machines[1], {}, {})}) == []
    assert named(["a"]) == "a" and named(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"


def test_results_of_other_code_are_refused(own_copy: Path) -> None:
    """The small results folder was made by steps that do not exist, so none of its recipes is the code's."""
    with pytest.raises(
        NotReproduced, match=r"tiny is not what this code makes.*Run `make reproduce SCALE=tiny SEEDS=1`"
    ):
        make("tiny", Path("results"), None)


@pytest.fixture
def reproduced(own_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small results folder, for a configuration that would make just that."""
    recipes = {name: item.recipe for name, item in of_folder(Path("results/tiny")).artifacts.items()}
    monkeypatch.setattr(reference, "planned_recipes", lambda scale, seed: recipes)
    return Path("results")


def test_a_reference_of_one_seed(reproduced: Path) -> None:
    snapshot = of_folder(reproduced / "tiny")
    written = make("tiny", reproduced, None)
    assert (written.artifacts, written.cells) == (snapshot.artifacts, {1: snapshot.cells})
    assert written.commits == {1: "c0ffee00c0+"}


def test_another_seed_comes_from_its_folder(reproduced: Path) -> None:
    shutil.copytree(reproduced / "tiny", reproduced / "tiny-seed-2")
    cell = reproduced / "tiny-seed-2/cells/instruct/base/math.json"
    Cell(**(vars(Cell.read(cell)) | {"value": 31.0})).write(cell)
    written = make("tiny", reproduced, None)
    assert [written.cells[seed]["instruct/base/math"].value for seed in (1, 2)] == [30.0, 31.0]


def test_a_seed_without_folder_is_kept_while_the_first_seed_stands(reproduced: Path) -> None:
    first = of_folder(reproduced / "tiny").cells
    other = {name: replace(number, value=number.value + 1) for name, number in first.items()}
    old = Reference("tiny", {1: "old", 2: "old"}, {}, {1: dict(first), 2: other})
    written = make("tiny", reproduced, old)
    assert written.cells == {1: first, 2: other} and written.commits == {1: "c0ffee00c0+", 2: "old"}
    moved = {**first, "instruct/base/math": Number(31.0, 1.0, 20)}
    with pytest.raises(NotReproduced, match=r"cells of seed 1 changed.*SEEDS=2"):
        make("tiny", reproduced, replace(old, cells={1: moved, 2: other}))


def test_damaged_results_are_refused(reproduced: Path) -> None:
    os.remove(reproduced / "tiny/models/base/run.json")
    with pytest.raises(reference.ArtifactError, match="models/base"):
        make("tiny", reproduced, None)
    write_json(reproduced / "tiny/models/base/run.json", {})
    with pytest.raises(reference.ArtifactError, match="not the record of a run"):
        make("tiny", reproduced, None)
