"""Comparing results: what counts as the same, where two results part, why, and what it does to the cells."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.common.artifacts import read_json, run_path, sha256_file, write_json
from scripts.results import compare
from scripts.results.compare import Comparison, causes, report
from scripts.results.reference_file import Reference, read_reference, write_reference
from scripts.results.snapshot import Number, RecordedArtifact, Snapshot, of_folder
from tests.tables import tiny_results

R = tiny_results.R
HARDWARE = {"machine": "x86_64", "cpu": "AMD EPYC", "flags": ["avx2"], "cpus": 2, "gpus": []}


def artifact(digest: str | None, *inputs: str, **recipe: Any) -> RecordedArtifact:
    return RecordedArtifact(
        digest,
        {"seed": 1, "code": "c0de", "settings": {}} | recipe,
        HARDWARE,
        {"scripts/a.py": "1", "scripts/b.py": "1"},
        inputs,
    )


def chain(**digests: str) -> Snapshot:
    """raw -> model -> score -> cell -> table."""
    parts = {"raw": "r", "model": "m", "score": "s", "table": "t"} | digests
    artifacts = {
        "raw": artifact(parts["raw"]),
        "model": artifact(parts["model"], "raw"),
        "score": artifact(parts["score"], "model"),
        "cells/a/b/c.json": artifact(None, "score"),
        "table": artifact(parts["table"], "cells/a/b/c.json"),
        "report.html": artifact(None, "table"),
    }
    value = 50.0 if parts["score"] == "s" else 47.0
    return Snapshot("x", 1, artifacts, {"a/b/c": Number(value, 2.0, 100)})


def lines(a: Snapshot, b: Snapshot) -> list[str]:
    return list(report(Comparison(a, b), "the same in both"))


def test_the_same_results() -> None:
    assert lines(chain(), chain()) == ["4 of 4 artifacts and 1 of 1 cells are the same in both"]
    assert Comparison(chain(), chain()).equal


def test_the_first_that_differs_explains_the_rest() -> None:
    """A model that differs makes its score, its cell and the table differ: only the model is named."""
    comparison = Comparison(chain(), chain(model="M", score="S", table="T"))
    assert comparison.different == ["model", "score", "table"] and comparison.first == ["model"]
    assert not comparison.equal
    text = lines(comparison.a, comparison.b)
    assert text[1:4] == [
        "  model",
        "      nothing that is recorded differs: the recipe, the inputs and the CPU are the same",
        "  2 more differ among those made from them.",
    ]
    assert text[-3:] == [
        "  a/b/c   50.00 ->  47.00  \N{MINUS SIGN}3.00 (± 2.00, ± 2.00)",
        "  1 values on one benchmark: 3.00 points apart (root mean square); standard error 2.00",
        "1 of 4 artifacts and 0 of 1 cells are the same in both",
    ]


def test_a_table_is_not_first_if_its_cells_moved() -> None:
    """Cells have no digest, but a table that differs because a cell did is not where the results part."""
    assert Comparison(chain(), chain(score="S", table="T")).first == ["score"]
    assert Comparison(chain(), chain(table="T")).first == ["table"]


def test_what_one_side_lacks() -> None:
    less = chain()
    less = Snapshot("y", 1, {name: item for name, item in less.artifacts.items() if name != "model"}, {})
    comparison = Comparison(chain(), less)
    assert comparison.only_in(comparison.a) == ["model"] and comparison.only_in(comparison.b) == []
    assert not comparison.equal and not Comparison(less, chain()).equal
    assert lines(chain(), less) == [
        "Only in x: model",
        "Cells only in x: a/b/c",
        "3 of 4 artifacts and 0 of 1 cells are the same in both",
    ]


def test_causes_by_hand() -> None:
    one = artifact("a", settings={"adam": {"beta": 0.9}, "steps": 60, "text": "x" * 90}, environment={"cpu.txt": "1"})
    other = RecordedArtifact(
        "b",
        {
            "seed": 2,
            "code": "f00d",
            "settings": {"adam": {"beta": 0.99}, "steps": 60, "text": "x" * 90, "new": None},
            "environment": {"cpu.txt": "2"},
        },
        HARDWARE | {"cpu": "Intel Xeon", "cpus": 64, "gpus": ["3", "4"]},
        {"scripts/b.py": "2", "scripts/a.py": "1", "scripts/c.py": "1"},
    )
    assert causes(one, other) == [
        'code: "c0de" -> "f00d"',
        'environment.cpu.txt: "1" -> "2"',
        'hardware.cpu: "AMD EPYC" -> "Intel Xeon"',
        "hardware.gpus: 0 -> 2",
        "seed: 1 -> 2",
        "settings.adam.beta: 0.9 -> 0.99",
        "settings.new: absent -> null",
        "edited: scripts/b.py, scripts/c.py",
    ]
    long = causes(artifact("a", settings={"text": "x" * 90}), artifact("b", settings={"text": "x" * 90 + "y"}))
    assert long == [f'settings.text: "{"x" * 69}... -> "{"x" * 69}...']


def test_a_folder_is_read_in_lineage_order(project: Path) -> None:
    """Inputs come before what is made from them; cells are taken by value; no digest is taken of them."""
    snapshot = of_folder(R)
    names = list(snapshot.artifacts)
    for name, item in snapshot.artifacts.items():
        assert all(names.index(source) < names.index(name) for source in item.inputs)
    assert names[0] == "synthetic/manifest.json"
    assert snapshot.cells["instruct/ins-grpo/average"].value == 70.0
    assert snapshot.digests()["tables/instruct.md"] == sha256_file(R / "tables/instruct.md")
    assert not any(name.startswith("cells/") for name in snapshot.digests()) and len(snapshot.cells) == 13


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    return compare.main()


def test_a_copy_made_at_another_commit_is_the_same(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Cells name the commit; their bytes differ and their numbers do not."""
    shutil.copytree("results", "other")
    monkeypatch.setenv("NEBULA_COMMIT", "beef")
    tiny_results.make_tables()
    capsys.readouterr()
    assert (R / "cells/instruct/base/math.json").read_bytes() != Path(
        "other/tiny/cells/instruct/base/math.json"
    ).read_bytes()
    assert run(monkeypatch, "results/tiny", "--with", "other/tiny") == 0
    assert capsys.readouterr().out == "35 of 35 artifacts and 13 of 13 cells are the same in both\n"


def test_a_model_that_answers_otherwise(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """GRPO solves 12 prompts instead of 16 because it was trained on another CPU for longer: 80 becomes 60 points."""
    shutil.copytree("results", "other")
    monkeypatch.setattr(tiny_results, "SOLVED", tiny_results.SOLVED | {"ins-grpo": {"ifeval": 12, "math": 12}})
    monkeypatch.setattr(tiny_results, "log", lambda metric, start, end: f'{{"step": 1, "{metric}": {end - 0.1:.2f}}}\n')
    shutil.rmtree("results")
    tiny_results.build()
    capsys.readouterr()
    record = run_path(R / "models/base/manifest.json")
    changed = read_json(record)
    changed["recipe"]["settings"]["max_steps"] = 80
    changed["hardware"]["cpu"] = "Intel Xeon"
    write_json(record, changed)
    assert run(monkeypatch, "other/tiny", "--with", "results/tiny") == 1
    text = capsys.readouterr().out
    assert text.splitlines()[1:4] == [
        "  models/base/manifest.json",
        '      hardware.cpu: "AMD EPYC" -> "Intel Xeon"',
        "      settings.max_steps: 40 -> 80",
    ]
    assert "  instruct/ins-grpo/average   70.00 ->  60.00  \N{MINUS SIGN}10.00 (± 7.25, ± 7.95)" in text
    assert "  instruct/ins-grpo/ifeval    80.00 ->  60.00  \N{MINUS SIGN}20.00 (± 9.18, ± 11.24)" in text
    assert text.endswith("and 11 of 13 cells are the same in both\n")


def test_inconsistent_results_are_not_compared(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    record = run_path(R / "models/base/manifest.json")
    write_json(record, read_json(record) | {"output": "0" * 64})
    assert run(monkeypatch, "results/tiny", "--with", "results/tiny") == 1
    assert "was made from" in capsys.readouterr().err
    assert run(monkeypatch, "results/none", "--with", "results/tiny") == 1
    assert "results/none holds no artifact" in capsys.readouterr().err


@pytest.fixture
def reference(own_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results as a reference of two seeds, in the place where the command looks for it."""
    snapshot = of_folder(R)
    content = Reference(
        "tiny", {1: "c0ffee", 2: "c0ffee"}, dict(snapshot.artifacts), dict.fromkeys((1, 2), snapshot.cells)
    )
    path = Path("reference/tiny.json")
    write_reference(content, path)
    monkeypatch.setattr("scripts.results.reference_file.ROOT", Path.cwd())
    return path


def test_a_reference_survives_its_file(own_copy: Path, reference: Path) -> None:
    read = read_reference(reference)
    snapshot = of_folder(R)
    assert list(read.artifacts) == list(snapshot.artifacts)
    assert {name: item.digest for name, item in read.artifacts.items() if item.digest} == snapshot.digests()
    assert all(read.artifacts[name].recipe == item.recipe for name, item in snapshot.artifacts.items())
    assert read.cells == {1: snapshot.cells, 2: snapshot.cells}
    before = reference.read_bytes()
    write_reference(read, reference)
    assert reference.read_bytes() == before
    jobs, files = json.loads(before)["jobs"], json.loads(before)["files"]
    assert {len(job["artifacts"]) for job in jobs if "tables/instruct.md" in job["artifacts"]} == {4}, (
        "one job, four files"
    )
    assert before.count(b"\n") == len(jobs) + len(snapshot.cells) + len(files) + 2 + 2 + 13, "one line each"


def test_results_against_the_reference(
    own_copy: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    assert run(monkeypatch, "results/tiny") == 0
    assert capsys.readouterr().out.endswith("35 of 35 artifacts and 13 of 13 cells are the reference's\n")
    os.rename("results/tiny/tables/stages.md", "elsewhere")
    assert run(monkeypatch, "results/tiny") == 1
    assert capsys.readouterr().out == (
        "Only in reference/tiny.json: tables/stages.md\n34 of 35 artifacts and 13 of 13 cells are the reference's\n"
    )


def test_another_seed_is_compared_by_its_cells(own_copy: Path, reference: Path, monkeypatch, capsys) -> None:
    for record in [*R.rglob("run.json"), *R.rglob("*.run")]:
        changed = read_json(record)
        changed["recipe"]["seed"] = 2
        write_json(record, changed)
    os.rename("results/tiny", "results/tiny-seed-2")
    assert run(monkeypatch, "results/tiny-seed-2") == 0
    assert capsys.readouterr().out == (
        "13 of 13 cells are the reference's (seed 2, of which the reference keeps the cells alone)\n"
    )
    for record in [*Path("results").rglob("run.json"), *Path("results").rglob("*.run")]:
        write_json(record, read_json(record) | {"recipe": read_json(record)["recipe"] | {"seed": 3}})
    assert run(monkeypatch, "results/tiny-seed-2") == 1
    assert "reference/tiny.json has no seed 3; it has 1, 2" in capsys.readouterr().err


def test_a_scale_without_reference(own_copy: Path, reference: Path, monkeypatch, capsys) -> None:
    os.rename("results/tiny", "results/small")
    assert run(monkeypatch, "results/small") == 1
    assert "there is no reference for the scale small" in capsys.readouterr().err
