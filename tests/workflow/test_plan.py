"""The plan: costs against hand-computed formulas, missing prerequisites, and Snakemake's pending artifacts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow import plan
from scripts.workflow.artifacts import Artifact, Artifacts
from scripts.workflow.config import Config, read
from scripts.workflow.estimates import generation, training
from scripts.workflow.estimates.basis import Assumptions, Basis
from scripts.workflow.estimates.estimator import estimate
from scripts.workflow.estimates.shapes import SHAPES, Shape, shape_of
from scripts.workflow.summary import pending

ROUND = Assumptions(
    peak_flops=1e15,
    training_mfu=0.5,
    decoding_mfu=0.1,
    start_minutes=6,
    prompt_tokens=100,
    response_tokens=200,
    thinking_tokens=1000,
    kept=0.5,
    token_bytes=2,
    record_bytes=1000,
    verify_ms=36,
)


@pytest.fixture(scope="module")
def paper() -> Config:
    return read("paper")


def artifact(config: Config, path: str) -> Artifact:
    """The artifact whose first file is `path` below the results folder."""
    return Artifacts(config).find(f"{config.results}/{path}")


def jobs_of(config: Config, paths: Sequence[str]) -> list[plan.Job]:
    """The jobs that make paths below the results folder."""
    return plan.jobs_of(Artifacts(config), [f"{config.results}/{path}" for path in paths])


@pytest.fixture(scope="module")
def basis(paper: Config) -> Basis:
    return Basis(paper, ROUND)


def test_a_token_costs_two_flop_a_parameter_and_four_a_layer_width_and_context() -> None:
    shape = Shape(parameters=1e9, layers=10, attention_width=100)
    assert shape.forward_flops(0) == 2e9
    assert shape.forward_flops(500) == 2e9 + 4 * 10 * 100 * 500


def test_training_is_three_forward_passes_over_peak_and_mfu(basis: Basis) -> None:
    shape = Shape(parameters=1e9, layers=0, attention_width=0)
    # 1e9 tokens x 6e9 FLOP = 6e18; at 0.5e15 FLOP/s 12,000 s = 3 1/3 h
    cost = training.training(basis, shape, tokens=1e9, sequence=1000)
    assert cost.gpu_hours == pytest.approx(10 / 3)
    assert cost.disk_bytes == 2e9


def test_decoding_counts_the_new_tokens_and_the_start(basis: Basis) -> None:
    shape = Shape(parameters=1e9, layers=0, attention_width=0)
    # 1e6 answers x 200 tokens x 2e9 FLOP = 4e17; at 1e14 FLOP/s 4,000 s; and 8 GPUs wait 6 minutes
    cost = generation.decoding(basis, shape, completions=1e6, tokens=200, thinking=False, gpus=8)
    assert cost.gpu_hours == pytest.approx(4000 / 3600 + 0.8)
    assert cost.disk_bytes == 4e8


def test_sampling_pays_for_the_pools_prompts_as_the_set_draws_them(paper: Config, basis: Basis) -> None:
    responses, teacher = paper.responses["reasoning"], SHAPES["Qwen3-32B"]
    assert (responses.prompts, responses.samples, responses.thinking) == (250_000, 1, True)
    cost = estimate(basis, artifact(basis.config, "responses/reasoning/samples/teacher/manifest.json"))
    seconds = 250_000 * 1000 * teacher.forward_flops(100 + 500) / (1e15 * ROUND.long_decoding_mfu)
    assert cost is not None
    assert cost.gpu_hours == pytest.approx(seconds / 3600 + paper.budget_of("distill.sample").gpus * 0.1)


def test_sft_pays_for_its_data_sets_size_and_epochs(paper: Config, basis: Basis) -> None:
    cost = estimate(basis, artifact(basis.config, "models/ins-sft-2/manifest.json"))
    tokens = paper.datasets["ins-stage-2"].size * 2 * (100 + 200)
    assert cost is not None
    assert cost.gpu_hours == pytest.approx(tokens * 3 * SHAPES["Qwen3-8B"].forward_flops(150) / 0.5e15 / 3600)


def test_distillation_pays_for_the_teachers_forward_pass(basis: Basis) -> None:
    small = estimate(basis, artifact(basis.config, "models/opd/manifest.json"))
    larger = estimate(basis, artifact(basis.config, "models/opd-large/manifest.json"))
    sequences, sequence = 4000 * 4, 300
    extra = SHAPES["Qwen3-32B"].forward_flops(150) - SHAPES["Qwen3-8B"].forward_flops(150)
    assert small is not None and larger is not None
    assert larger.gpu_hours - small.gpu_hours == pytest.approx(sequences * sequence * extra / 0.5e15 / 3600)


def test_an_evaluation_pays_for_every_benchmark_of_its_group(paper: Config, basis: Basis) -> None:
    cost = estimate(basis, artifact(basis.config, "scores/opd/ifeval.json"))
    samples = {
        "ifeval": 541 * 4,
        "gsm8k": 1319,
        "math-500": 2000,
        "human-eval": 164 * 8,
        "mbpp": 2000,
        "gpqa-diamond": 1980,
        "mmlu-redux": 5700,
        "livecodebench": 167 * 4,
        "zebra-logic": 1000,
    }
    assert tuple(samples) == paper.evaluation_groups()[0]
    assert cost is not None
    assert cost.cpu_hours == pytest.approx(sum(samples.values()) * 0.036 / 3600)


def test_shapes_come_from_the_root_of_the_training_or_the_name(paper: Config) -> None:
    assert shape_of(paper, "mopd") == SHAPES["Qwen3-8B"]
    assert shape_of(paper, "teacher") == SHAPES["Qwen3-32B"]
    tiny = read("tiny")
    shape = shape_of(tiny, "ins-grpo")
    assert shape is not None and 1e5 < shape.parameters < 1e7
    named = {**tiny.models, "base": paper.models["base"].model_copy(update={"repository": "some/Model-7B-it"})}
    assert shape_of(tiny.model_copy(update={"models": named}), "base") == Shape(7e9, 0, 0)


def test_a_model_on_the_cpu_and_a_source_without_rows_have_no_formula() -> None:
    basis = Basis(read("tiny"))
    assert estimate(basis, artifact(basis.config, "models/ins-sft-1/manifest.json")) is None
    assert estimate(basis, artifact(basis.config, "pools/sft/format/manifest.json")) is None


def test_images_are_not_jobs_of_a_plan(paper: Config) -> None:
    outputs = ["containers/serve.sif", "results/paper/raw/tulu-3/manifest.json"]
    (job,) = plan.jobs_of(Artifacts(paper), outputs)
    assert (job.step, job.outputs, job.title) == ("sources.normalize", (outputs[1],), "raw/tulu-3")


def test_pending_outputs_are_those_that_the_summary_would_update() -> None:
    summary = (
        "Building DAG of jobs...\n"
        "output_file\tdate\trule\tlog-file(s)\tstatus\tplan\n"
        "results/tiny/raw/a/manifest.json\t-\tnormalize_source\t-\tmissing\tupdate pending\n"
        "results/tiny/raw/b/manifest.json\t-\tnormalize_source\t-\tok\tno update\n"
        "containers/cpu.sif\t-\tbuild\t-\tmissing\tupdate pending\n"
    )
    assert pending(summary) == ["containers/cpu.sif", "results/tiny/raw/a/manifest.json"]


def ran(folder: Path, artifact: str, step: str, seconds: float) -> None:
    """A finished artifact's record of its run."""
    (folder / artifact).mkdir(parents=True)
    (folder / artifact / "run.json").write_text(json.dumps({"step": f"scripts.{step}", "seconds": seconds}))


def test_a_measured_run_comes_before_a_formula_and_that_before_the_steps_mean(
    paper: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran(Path(paper.results), "models/ins-sft-1", "train.sft", 3600)
    ran(Path(paper.results), "classifiers/one", "curate.train_classifier", 60)
    ran(Path(paper.results), "classifiers/other", "curate.train_classifier", 120)
    outputs = [f"{path}/manifest.json" for path in ("models/ins-sft-1", "models/ins-sft-2", "classifiers/domain")]
    priced = {f"{item.job.title}/manifest.json": item for item in plan.price(paper, jobs_of(paper, outputs))}
    measured, formula, mean = (priced[output] for output in outputs)
    assert (measured.origin, formula.origin, mean.origin) == ("measured", "formula", "mean of 2 runs")
    assert measured.cost is not None and measured.cost.gpu_hours == paper.budget_of("train.sft").gpus
    assert mean.cost is not None and mean.cost.cpu_hours == pytest.approx(90 / 3600)


def test_a_job_without_an_estimate_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = read("tiny")
    monkeypatch.chdir(tmp_path)
    priced = plan.price(tiny, jobs_of(tiny, ["models/ins-sft-1/manifest.json"]))
    assert [item.origin for item in priced] == ["unknown"]
    (line,) = [line for line in plan.page(tiny, priced, []).splitlines() if line.startswith("train.sft")]
    assert line.split()[:5] == ["train.sft", "1", "?", "?", "?"]


def test_only_prerequisites_of_the_jobs_are_missing(paper: Config, tmp_path: Path) -> None:
    def lacking(config: Config, *sources: str) -> list[str]:
        jobs = jobs_of(config, [f"raw/{name}/manifest.json" for name in sources])
        return [line for line in plan.missing(config, jobs, tmp_path) if line.startswith("sources.")]

    open_source = paper.sources["codefeedback"].model_copy(update={"revision": "unpinned"})
    unpinned = paper.model_copy(update={"sources": {**paper.sources, "codefeedback": open_source}})
    assert lacking(unpinned, "tulu-3") == []
    (line,) = lacking(unpinned, "tulu-3", "codefeedback")
    assert "sources.codefeedback.revision" in line and "python -m scripts.workflow.pin --scale paper" in line
    small = read("small")
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "train.jsonl").touch()
    (line,) = lacking(small, "gsm8k-train", "ifeval")
    assert line.startswith("sources.ifeval.path:") and "set corpora_dir" in line


def test_a_job_longer_than_its_walltime_is_named(paper: Config) -> None:
    (job,) = jobs_of(paper, ["models/ins-sft-1/manifest.json"])
    limit = paper.budget_of("train.sft")
    hours = limit.gpus * limit.minutes / 60
    assert plan.too_long(paper, [plan.Priced(job, plan.Cost(gpu_hours=hours * 0.99), "formula")]) == []
    (line,) = plan.too_long(paper, [plan.Priced(job, plan.Cost(gpu_hours=hours * 2), "formula")])
    assert "models/ins-sft-1" in line and "resources.train.sft.minutes" in line


@pytest.mark.slow
def test_the_plan_of_a_cell_is_its_lineage_and_starts_nothing() -> None:
    """The real command on the real configuration: one instruction-following cell needs no reasoning model."""
    before = (ROOT / "results" / "paper").exists()
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "scripts.workflow.plan",
            "--scale",
            "paper",
            "results/paper/cells/instruct/ins-sft-1/ifeval.json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    steps = {
        line.split()[0]: int(line.split()[1]) for line in run.stdout.splitlines() if line.startswith(("train.", "t"))
    }
    assert steps["train.sft"] == 1 and steps["train.hub"] == 2 and steps["tables.cell"] == 1
    assert "train.grpo" not in steps
    assert "models/ins-sft-1: 760M tokens x 50 GFLOP" in run.stdout
    assert "Qwen/Qwen3-32B @ 9216db57" in run.stdout
    assert (ROOT / "results" / "paper").exists() == before


@pytest.mark.slow
def test_an_unknown_target_is_snakemakes_error_and_no_traceback() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "scripts.workflow.plan",
            "--scale",
            "paper",
            "results/paper/cells/instruct/nobody/ifeval.json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "nobody" in run.stderr and "scripts/workflow/plan.py" not in run.stderr
