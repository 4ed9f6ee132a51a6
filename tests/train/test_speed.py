"""Speed and reports: hand-computed figures, and no time in an artifact."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen3Config, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from scripts.common.artifacts import write_manifest
from scripts.common.fingerprint import EXECUTION_ONLY
from scripts.train import sft, speed, tracking, trainer
from scripts.train.settings.sft import SftStep
from tests.train.lab import SUPERVISED, a_run, log_of


def test_mean_context() -> None:
    assert speed.mean_context([1]) == 0
    assert speed.mean_context([3, 5]) == (0 + 1 + 2 + 0 + 1 + 2 + 3 + 4) / 8


def test_flops_of_a_token() -> None:
    """Qwen3-8B on sequences of 2,001 tokens, so 1,000 before each: 3 x (2 x 8.2e9 + 4 x 36 x 4,096 x 1,000)."""
    config = Qwen3Config(num_hidden_layers=36, num_attention_heads=32, head_dim=128)
    assert speed.flops_per_token(config, 8_200_000_000, [2001, 2001]) == 3 * (16.4e9 + 589_824_000)


def test_the_meter_leaves_the_first_step_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Steps of 100 tokens that end at 10, 12 and 16 seconds, on a GPU of 1,000 FLOP/s at 10 FLOP per token."""
    clock = iter([10.0, 12.0, 16.0])
    monkeypatch.setattr(speed.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(speed, "device_peak", lambda: 1000.0)
    meter, steps = speed.Meter(10.0), [{"num_tokens": 100.0 * step} for step in (1, 2, 3)]
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    for logs in steps:
        meter.on_log(args, TrainerState(), TrainerControl(), logs)
    assert [logs.get("speed/tokens_per_second") for logs in steps] == [None, 50, 25]
    assert [logs.get("speed/mfu") for logs in steps] == [None, 0.5, 0.25]
    notes = meter.notes()
    assert (notes["tokens_per_second"], notes["mfu"]) == (round(200 / 6, 4), round(200 / 6 / 100, 4))


def tracked(lab: types.SimpleNamespace, folder: Path, **changes: Any) -> Any:
    run = a_run(SftStep(training=SUPERVISED | {"max_steps": 4} | changes), folder, dataset=lab.chats, init=lab.base)
    sft.finetune(run)
    return run


def test_reports_have_times_and_the_model_has_none(
    lab: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(tracking.FOLDER, str(tmp_path / "reports" / "ins"))
    run = tracked(lab, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "reports" / "ins" / tracking.METRICS).read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    assert {"loss", "learning_rate", "grad_norm", "speed/memory_gb", "time"} <= set(steps[0])
    assert all(line["speed/tokens_per_second"] > 0 for line in steps[1:])
    assert not [name for entry in log_of(run.out) for name in entry if "speed" in name or "time" in name]
    assert run.notes["tokens_per_second"] > 0 and run.notes["memory_gb"] > 0
    assert not {"speed", "memory_gb", "tokens_per_second"} & set(run.counts)


def test_what_only_reports_changes_no_byte(
    lab: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The callbacks of execution-only modules, left out: the fingerprint may leave their code out too."""
    files = [f"scripts/train/{name}.py" for name in ("interruption", "progress", "speed", "tracking", "card")]
    assert set(files) <= EXECUTION_ONLY.keys()
    monkeypatch.setenv(tracking.FOLDER, str(tmp_path / "reports"))
    whole = tracked(lab, tmp_path / "whole")
    for name in ("Meter", "Progress", "Interruption"):
        monkeypatch.setattr(getattr(trainer, name), "on_log", TrainerCallback.on_log)
        for moment in ("on_train_begin", "on_step_end", "on_save", "on_train_end"):
            monkeypatch.setattr(getattr(trainer, name), moment, getattr(TrainerCallback, moment))
    monkeypatch.setattr(tracking, "trackers", list)
    monkeypatch.setattr(tracking, "run_name", lambda: None)
    monkeypatch.setattr(trainer, "card", lambda run, history: "")
    plain = tracked(lab, tmp_path / "plain")
    for run in (whole, plain):
        write_manifest(run.out, run.counts)
    assert (whole.out / "manifest.json").read_bytes() == (plain.out / "manifest.json").read_bytes()


def test_tensorboard_gets_values(lab: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="no TensorBoard here; it is in the environment `train`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv(tracking.FOLDER, str(tmp_path / "reports"))
    monkeypatch.setenv(tracking.TRACKERS, "tensorboard")
    tracked(lab, tmp_path)
    events = EventAccumulator(str(tmp_path / "reports"))
    events.Reload()
    assert {"train/loss", "train/grad_norm", "train/speed/tokens_per_second"} <= set(events.Tags()["scalars"])


def test_an_unknown_tracker_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(tracking.FOLDER, str(tmp_path))
    monkeypatch.setenv(tracking.TRACKERS, "tensorbord")
    with pytest.raises(ValueError, match="tensorbord"):
        tracking.trackers()
