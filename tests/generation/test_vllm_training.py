"""Trainings on vLLM itself, at nano shape: teachers behind its servers, rollouts by an engine in the trainer's process.

Needs TRL and vLLM in one environment: `envs/train`, or on a CPU `envs/stack`, where `make test-stack` runs them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.common.settings import Engine
from scripts.generation.prompts import GenerationError
from scripts.generation.servers import OwnServer, open_servers
from scripts.generation.serving import VARIABLE, Serving
from tests.train.lab import (
    GRPO,
    NANO,
    OPD,
    PRETRAIN,
    ROLLOUT,
    SUPERVISED,
    a_run,
    corpus,
    dataset,
    finished,
    load,
    log_of,
    perturbed,
)

pytest.importorskip("vllm", reason="vLLM is in the environments of GPUs alone")
pytest.importorskip("trl", reason="TRL and vLLM are together in the environment train alone")

SETTINGS = Engine(kind="vllm-server", dtype="float32", batch_size=8)
SAMPLED = OPD | {"estimate": "sampled-token", "max_steps": 3}
SERVED = SAMPLED | {"teacher_engine": "vllm-server"}
DOMAINS = ("knowledge", "math")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has learned to answer with a letter. vLLM's attention on a CPU has no kernel for heads of less than 32."""
    from scripts.train import pretrain, sft
    from scripts.train.settings.pretrain import PretrainStep
    from scripts.train.settings.sft import SftStep

    folder = tmp_path_factory.mktemp("nano")
    chats = dataset(folder / "chats", corpus(200, 0))
    wide = PRETRAIN | {"architecture": NANO | {"head_dim": 32}}
    run = a_run(PretrainStep(training=wide), folder / "base", dataset=chats)
    pretrain.pretrain(run)
    base = finished(run.out)
    run = a_run(SftStep(training=SUPERVISED | {"max_steps": 60}), folder / "student", dataset=chats, init=base)
    sft.finetune(run)
    return finished(run.out)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [row | {"messages": row["messages"][:1]} for row in corpus(64, 1)]
    return dataset(tmp_path_factory.mktemp("data") / "prompts", rows)


@pytest.fixture(scope="module")
def teachers(student: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("teachers")
    return {name: perturbed(student.parent, folder / name, seed) for seed, name in enumerate(DOMAINS)}


@pytest.fixture(scope="module")
def servers(teachers: dict[str, Path]) -> Iterator[dict[str, OwnServer]]:
    """One server per teacher, started as a step starts its own."""
    servers: dict[str, Any] = {}
    for name, manifest in teachers.items():
        (servers[name],) = open_servers(manifest.parent, SETTINGS, 1, Serving())
    yield servers
    for server in servers.values():
        server.close()


def distilled(folder: Path, student: Path, prompts: Path, teachers: dict[str, Path], training: dict[str, Any]) -> Path:
    from scripts.train import opd
    from scripts.train.settings.opd import OpdStep

    settings = OpdStep(training=training, thinking=False)
    inputs = {"dataset": prompts, "init": student, "teachers": list(teachers.values())}
    opd.distill(a_run(settings, folder, names={"teachers": list(teachers)}, **inputs))
    return folder / "out"


def set_serving(monkeypatch: pytest.MonkeyPatch, servers: dict[str, OwnServer], **patience: Any) -> None:
    urls = {name: (server.url,) for name, server in servers.items()}
    monkeypatch.setenv(VARIABLE, Serving(urls=urls, **patience).model_dump_json())


@pytest.mark.parametrize("domains", [("all",), DOMAINS], ids=["opd", "mopd"])
def test_served_teachers_train_as_those_beside_the_student_do(
    domains: tuple[str, ...],
    student: Path,
    prompts: Path,
    teachers: dict[str, Path],
    servers: dict[str, OwnServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_serving(monkeypatch, servers)
    chosen = dict(zip(domains, teachers.values(), strict=False))
    served = log_of(distilled(tmp_path / "served", student, prompts, chosen, SERVED))
    beside = log_of(distilled(tmp_path / "beside", student, prompts, chosen, SAMPLED))
    assert len(served) == len(beside) == 3
    for one, other in zip(served, beside, strict=True):
        names = [name for name in one if name.startswith(("loss", "divergence", "entropy", "grad_norm"))]
        assert {"loss", *(f"divergence/{domain}" for domain in domains)} <= set(names)
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-3, abs=1e-3)


def kill_behind(checkpoint: Path, server: OwnServer) -> threading.Thread:
    """Kills the server as soon as the training has written that checkpoint."""

    def watch() -> None:
        while not (checkpoint / "complete").is_file():
            time.sleep(0.01)
        os.kill(server.process.pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.whole
def test_a_killed_teacher_ends_the_training_which_resumes_with_a_new_one(
    student: Path,
    prompts: Path,
    teachers: dict[str, Path],
    servers: dict[str, OwnServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With losses as if nothing had happened."""
    long = SERVED | {"max_steps": 12, "save_steps": 2}
    set_serving(monkeypatch, servers, retries=1, wait_seconds=0.01)
    undisturbed = log_of(distilled(tmp_path / "undisturbed", student, prompts, teachers, long))
    killed = kill_behind(tmp_path / "run/work/checkpoints/checkpoint-2", servers["math"])
    with pytest.raises(GenerationError, match=r"failed 2 times, at last: .*serving.retries"):
        distilled(tmp_path / "run", student, prompts, teachers, long)
    killed.join()
    assert not (tmp_path / "run/out/log.jsonl").exists()
    servers["math"].recover()
    set_serving(monkeypatch, servers)
    (tmp_path / "run/out").rmdir()
    resumed = log_of(distilled(tmp_path / "run", student, prompts, teachers, long))
    assert [row["step"] for row in resumed] == [*range(1, 13)]
    assert [row["loss"] for row in resumed] == pytest.approx([row["loss"] for row in undisturbed], rel=1e-3, abs=1e-4)


# --- An engine in the trainer's process ------------------------------------------------------------------------------

COLOCATED = {"rollout": ROLLOUT | {"engine": "vllm-colocate"}, "max_steps": 6}


def trained(step: str, settings: dict[str, Any], folder: Path, **inputs: Path | str) -> list[dict[str, Any]]:
    """The log of a training in a process of its own, since vLLM's process groups last as long as their process."""
    recipe = {"settings": {"thinking": False, **settings}, "seed": 1, "code": "", "environment": {}}
    words = [word for name, value in inputs.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "tests.generation.colocated", step, "--recipe", json.dumps(recipe), *words]
    subprocess.run([*command, "--out", str(folder / "manifest.json")], check=True)
    return log_of(folder)


def moved(one: Path, other: Path) -> float:
    """How far two models' log probabilities of the same tokens are apart on average (nats)."""
    tokens = torch.arange(5, 105)[None]
    logps = [torch.log_softmax(load(folder)(tokens).logits[0, :-1], -1) for folder in (one, other)]
    return (logps[0] - logps[1]).abs().gather(-1, tokens[0, 1:, None]).mean().item()


def test_grpo_samples_from_an_engine_in_its_process(student: Path, prompts: Path, tmp_path: Path) -> None:
    """From the weights of the last step: engine (bfloat16) and trainer stay close while the policy goes far.

    An engine that keeps the first weights is 2 to 4 nats per token away from the second step on.
    """
    settings = {"training": GRPO | COLOCATED, "verify": {}}
    log = trained("grpo", settings, tmp_path / "grpo", dataset=prompts, init=student)
    apart = [row["sampling/sampling_logp_difference/mean"] for row in log]
    assert len(log) == 6
    assert any(row["reward_std"] > 0 for row in log)
    assert max(apart) < 0.02 < 0.05 < moved(student.parent, tmp_path / "grpo")
    assert all(row["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=0.05) for row in log)


@pytest.mark.whole
def test_distillation_samples_from_an_engine_in_its_process(
    student: Path, prompts: Path, teachers: dict[str, Path], tmp_path: Path
) -> None:
    """The student comes nearer to its teacher on its own samples."""
    inputs = {"dataset": prompts, "init": student, "teachers": f"all={teachers['math']}"}
    log = trained("opd", {"training": OPD | COLOCATED}, tmp_path / "opd", **inputs)
    assert len(log) == 6
    assert log[-1]["divergence/all"] < 0.8 * log[0]["divergence/all"]
