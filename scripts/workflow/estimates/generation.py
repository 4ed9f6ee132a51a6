"""The cost of sampling (completions x tokens x FLOP / FLOP/s reached in decoding) and of verification."""

from __future__ import annotations

from pathlib import PurePath

from scripts.distill.settings.sample import Draw
from scripts.workflow.artifacts import Artifact
from scripts.workflow.estimates import documents
from scripts.workflow.estimates.basis import Basis, Cost
from scripts.workflow.estimates.shapes import Shape, shape_of


def decoding(basis: Basis, shape: Shape, completions: float, tokens: int, thinking: bool, gpus: int) -> Cost:
    """vLLM: completions x tokens x FLOP after the prompt and half the answer / (peak x decoding MFU)."""
    flops = shape.forward_flops(basis.assumed.prompt_tokens + tokens / 2)
    mfu = basis.assumed.long_decoding_mfu if thinking else basis.assumed.decoding_mfu
    hours = completions * tokens * flops / (basis.assumed.peak_flops * mfu * 3600)
    return Cost(
        gpu_hours=hours + gpus * basis.assumed.start_minutes / 60,
        disk_bytes=completions * tokens * basis.assumed.token_bytes,
        basis=f"{completions:,.0f} answers x {tokens:,} tokens x {flops / 1e9:.0f} GFLOP / (peak x {mfu:g})",
    )


def sample(basis: Basis, artifact: Artifact) -> Cost | None:
    """A teacher's or a student's samples."""
    name = artifact.names["set"]
    if "teacher" not in artifact.names:
        graded = basis.config.graded[name]
        return _draw(basis, graded.draw, graded.pool, graded.student)
    responses = basis.config.responses[name]
    return _draw(basis, responses.draw, responses.pool, artifact.names["teacher"])


def _draw(basis: Basis, draw: Draw, pool: str, model: str) -> Cost | None:
    if (shape := shape_of(basis.config, model)) is None:
        return None
    completions = documents.drawn(basis, draw, pool) * draw.samples
    tokens = basis.answer_tokens(draw.thinking, draw.sampling.max_tokens)
    return decoding(basis, shape, completions, tokens, draw.thinking, basis.config.budget_of("distill.sample").gpus)


def _responses(basis: Basis, name: str) -> float:
    """Candidate responses of a set."""
    responses = basis.config.responses[name]
    candidates = len(responses.teachers) * responses.samples + responses.keep_original
    return documents.drawn(basis, responses.draw, responses.pool) * candidates


def judge(basis: Basis, artifact: Artifact) -> Cost | None:
    """The judge's scores of a response set."""
    judge = basis.config.responses[artifact.names["set"]].judge
    if judge is None or (shape := shape_of(basis.config, judge.model)) is None:
        return None
    tokens = basis.answer_tokens(judge.thinking, judge.sampling.max_tokens)
    gpus = basis.config.budget_of("distill.judge").gpus
    return decoding(basis, shape, _responses(basis, artifact.names["set"]), tokens, judge.thinking, gpus)


def verify(basis: Basis, artifact: Artifact) -> Cost:
    """Verdicts on a response set's candidates."""
    return _verdicts(basis, _responses(basis, artifact.names["set"]))


def grade(basis: Basis, artifact: Artifact) -> Cost:
    """Verdicts on the attempts of a graded set."""
    graded = basis.config.graded[artifact.names["set"]]
    return _verdicts(basis, documents.drawn(basis, graded.draw, graded.pool) * graded.samples)


def _verdicts(basis: Basis, count: float) -> Cost:
    return Cost(
        cpu_hours=count * basis.assumed.verify_ms / 3.6e6,
        disk_bytes=count * basis.assumed.record_bytes,
        basis=f"{count:,.0f} responses x {basis.assumed.verify_ms:g} ms",
    )


def generate(basis: Basis, artifact: Artifact) -> Cost | None:
    """A model's answers to a group of benchmarks."""
    shape = shape_of(basis.config, artifact.names["model"])
    if shape is None:
        return None
    gpus = basis.config.budget_of("evaluate.generate").gpus
    thinking = basis.config.models[artifact.names["model"]].thinking
    parts = [_answers(basis, shape, name, thinking) for name in _group(artifact)]
    return Cost(
        gpu_hours=sum(part.gpu_hours for part in parts) + gpus * basis.assumed.start_minutes / 60,
        disk_bytes=sum(part.disk_bytes for part in parts),
        basis="; ".join(part.basis for part in parts),
    )


def _answers(basis: Basis, shape: Shape, benchmark: str, thinking: bool) -> Cost:
    entry = basis.config.benchmarks[benchmark]
    questions = entry.questions(thinking)
    tokens = basis.answer_tokens(thinking, questions.sampling.max_tokens)
    return decoding(basis, shape, _items(basis, benchmark) * entry.samples, tokens, thinking, gpus=0)


def _items(basis: Basis, benchmark: str) -> int:
    entry = basis.config.benchmarks[benchmark]
    return min(documents.rows(basis, entry.source), entry.limit or documents.rows(basis, entry.source))


def _group(artifact: Artifact) -> tuple[str, ...]:
    """The benchmarks that one job serves."""
    return tuple(PurePath(output).stem for output in artifact.outputs)


def score(basis: Basis, artifact: Artifact) -> Cost:
    """Verdicts on a model's answers to a group of benchmarks."""
    count = sum(_items(basis, name) * basis.config.benchmarks[name].samples for name in _group(artifact))
    return Cost(
        cpu_hours=count * basis.assumed.verify_ms / 3.6e6,
        disk_bytes=count * 200,
        basis=f"{count:,} answers x {basis.assumed.verify_ms:g} ms",
    )
