"""The configuration: every mistake is found before a job is planned, and the error says what to do."""

from __future__ import annotations

import pytest
import yaml

from scripts.common.fingerprint import ROOT
from scripts.workflow.config import ConfigError, load, merge, parents, read

ROW = {"name": "base", "model": "base", "title": "Base"}


def broken(overlay: dict) -> str:
    """The error that the tiny scale gives with `overlay` on top."""
    with pytest.raises(ConfigError) as error:
        read("tiny", overlay)
    return str(error.value)


def test_every_scale_is_valid() -> None:
    for path in sorted((ROOT / "scales").glob("*.yaml")):
        assert read(path.stem).scale == path.stem


def test_unknown_scale_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'huge' has no file scales/huge.yaml; known scales: .*tiny"):
        read("huge")


def test_unknown_key_names_file_key_and_value() -> None:
    message = broken({"models": {"ins-sft-1": {"learning_rate": 1}}})
    assert "scales/tiny.yaml" in message
    assert "models.ins-sft-1.sft.learning_rate" in message and "value: 1" in message


def test_unknown_training_key_is_found_though_training_is_free_form() -> None:
    message = broken({"models": {"ins-sft-1": {"training": {"learing_rate": 1.0}}}})
    assert "models.ins-sft-1.training" in message and "learing_rate" in message


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (
            {"models": {"ins-sft-2": {"init": "ins-sft1"}}},
            "models.ins-sft-2.init: 'ins-sft1' is not defined; did you mean",
        ),
        ({"models": {"opd": {"teacher": "nobody"}}}, "models.opd.teacher: 'nobody' is not defined"),
        ({"models": {"opd": {"dataset": "opd-prompt"}}}, "did you mean opd-prompts"),
        ({"datasets": {"ins-rl": {"graded": "instruc"}}}, "datasets.ins-rl.graded: 'instruc' is not defined"),
        ({"responses": {"instruct": {"pool": "stf"}}}, "responses.instruct.pool: 'stf' is not defined"),
        ({"datasets": {"ins-stage-2": {"select": {"encoder": "bas"}}}}, "ins-stage-2.select.encoder: 'bas' is not"),
        ({"datasets": {"ins-rl": {"caps": {"rl-mth": 5}}}}, "caps and source_ratios: 'rl-mth' is not defined"),
        ({"datasets": {"ins-rl": {"caps": {"sums": 5}}}}, "caps and source_ratios: 'sums' is not defined; known: rl-"),
        ({"benchmarks": {"math": {"source": "nowhere"}}}, "benchmarks.math.source: 'nowhere' is not defined"),
        (
            {"classifiers": {"domain": {"labels": {"sumz": "math"}}}},
            "classifiers.domain.labels: 'sumz' is not defined",
        ),
        ({"tables": {"opd": {"columns": ["mathh", "average"], "claims": []}}}, "tables.opd.columns: 'mathh'"),
        (
            {"tables": {"cells": {"title": "", "kind": "main", "columns": ["math", "average"], "rows": [ROW]}}},
            "tables.cells: 'cells' is a built-in target",
        ),
        ({"evaluate_together": [["ifeval", "poetry"]]}, "evaluate_together: 'poetry' is not defined"),
    ],
)
def test_dangling_references_are_found(overlay: dict, expected: str) -> None:
    assert expected in broken(overlay)


def test_decontamination_without_a_benchmark_is_found() -> None:
    message = broken({"benchmarks": dict.fromkeys(read("tiny").benchmarks)})
    assert "pools.sft.steps: decontaminate needs `benchmarks`" in message


def test_a_domain_without_a_teacher_is_found_before_any_rollout() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    teachers = {domain: name for domain, name in config["models"]["mopd"]["teachers"].items() if domain != "code"}
    raw = merge(merge(config, yaml.safe_load((ROOT / "scales" / "tiny.yaml").read_text())), {"scale": "tiny"})
    raw["models"]["mopd"]["teachers"] = teachers
    with pytest.raises(ConfigError, match=r"models.mopd.teachers: no teacher for the domain 'code'"):
        load(raw)


def test_a_model_that_needs_itself_is_found() -> None:
    message = broken({"models": {"ins-sft-1": {"init": "ins-sft-3"}}})
    assert "a model cannot be needed to make itself" in message


def test_null_removes_an_entry_and_a_section() -> None:
    config = read("tiny", {"tables": None, "synthetic": read("tiny").synthetic.model_dump()})
    assert config.tables == {}


def test_parents_are_init_teachers_and_what_made_the_data() -> None:
    config = read("tiny")
    assert parents(config, "mopd")[0] == "ins-sft-3"
    assert set(parents(config, "mopd")) >= {"teacher-math", "teacher-code", "teacher-knowledge", "teacher-instruction"}
    assert "ins-sft-3" in parents(config, "ins-grpo")


def test_other_seeds_have_their_own_results() -> None:
    assert read("tiny").results == "results/tiny"
    assert read("tiny", {"seed": 2}).results == "results/tiny-seed-2"


def test_merge_is_deep_for_mappings_and_whole_for_lists() -> None:
    assert merge({"a": {"x": 1, "y": 2}, "b": [1, 2]}, {"a": {"y": 3}, "b": [4]}) == {"a": {"x": 1, "y": 3}, "b": [4]}
