"""The whole chain for real at the tests' size: raw corpora to cells, with every kind of training on the way."""

from __future__ import annotations

import json

import pytest

from scripts.common.artifacts import check, read_json
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


def test_every_artifact_is_what_its_manifest_says(built: Checkout) -> None:
    manifests = [*built.results.rglob("manifest.json")]
    assert len(manifests) > 40
    assert [problem for path in manifests for problem in check(path)] == []


def test_verify_results_finds_all_whole_and_a_flipped_bit(built: Checkout) -> None:
    command = [built.python, "-m", "scripts.verify_results", "results/tiny"]
    assert built.run(command, check=False).returncode == 0
    file = next((built.results / "datasets" / "ins-stage-1" / "records").glob("*.parquet"))
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        run = built.run(command, check=False)
        assert run.returncode == 1 and "ins-stage-1" in run.stdout + run.stderr
    finally:
        file.write_bytes(before)


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
    """Corpora, curation, tokenizer and base model, made again in another folder: identical manifests."""
    other = copy_of_the_project(tmp_path_factory.mktemp("again") / "checkout")
    targets = ["results/tiny/models/base/manifest.json", "results/tiny/pools/sft/classify/manifest.json"]
    other.snakemake(*targets)
    for path in other.results.rglob("manifest.json"):
        relative = path.relative_to(other.results)
        assert path.read_bytes() == (built.results / relative).read_bytes(), f"{relative} differs"
