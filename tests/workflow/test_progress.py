"""Progress: the job counts that it reads from Snakemake's output, the hand-computed time left, messages on failures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.common.artifacts import write_json
from scripts.workflow import progress
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read
from scripts.workflow.progress import Forecast, Progress, clock, last_step

SFT, GRPO, SCORE = (
    f"results/tiny/{name}"
    for name in ("models/ins-sft-1/manifest.json", "models/ins-grpo/manifest.json", "cells/instruct/base/math.json")
)
ANNOUNCED = """[Mon Nov 23 22:44:35 2026]
localrule finetune_model:
    input: results/tiny/models/base/manifest.json, results/tiny/datasets/ins-stage-1/manifest.json
    output: results/tiny/models/ins-sft-1/manifest.json
    log: results/tiny/logs/models/ins-sft-1.log
    jobid: 8
    reason: Missing output files: results/tiny/models/ins-sft-1/manifest.json
    wildcards: model=ins-sft-1
    resources: tmpdir=/tmp, runtime=60, mem_mb=4000, mem=4 GB, mem_mib=3815
"""
FINISHED = """[Mon Nov 23 22:45:35 2026]
Finished jobid: 8 (Rule: finetune_model)
1 of 3 steps (33%) done
"""
FAILED = """[Mon Nov 23 22:45:35 2026]
Error in rule finetune_model:
    message: None
    jobid: 8
    input: results/tiny/models/base/manifest.json
    output: results/tiny/models/ins-sft-1/manifest.json
    log: results/tiny/logs/models/ins-sft-1.log (check log file(s) for error details)
    shell:
        set -euo pipefail; exec env python -m scripts.train.sft
        (command exited with non-zero exit code)
"""


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    """The tiny scale's artifacts, in a folder without past runs."""
    tiny = Artifacts(read("tiny"))
    monkeypatch.chdir(tmp_path)
    return tiny


def feed(shown: Progress, text: str) -> None:
    for line in text.splitlines(keepends=True):
        shown.read(line)


def past(path: str, step: str, seconds: float) -> None:
    record = Path(path).with_name("run.json") if path.endswith("manifest.json") else Path(f"{path}.run")
    record.parent.mkdir(parents=True)
    write_json(record, {"step": step, "outputs": [path], "seconds": seconds})


def test_counts_of_jobs(artifacts: Artifacts, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(artifacts, cores=2) as shown:
        shown.expect([SFT, GRPO, SCORE])
        assert shown.text() == "0 of 3 jobs, 0:00"
        feed(shown, ANNOUNCED)
        assert shown.text() == "0 of 3 jobs, 0:00 | train ins-sft-1"
        feed(shown, FINISHED)
        assert shown.text().startswith("1 of 3 jobs")
        assert "train" not in shown.text()
        shown.expect([SCORE])  # the rest needs nothing more
        assert shown.text().startswith("1 of 2 jobs")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 of 3 jobs, 0:00"), "no terminal: a line every tenth and nothing else"


def test_a_training_shows_its_step_and_metrics(artifacts: Artifacts) -> None:
    log = Path("results/tiny/logs/models/ins-sft-1.log")
    log.parent.mkdir(parents=True)
    log.write_text(
        "python -m x\nstep 1/60 loss 2.5000 0.10 steps/s\n"
        "step 8/60 loss 1.2500 reward 0.4 tokens_per_second 6,877 memory_gb 0.7 0.49 steps/s\nbye\n"
    )
    with Progress(artifacts, cores=2) as shown:
        shown.expect([SFT])
        feed(shown, ANNOUNCED)
        assert shown.text().endswith("| train ins-sft-1: step 8/60 loss 1.2500 reward 0.4")
    assert last_step(Path("none.log")) == "" == last_step(None)


def test_time_left_by_hand(artifacts: Artifacts) -> None:
    """Past: SFT 9 + 1 s, GRPO of another seed 29 + 1 s; a cell was never made, so it takes the mean of both, 20 s.

    60 s on two cores are 30; SFT ended after 20 s of 40 elapsed, so the run does 10 s of past work in 40 s, and the
    other 50 take 200; with GRPO 10 s old, 20 of 60 are done in 50 s and the other 40 take 100."""
    past(SFT, "scripts.train.sft", 9.0)
    past(GRPO.replace("tiny", "tiny-seed-2"), "scripts.train.grpo", 29.0)
    forecast = Forecast(artifacts, cores=2)
    forecast.expect([SFT, GRPO, SCORE])
    assert forecast.left(0.0, {}) == pytest.approx(30.0)
    forecast.finished(SFT, 20.0)
    forecast._any = progress.Mean(40.0, 2)  # the cell's expectation as it was, to keep the figures round
    assert forecast.left(40.0, {}) == pytest.approx(200.0)
    assert forecast.left(50.0, {GRPO: 10.0}) == pytest.approx(100.0)
    assert forecast.jobs == (1, 3)


def test_without_past_runs_no_time_is_shown_until_a_job_ends(artifacts: Artifacts) -> None:
    """Then the others last as it did: two of 10 s, at its speed of one in 10 s."""
    forecast = Forecast(artifacts, cores=2)
    forecast.expect([SFT, GRPO, SCORE])
    assert forecast.left(5.0, {}) is None
    forecast.finished(SFT, 10.0)
    assert forecast.left(10.0, {}) == pytest.approx(20.0)


def test_a_failure_names_log_and_command(artifacts: Artifacts) -> None:
    log = Path("results/tiny/logs/models/ins-sft-1.log")
    log.parent.mkdir(parents=True)
    log.write_text("echo repeated\nTraceback\nTrainingError: lower learning_rate\n")
    shown = Progress(artifacts, cores=2)
    shown.expect([SFT])
    feed(shown, ANNOUNCED + FAILED)
    lines = shown.failure().splitlines()
    assert lines[:3] == [f"finetune_model failed: {SFT}", "    Traceback", "    TrainingError: lower learning_rate"]
    assert f"  whole log:         {log}" in lines
    command = next(line.split(": ", 1)[1] for line in lines if "repeat it by hand" in line)
    assert subprocess.run(command.strip(), shell=True, capture_output=True, text=True).stdout == "repeated\n"


def test_a_failure_before_any_job_shows_snakemakes_error(artifacts: Artifacts) -> None:
    shown = Progress(artifacts, cores=2)
    feed(shown, "Building DAG of jobs...\nMissingInputException in rule x:\nMissing input files: y\n")
    assert shown.failure() == "MissingInputException in rule x:\nMissing input files: y\n"


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "0:05"), (245, "4:05"), (3845, "1:04:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
