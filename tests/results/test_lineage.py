"""Lineage from run records: the graph, inconsistencies, moved folders, the printed tree and differences."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.common.artifacts import ArtifactError, read_json, sha256_file, write_json, write_manifest
from scripts.common.lineage import flat, read_node, trace
from scripts.results import lineage as command

R = Path("results/tiny")
CELL = R / "cells/instruct/ins-sft/ifeval.json"


def folder(name: str, step: str, inputs: dict[str, Path], settings: dict, seed: int = 1) -> Path:
    """A folder artifact below results/tiny with its record; its content is its settings."""
    where = R / name
    where.mkdir(parents=True, exist_ok=True)
    (where / "content").write_text(json.dumps(settings))
    write_manifest(where, {"kept": 3})
    manifest = where / "manifest.json"
    write_json(where / "run.json", record(manifest, step, inputs, settings, seed))
    return manifest


def record(path: Path, step: str, inputs: dict[str, Path], settings: dict, seed: int = 1) -> dict:
    return {
        "step": step,
        "outputs": [path.as_posix()],
        "output": sha256_file(path),
        "recipe": {"settings": settings, "seed": seed, "environment": {"train.txt": "0123456789abcdef"}},
        "code": "c0de",
        "inputs": {source.as_posix(): sha256_file(source) for source in inputs.values()},
        "commit": "c0ffee",
        "dirty": True,
        "seconds": 2.0,
    }


def build(learning_rate: float = 0.1) -> None:
    """raw -> pool -> model -> cell; the cell also reads the pool directly."""
    raw = folder("raw/chat", "scripts.sources.normalize", {}, {"file": "chat.jsonl"})
    pool = folder("pools/sft/format", "scripts.curate.format", {"records": raw}, {"step": "format"})
    settings = {"adam": {"beta": 0.9}, "learning_rate": learning_rate, "text": "x" * 50, "none": None}
    model = folder("models/ins-sft", "scripts.train.sft", {"dataset": pool}, settings)
    CELL.parent.mkdir(parents=True, exist_ok=True)
    CELL.write_text(f'{{"value": {learning_rate}}}')
    write_json(Path(f"{CELL}.run"), record(CELL, "scripts.tables.cell", {"model": model, "pool": pool}, {}))


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    build()
    return tmp_path


def test_every_artifact_once_in_order(built: Path) -> None:
    lineage = trace([CELL])
    names = ["cells/instruct/ins-sft/ifeval.json", "models/ins-sft", "pools/sft/format", "raw/chat"]
    assert list(lineage.nodes) == [R / (n if n.endswith(".json") else f"{n}/manifest.json") for n in names]
    assert lineage.problems == ()
    assert lineage.digests() == {path.as_posix(): sha256_file(path) for path in lineage.nodes}


def test_data_may_be_deleted_if_the_records_stay(built: Path) -> None:
    (R / "models/ins-sft/content").unlink()
    assert len(trace([CELL]).digests()) == 4


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda: (R / "raw/chat/run.json").unlink(), "raw/chat/manifest.json has no record of its run"),
        (lambda: (R / "raw/chat/run.json").write_text("[]"), "raw/chat/run.json is not the record of a run"),
        (lambda: (R / "raw/chat/run.json").write_text('{"output": "x"}'), "is not the record of a run"),
        (lambda: (R / "raw/chat/run.json").write_text("{"), "is not the record of a run"),
        (
            lambda: folder("raw/chat", "s.sources.n", {}, {"file": "other"}),
            "pools/sft/format/manifest.json was made from",
        ),
    ],
)
def test_an_inconsistent_lineage_is_refused(built: Path, damage: Callable[[], object], word: str) -> None:
    damage()
    with pytest.raises(ArtifactError) as caught:
        trace([CELL]).digests()
    assert word in str(caught.value)


def test_an_artifact_remade_to_the_same_bytes_is_consistent(built: Path) -> None:
    before = trace([CELL]).digests()
    folder("raw/chat", "scripts.sources.normalize", {}, {"file": "chat.jsonl"}, seed=9)
    assert trace([CELL]).digests() == before


@pytest.mark.parametrize("target", ["results/before", "backup/tiny", "elsewhere"])
def test_moved_results_keep_their_own_lineage(built: Path, target: str) -> None:
    """Records hold the paths of the run; the lineage of a copy uses the copy, not what is now at the old path."""
    shutil.copytree(R, target)
    build(learning_rate=0.2)
    lineage = trace([Path(target) / CELL.relative_to(R)])
    assert lineage.problems == ()
    assert all(path.is_relative_to(target) for path in lineage.nodes)
    assert (
        lineage.nodes[Path(target) / "models/ins-sft/manifest.json"].record["recipe"]["settings"]["learning_rate"]
        == 0.1
    )


def test_absolute_paths_are_followed(built: Path) -> None:
    assert len(trace([built / CELL]).nodes) == 4


def test_stage_and_counts_of_a_node(built: Path) -> None:
    node = read_node(R / "pools/sft/format/manifest.json")
    assert (node.stage, node.counts()) == ("curate", {"kept": 3})
    assert read_node(CELL).counts() == {}


def test_flat_by_hand() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}
    assert flat({}) == {}


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lineage", *arguments])
    return command.main()


def test_tree_for_people(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert run_command(monkeypatch, "instruct/ins-sft/ifeval") == 0
    text = capsys.readouterr().out
    digest = sha256_file(R / "models/ins-sft/manifest.json")[:12]
    assert f"models/ins-sft/manifest.json  {digest}" in text
    assert "scripts.train.sft  c0ffee + uncommitted changes  train.txt 01234567  2.0 s" in text
    assert "settings: seed=1, learning_rate=0.1, adam.beta=0.9, ...=2 more" in text
    assert "counts: kept=3" in text
    assert text.count("raw/chat/manifest.json") == 1
    assert "pools/sft/format/manifest.json  (above)" in text


def test_json_has_everything(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert run_command(monkeypatch, str(CELL), "--json") == 0
    lineage = json.loads(capsys.readouterr().out)
    model = lineage["artifacts"][str(R / "models/ins-sft/manifest.json")]
    assert model["run"]["recipe"]["settings"]["text"] == "x" * 50
    assert list(model["inputs"]) == [str(R / "pools/sft/format/manifest.json")]
    assert lineage["problems"] == []


def test_unknown_cell_lists_close_matches(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert run_command(monkeypatch, "instruct/insft/ifevl") == 1
    assert "did you mean instruct/ins-sft/ifeval?" in capsys.readouterr().err


def test_problems_are_printed_and_give_exit_code_1(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (R / "raw/chat/run.json").unlink()
    assert run_command(monkeypatch, "instruct/ins-sft/ifeval") == 1
    shown = capsys.readouterr()
    assert "raw/chat/manifest.json  MISSING" in shown.out
    assert "has no record of its run" in shown.err


def test_two_runs_of_one_cell(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copytree(R, "results/before")
    build(learning_rate=0.2)
    assert run_command(monkeypatch, "--diff", f"results/before/{CELL.relative_to(R)}", str(CELL)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("differs")] == [
        "differs: cells/instruct/ins-sft/ifeval.json",
        "differs: models/ins-sft/manifest.json",
    ]
    assert "    settings.learning_rate: 0.1 -> 0.2" in lines
    assert "    input models/ins-sft/manifest.json differs" in lines
    assert not any("pools" in line or "raw" in line for line in lines)


def test_equal_runs_do_not_differ(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copytree(R, "results/before")
    run_command(monkeypatch, "--diff", f"results/before/{CELL.relative_to(R)}", str(CELL))
    assert "no difference in any artifact" in capsys.readouterr().out


def test_the_same_bytes_made_by_other_code_are_listed(built: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copytree(R, "results/before")
    path = R / "models/ins-sft/run.json"
    write_json(path, read_json(path) | {"code": "edited"})
    run_command(monkeypatch, "--diff", f"results/before/{CELL.relative_to(R)}", str(CELL))
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines[0].startswith("same content, made differently: models/ins-sft/manifest.json")
    assert lines[1:] == ["    code: c0de -> edited"]
