"""Teachers behind servers: the training is the same as with teachers beside the student; servers may fail."""

from __future__ import annotations

import json
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from scripts.generation.prompts import GenerationError
from scripts.generation.serving import VARIABLE, Serving
from scripts.train import opd
from scripts.train.settings.opd import Opd, OpdStep
from scripts.train.teachers import ServedTeacher
from scripts.train.trainer import TrainingError
from scripts.workflow.config import ConfigError, read
from tests.train.lab import OPD, a_run, load, log_of, perturbed

SERVED = {"estimate": "sampled-token", "teacher_engine": "vllm-server", "max_steps": 3}


class Beside:
    """A scorer that computes a server's answers with the checkpoint itself."""

    made: list[str] = []  # noqa: RUF012 - counted by the tests

    def __init__(self, folder: str, serving: Serving) -> None:
        self.model = load(Path(folder))
        self.made.append(Path(folder).name)

    @torch.no_grad()
    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[float]]:
        scores = []
        for tokens, start in zip(sequences, starts, strict=True):
            logits = self.model(torch.tensor([list(tokens)])).logits[0, :-1]
            logps = torch.log_softmax(logits, -1).gather(-1, torch.tensor(tokens[1:])[:, None])[:, 0]
            scores.append(logps[start - 1 :].tolist())
        return scores


def distilled(lab: types.SimpleNamespace, folder: Path, teachers: dict[str, Path], **changes: Any) -> Path:
    settings = OpdStep(training=OPD | changes, thinking=False)
    inputs = {"dataset": lab.prompts, "init": lab.ins, "teachers": list(teachers.values())}
    opd.distill(a_run(settings, folder, names={"teachers": list(teachers)}, **inputs))
    return folder / "out"


def test_served_teachers_train_as_those_beside_the_student_do(
    lab: types.SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two domains with one teacher each: losses and weights agree, so each row was scored by its domain's teacher."""
    teachers = {
        name: perturbed(lab.ins.parent, tmp_path / name, seed) for seed, name in enumerate(("knowledge", "math"))
    }
    monkeypatch.setattr(opd, "ServedTeacher", Beside)
    monkeypatch.setattr(Beside, "made", [])
    served = distilled(lab, tmp_path / "served", teachers, **SERVED)
    beside = distilled(lab, tmp_path / "beside", teachers, **SERVED | {"teacher_engine": "transformers"})
    assert sorted(Beside.made) == ["knowledge", "math"]
    for one, other in zip(log_of(served), log_of(beside), strict=True):
        names = [name for name in one if name.startswith(("loss", "divergence", "entropy"))]
        assert {"loss", "divergence/knowledge", "divergence/math"} <= set(names)
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], abs=2e-4)
    weights = [load(folder).state_dict() for folder in (served, beside)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=2e-4) for name in weights[0])


def test_domains_that_share_a_checkpoint_share_its_servers(
    lab: types.SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opd, "ServedTeacher", Beside)
    monkeypatch.setattr(Beside, "made", [])
    distilled(lab, tmp_path / "run", {"knowledge": lab.ins, "math": lab.ins}, **SERVED | {"max_steps": 1})
    assert len(Beside.made) == 1


# --- Servers that fail ----------------------------------------------------------------------------------------------


@contextmanager
def a_server(root: Path, answers: list[tuple[int, Any]]) -> Iterator[str]:
    """A server that gives these answers in order, and then repeats the last one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, {"data": [{"id": "t", "root": str(root), "max_model_len": 128}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.reply(*(answers.pop(0) if len(answers) > 1 else answers[0]))

        def reply(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def scored(*values: float) -> dict[str, Any]:
    """vLLM's answer with log probabilities of the tokens 5, 6, 7; the first token has none."""
    places = [{str(token): {"logprob": value}} for token, value in zip((6, 7), values, strict=False)]
    return {"choices": [{"prompt_logprobs": [None, *places]}]}


def teacher(folder: Path, *urls: str) -> ServedTeacher:
    return ServedTeacher(str(folder), Serving(urls={folder.name: urls}, wait_seconds=0.01, retries=2))


def test_a_request_that_a_teacher_fails_is_sent_again(tmp_path: Path) -> None:
    answers = [(503, "busy"), (200, scored(-1.5)), (200, scored(-1.5, -0.25))]
    with a_server(tmp_path, answers) as url:
        assert teacher(tmp_path, url).score([[5, 6, 7]], [1]) == [[-1.5, -0.25]]
        assert teacher(tmp_path, url).score([[5, 6, 7]], [2]) == [[-0.25]]


def test_a_teacher_that_never_answers_ends_the_training_and_names_the_setting(tmp_path: Path) -> None:
    with a_server(tmp_path, [(503, "busy")]) as url:
        served = teacher(tmp_path, url)
        with pytest.raises(GenerationError, match=r"failed 3 times, at last: .* answers 503.*serving.retries"):
            served.score([[5, 6, 7]], [1])
    with pytest.raises(GenerationError, match=r"failed 3 times, at last: .*Connection.*serving.retries"):
        served.score([[5, 6, 7]], [1])


def test_a_teacher_without_a_server_is_an_error_before_anything_is_sampled(
    lab: types.SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(TrainingError, match=r"serving.urls.\w+ names no server: start one with `vllm serve"):
        distilled(lab, tmp_path / "run", {"all": lab.ins}, **SERVED)


def test_a_server_gives_the_sampled_tokens_probability_alone() -> None:
    with pytest.raises(ValidationError, match=r"set estimate to sampled-token \(is vocabulary\)"):
        Opd(**OPD | {"teacher_engine": "vllm-server"})
    with pytest.raises(ValidationError, match=r"teacher_temperature to 1 \(is 0.5\)"):
        Opd(**OPD | SERVED | {"teacher_temperature": 0.5})


def test_a_plan_needs_a_server_for_each_teacher() -> None:
    models = {"mopd": {"training": {"estimate": "sampled-token", "teacher_engine": "vllm-server"}}}
    urls = {f"teacher-{domain}": ["http://node7:8000"] for domain in ("math", "code", "instruction", "knowledge")}
    config = read("paper", {"models": models, "serving": {"urls": urls}})
    assert isinstance(config.training_of("mopd"), Opd)
    del urls["teacher-code"]
    with pytest.raises(ConfigError, match=r"mopd.training.teacher_engine: vllm-server, but serving.urls.teacher-code"):
        read("paper", {"models": models, "serving": {"urls": urls}})
