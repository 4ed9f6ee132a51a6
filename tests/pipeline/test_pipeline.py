"""The whole chain for real at the tests' size: raw corpora to cells, with every kind of training on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.common.artifacts import read_json, sha256_file
from scripts.results.verify import artifacts, problems
from tests.conftest import CELLS, Checkout, copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


def test_cells_are_whole(built: Checkout) -> None:
    for name in CELLS:
        cell = read_json(built.results / "cells" / f"{name}.json")
        assert 0 <= cell["value"] <= 100 and cell["n"] > 0 and cell["stderr"] is not None
        assert cell["reported"] is None and cell["command"].startswith("snakemake")
        assert any("raw/" in path or "synthetic" in path for path in cell["lineage"])


def test_a_cell_builds_its_lineage_and_nothing_else(built: Checkout) -> None:
    models = {path.parent.name for path in built.results.glob("models/*/manifest.json")}
    specialists = {f"teacher-{domain}" for domain in ("instruction", "math", "code", "knowledge")}
    assert models == {"base", "teacher", "ins-sft-1", "ins-sft-2", "ins-sft-3", "ins-grpo", "opd", "mopd", *specialists}


def test_every_artifact_is_what_its_manifest_says(built: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.root)
    results = Path("results/tiny")
    assert len(artifacts(results)) > 60
    assert problems(results) == []


def test_verify_results_finds_a_flipped_bit(built: Checkout) -> None:
    file = next((built.results / "datasets" / "ins-stage-1" / "records").glob("*.parquet"))
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        run = built.run([built.python, "-m", "scripts.results.verify", "results/tiny"], check=False)
        assert run.returncode == 1 and "corrupt" in run.stdout and "ins-stage-1" in run.stdout
    finally:
        file.write_bytes(before)


def test_the_run_is_exported_as_a_crate_that_reads_back(built: Checkout, tmp_path: Path) -> None:
    """Read with the library that archives use: every job is an action with its inputs, recipe and results."""
    rocrate = pytest.importorskip("rocrate.rocrate", reason="envs/cpu.txt does not bring rocrate")
    run = built.run([built.python, "-m", "scripts.results.export", str(tmp_path / "run.zip"), "mopd/mopd/ifeval"])
    crate = rocrate.ROCrate(tmp_path / "run.zip")
    assert crate.mainEntity.id == "Snakefile" and "ComputationalWorkflow" in crate.mainEntity.type
    whole, *jobs = crate.root_dataset["mentions"]
    assert whole["instrument"] is crate.mainEntity and whole["result"].id == "results/cells/mopd/mopd/ifeval.json"
    assert f" {len(jobs)} jobs" in run.stdout
    made = {entity.id for job in jobs for entity in listed(job["result"])}
    for job in jobs:
        recipe, *read = listed(job["object"])
        assert recipe.type == "PropertyValue" and "seed" in json.loads(recipe["value"])
        assert {entity.id for entity in read} <= made
    model = crate.get("results/models/mopd/manifest.json")
    assert model["sha256"] == sha256_file(built.results / "models" / "mopd" / "manifest.json")
    trained = next(job for job in jobs if job["result"] is model)
    assert trained["instrument"]["name"] == "scripts.train.opd" and trained["startTime"] <= trained["endTime"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_what_each_kind_of_training_must_show(built: Checkout) -> None:
    for model in ("base", "ins-sft-1", "ins-grpo", "opd", "mopd"):
        folder = built.results / "models" / model
        assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3"
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert log and all("step" in entry for entry in log)
    rewards = [
        json.loads(line) for line in (built.results / "models" / "ins-grpo" / "log.jsonl").read_text().splitlines()
    ]
    assert any("reward" in key for entry in rewards for key in entry)


def test_the_same_seed_gives_the_same_bytes_in_another_place(
    built: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A cell's whole lineage, with SFT, GRPO and answers, is made again in another folder: every file is equal."""
    other = copy_of_the_project(tmp_path_factory.mktemp("again") / "checkout")
    other.snakemake("results/tiny/cells/instruct/ins-grpo/ifeval.json")
    manifests = [path.relative_to(other.results) for path in artifacts(other.results)]
    assert len(manifests) > 50 and Path("models/ins-grpo/manifest.json") in manifests
    assert [
        path for path in manifests if (other.results / path).read_bytes() != (built.results / path).read_bytes()
    ] == []
