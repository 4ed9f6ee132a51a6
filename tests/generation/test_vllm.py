"""vLLM on a nano model, offline and behind its server: its greedy completions are those of transformers.

Needs vLLM: `python -m pytest tests/generation` in `envs/serve`, or on a CPU `make test-stack`, where each start of an
engine costs about a minute.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scripts.common.artifacts import Artifact, open_artifact
from scripts.common.settings import Engine, Sampling
from scripts.generation.engine import load
from scripts.generation.prompts import GenerationError
from scripts.generation.serving import VARIABLE
from scripts.generation.shards import Request, generate
from scripts.generation.transformers_engine import TransformersEngine
from tests.common.nano import MATH, math_records, run_step, save_model, save_records

pytest.importorskip("vllm", reason="vLLM is in the serve environment alone")

GREEDY = Sampling(temperature=0.0, max_tokens=16)
HOT = Sampling(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5, max_tokens=16)
SETTINGS = Engine(kind="transformers", dtype="float32", batch_size=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """vLLM's attention on a CPU has no kernel for heads of less than 32 dimensions."""
    return open_artifact(save_model(tmp_path_factory.mktemp("nano") / "model", head_dim=32))


@pytest.fixture(scope="module")
def server(model: Artifact) -> Iterator:
    """A server that the engine started itself, as a step would."""
    found = load(model.folder, SETTINGS.model_copy(update={"kind": "vllm-server"}), seed=1)
    yield found
    found.close()  # type: ignore[attr-defined]


def chats(count: int = 6) -> list[tuple[str, list]]:
    """Prompts of different lengths."""
    return [
        (f"id-{place}", [{"role": "user", "content": " ".join([prompt] * (1 + place % 3))}])
        for place, (prompt, _) in enumerate(MATH[:count])
    ]


def ask(checkpoint: Artifact, sampling: Sampling, samples: int = 2) -> Request:
    return Request(sampling, False, samples, seed=1, model=checkpoint.digest, shard_size=2)


def expected(model: Artifact, folder: Path) -> list:
    return [*generate(TransformersEngine(model.folder, SETTINGS), chats(), ask(model, GREEDY), folder)]


def test_the_protocol_has_every_field_that_is_sent_and_read() -> None:
    """Needs no engine: vLLM reads a request of the server engine as the settings that the offline engine passes."""
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest, CompletionResponseChoice

    body = {
        "model": "m",
        "return_token_ids": True,
        "prompt": [5, 6],
        "n": 3,
        **HOT.model_dump(),
        "seed": 2**55,
        "stop_token_ids": [1, 2],
        "skip_special_tokens": False,
    }
    request = CompletionRequest.model_validate(body)
    assert set(body) <= set(CompletionRequest.model_fields)
    sampling = request.to_sampling_params(request.max_tokens, {})
    assert (sampling.n, sampling.seed, sampling.stop_token_ids, sampling.max_tokens) == (3, 2**55, [1, 2], 16)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.7, 0.8, 20)
    assert sampling.presence_penalty == 1.5
    scored = CompletionRequest(model="m", prompt=[5, 6], max_tokens=1, temperature=0.0, prompt_logprobs=0)
    assert scored.to_sampling_params(1, {}).prompt_logprobs == 0
    assert {"index", "token_ids", "prompt_logprobs"} <= set(CompletionResponseChoice.model_fields)


def test_the_servers_greedy_completions_are_those_of_transformers(server, model: Artifact, tmp_path: Path) -> None:
    """Texts, stop ids and token counts, of all prompts."""
    assert server.context == 96
    found = [*generate(server, chats(), ask(model, GREEDY), tmp_path / "server")]
    assert found == expected(model, tmp_path / "transformers")


def test_samples_of_the_server_differ_and_repeat(server, model: Artifact, tmp_path: Path) -> None:
    first = [*generate(server, chats(), ask(model, HOT, samples=4), tmp_path / "a")]
    assert [len(found) for found in first] == [4] * 6
    assert len({item.text for found in first for item in found}) > 12
    assert first == [*generate(server, chats(), ask(model, HOT, samples=4), tmp_path / "b")]


def test_a_killed_server_is_started_again_with_the_same_completions(
    server,
    model: Artifact,
    tmp_path: Path,
) -> None:
    (own,) = server.fleet.servers
    port = own.url
    os.kill(own.process.pid, signal.SIGKILL)
    found = [*generate(server, chats(), ask(model, GREEDY), tmp_path / "server")]
    assert found == expected(model, tmp_path / "transformers")
    assert own.deaths == 1 and own.url != port


def test_the_server_gives_the_probabilities_that_transformers_gives(server, model: Artifact) -> None:
    """What served teachers of on-policy distillation say of each token."""
    import torch
    from transformers import AutoModelForCausalLM

    tokens = list(range(20, 80))
    found = server.fleet.servers[0].log_probabilities(tokens)
    logits = AutoModelForCausalLM.from_pretrained(model.folder)(torch.tensor([tokens])).logits[0, :-1]
    wanted = torch.log_softmax(logits.double(), -1).gather(-1, torch.tensor(tokens[1:])[:, None])[:, 0]
    assert found == pytest.approx(wanted.tolist(), abs=1e-3)


def test_a_prompt_that_the_server_refuses_is_an_error_at_once(server, model: Artifact) -> None:
    from scripts.generation.prompts import Prompt

    with pytest.raises(GenerationError, match=r"refuses the request \(400\)"):
        server.complete([Prompt("long", (5,) * 95)], GREEDY, 1, 1)


def test_steps_use_a_server_that_runs_already(
    server,
    model: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`evaluate.generate` and `distill.sample` with `serving.urls`: the same rows as with transformers."""
    from scripts.distill import sample
    from scripts.evaluate import generate as evaluate

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, json.dumps({"urls": {model.folder.name: [server.fleet.servers[0].url]}}))
    sums = save_records(tmp_path / "raw/sums", math_records())
    answers: dict[str, list] = {}
    for kind in ("transformers", "vllm-server"):
        engine = SETTINGS.model_copy(update={"kind": kind}).model_dump()
        asked = {"source": "sums", "template": "{prompt}", "samples": 1, "sampling": GREEDY.model_dump(), "limit": None}
        out = tmp_path / kind / "sums.parquet"
        settings = {"benchmarks": {"sums": asked}, "engine": engine, "thinking": False}
        run_step(evaluate, settings, [out], model=model.path, benchmarks=[sums])
        drawn = {"prompts": None, "samples": 1, "sampling": GREEDY.model_dump(), "thinking": False}
        manifest = tmp_path / kind / "samples" / "manifest.json"
        run_step(sample, {"responses": drawn, "engine": engine}, manifest, pool=sums, teacher=model.path)
        answers[kind] = [
            pq.read_table(out).to_pylist(),
            pq.read_table(manifest.parent / "records").to_pylist(),
        ]
    assert answers["transformers"] == answers["vllm-server"]


def test_a_killed_step_resumes_to_the_same_bytes(
    server,
    model: Artifact,
    tmp_path: Path,
) -> None:
    """`evaluate.generate` with sampled answers, killed with SIGKILL behind its first shard of six."""
    sums = save_records(tmp_path / "raw/sums", math_records())
    asked = {"source": "sums", "template": "{prompt}", "samples": 4, "sampling": HOT.model_dump(), "limit": None}
    engine = SETTINGS.model_copy(update={"kind": "vllm-server", "shard_size": 1}).model_dump()
    settings = {"benchmarks": {"sums": asked}, "engine": engine, "thinking": False}
    recipe = json.dumps({"settings": settings, "seed": 1, "code": "", "environment": {}})
    urls = {"urls": {model.folder.name: [server.fleet.servers[0].url]}}
    environment = os.environ | {VARIABLE: json.dumps(urls), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def start(folder: Path) -> subprocess.Popen[bytes]:
        command = ["-m", "scripts.evaluate.generate", "--recipe", recipe, "--model", str(model.path)]
        command += ["--benchmarks", str(sums), "--out", str(folder / "sums.parquet")]
        return subprocess.Popen([sys.executable, *command], cwd=folder, env=environment)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    assert start(whole).wait() == 0
    victim = start(killed)
    while not (left := [*killed.glob("work/*/sums/*.parquet")]):
        assert victim.poll() is None
        time.sleep(0.005)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL and len(left) < 6 and not (killed / "sums.parquet").exists()
    assert start(killed).wait() == 0
    assert (killed / "sums.parquet").read_bytes() == (whole / "sums.parquet").read_bytes()


def test_offline_greedy_completions_are_those_of_transformers(model: Artifact, tmp_path: Path) -> None:
    served = load(model.folder, SETTINGS.model_copy(update={"kind": "vllm"}), seed=1)
    found = [*generate(served, chats(), ask(model, GREEDY), tmp_path / "vllm")]
    assert found == expected(model, tmp_path / "transformers")
    assert [len(found) for found in generate(served, chats(), ask(model, HOT, 3), tmp_path / "hot")] == [3] * 6
