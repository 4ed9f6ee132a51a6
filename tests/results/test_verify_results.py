"""Verification of results: every kind of damage is named, and whole artifacts have no problem."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.common.artifacts import read_json, sha256_file, write_json, write_manifest
from scripts.results import verify as verify_results
from scripts.results.verify import artifacts, problems

R = Path("results/tiny")


def kinds(folder: Path = R) -> list[tuple[str, str]]:
    """(kind, text) of every problem."""
    return [(problem.kind, problem.text) for problem in problems(folder)]


def test_whole_results_have_no_problem(project: Path) -> None:
    assert problems(R) == []
    assert len(artifacts(R)) == 48


def remake(name: str) -> None:
    """Change an artifact and its manifest: it is whole, but what was made from it is stale."""
    (R / name / "card.md").write_text("new")
    write_manifest(R / name, {})
    record = R / name / "run.json"
    write_json(record, read_json(record) | {"output": sha256_file(R / name / "manifest.json")})


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            lambda: (R / "models/base/log.jsonl").write_text("{}"),
            [("corrupt", "models/base/log.jsonl does not have the content its manifest states")],
        ),
        (
            lambda: (R / "models/base/log.jsonl").unlink(),
            [("missing", "models/base/log.jsonl is missing though its manifest lists it")],
        ),
        (
            lambda: (R / "pools/sft/format/records/00001.parquet").write_text("more"),
            [("corrupt", "pools/sft/format/records/00001.parquet is not in the manifest beside it")],
        ),
        (
            lambda: (R / "scores/base/math.json").write_text("{}"),
            [
                ("corrupt", "scores/base/math.json does not have the content its math.json.run states"),
                ("stale", "cells/instruct/base/math.json was made from"),
                ("stale", "cells/instruct/base/average.json was made from"),
                *[("stale", "tables/instruct.")] * 4,
                *[("stale", "tables/stages.")] * 4,
            ],
        ),
        (
            lambda: (R / "tables/stages.md.run").unlink(),
            [("half-written", "tables/stages.md belongs to no finished artifact")],
        ),
        (
            lambda: (R / "tables/stages.md").unlink(),
            [("missing", "tables/stages.md is missing, but its record stages.md.run exists")],
        ),
        (
            lambda: (R / "tables/.new.json.partial-12").mkdir(),
            [("half-written", "tables/.new.json.partial-12 was left by a killed job")],
        ),
        (
            lambda: (R / "graded/rl/run.json").unlink(),
            [("half-written", "graded/rl/manifest.json has no record of its run")],
        ),
        (
            lambda: remake("graded/rl"),
            [
                ("stale", "models/ins-grpo/manifest.json was made from"),
                ("stale", "figures/manifest.json was made from"),
            ],
        ),
        (
            lambda: shutil.rmtree(R / "graded/rl"),
            [("missing", "graded/rl/manifest.json is missing; ")] * 2,
        ),
        (
            lambda: (R / "datasets/ins-sft-3/manifest.json").unlink(),
            [
                ("half-written", "datasets/ins-sft-3/records/00000.parquet belongs to no finished artifact"),
                ("half-written", "datasets/ins-sft-3/run.json belongs to no finished artifact"),
                *[("missing", "datasets/ins-sft-3/manifest.json is missing; ")] * 3,
            ],
        ),
    ],
)
def test_damage_is_named(own_copy: Path, damage: Callable[[], object], expected: list[tuple[str, str]]) -> None:
    damage()
    found = kinds()
    assert len(found) == len(expected), found
    for kind, text in expected:
        assert any(kind == a and f"{R}/{text}" in b for a, b in found), (kind, text, found)


def test_a_manifest_edited_to_hide_a_change_is_corrupt(own_copy: Path) -> None:
    (R / "graded/rl/card.md").write_text("new")
    write_manifest(R / "graded/rl", {})
    assert (
        "corrupt",
        f"{R}/graded/rl/manifest.json does not have the content that {R}/graded/rl/run.json states",
    ) in kinds()


def test_logs_and_snakemake_marks_are_not_artifacts(own_copy: Path) -> None:
    (R / "logs/tables").mkdir(parents=True)
    (R / "logs/tables/instruct.log").write_text("made")
    (R / "models/base/.snakemake_timestamp").touch()
    assert problems(R) == []


def test_command(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["verify_results", "results/tiny"])
    assert verify_results.main() == 0
    assert "48 artifacts" in capsys.readouterr().out
    (R / "models/base/log.jsonl").write_text("{}")
    assert verify_results.main() == 1
    assert capsys.readouterr().out.startswith("corrupt       results/tiny/models/base/log.jsonl")
    monkeypatch.setattr(sys, "argv", ["verify_results", "results/huge"])
    assert verify_results.main() == 1


def test_the_printed_command_makes_damaged_artifacts_again(own_copy: Path, monkeypatch, capsys) -> None:
    (R / "models/base/log.jsonl").write_text("{}")
    (R / "tables/stages.md").unlink()
    (R / "tables/.new.json.partial-12").mkdir()
    monkeypatch.setattr(sys, "argv", ["verify_results", "results/tiny"])
    assert verify_results.main() == 1
    damaged = "results/tiny/models/base/manifest.json results/tiny/tables/stages.md"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f": .venv/bin/snakemake --cores all --config scale=tiny --force {damaged}")
    found = problems(R)
    assert verify_results.command(Path("results/small-seed-2"), found) == (
        f".venv/bin/snakemake --cores all --config scale=small seed=2 --force {damaged}"
    )
    assert verify_results.command(Path("/elsewhere/tiny"), found) is None
    assert verify_results.command(R, []) is None


def test_a_moved_folder_is_checked_by_its_own_files(own_copy: Path) -> None:
    shutil.move("results/tiny", "kept")
    assert problems(Path("kept")) == []
