"""What a job will cost, before it has ever run: GPU time, CPU time and disk from stated formulas.

Every figure is tokens or documents times a cost of one, the latter from the model's shape, the GPU's peak
and an assumed utilisation (`ASSUMPTIONS`, printed by `python -m scripts.workflow.plan`). An estimate says how it came
about in `basis`. Where the same job ran before, `scripts.workflow.plan` takes the measured time instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from scripts.common.flops import PEAK_FLOPS, forward_flops, training_flops
from scripts.distill.settings.sample import Draw
from scripts.train.settings.base import Optimizer, PostTrainedModel, TrainedModel
from scripts.train.settings.grpo import Grpo
from scripts.train.settings.hub import HubModel
from scripts.train.settings.on_policy import OnPolicy
from scripts.train.settings.opd import OpdModel
from scripts.train.settings.pretrain import Pretrain
from scripts.train.settings.supervised import Supervised
from scripts.workflow.artifacts import Artifact
from scripts.workflow.config import Config

GB = 1e9


@dataclass(frozen=True)
class Assumptions:
    """What the formulas assume; replace a value once it has been measured."""

    peak_flops: float = PEAK_FLOPS["H100"]
    """Dense bf16 FLOP/s of one GPU: H100 SXM."""
    training_mfu: float = 0.40
    """Model FLOP utilisation of training; the goal of docs/performance.md is 0.50."""
    decoding_mfu: float = 0.10
    """Of vLLM with hundreds of short sequences: some 5,000 tokens/s and GPU for 8B."""
    long_decoding_mfu: float = 0.05
    """The same with thinking: the key-value cache leaves room for fewer sequences at a time."""
    start_minutes: float = 5.0
    """Loading a model and compiling, for each job that has one."""
    prompt_tokens: int = 250
    response_tokens: int = 700
    """Mean answer without thinking."""
    thinking_tokens: int = 6500
    """Mean answer with thinking; AIME's are twice as long, IFEval's a third."""
    kept: float = 0.8
    """Share of the raw rows that curation keeps, where no manifest says it yet."""
    record_bytes: int = 3000
    """A record without thinking in compressed Parquet."""
    token_bytes: float = 1.5
    """A generated token's text in compressed Parquet."""
    checkpoint_bytes: int = 16
    """A parameter in the checkpoint that a running training resumes from: weights, two moments, a master copy."""
    verify_ms: float = 15.0
    """CPU time of one verdict: math-verify's mean, 13 to 17 ms measured."""


ASSUMPTIONS = Assumptions()

# CPU milliseconds a document, measured on chat of 3,500 characters (docs/recipe.md, section 9).
DOCUMENT_MS = {
    "sources.normalize": 0.4,
    "curate.format": 0.2,
    "curate.language": 0.6,
    "curate.length": 0.3,
    "curate.repetition": 4.5,
    "curate.refusal": 0.3,
    "curate.truncation": 0.2,
    "curate.pii": 0.2,
    "curate.exact_dedup": 0.3,
    "curate.near_dedup": 2.6,
    "curate.decontaminate": 0.7,
    "curate.classify": 0.3,
}
ON_GPUS = ("distill.sample", "distill.judge", "mix.encode", "evaluate.generate")
"""Steps that use the GPUs of their budget, besides all trainings."""
SELECTION_MS = 1.1  # embedding and selection of one candidate, measured (docs/distillation.md)


@dataclass(frozen=True)
class Shape:
    """What of a model's architecture sets its cost."""

    parameters: float
    layers: int
    attention_width: int
    """Heads times their dimension; 0 where unknown, which leaves attention out."""

    def forward_flops(self, context: float) -> float:
        """FLOP of one token's forward pass after `context` tokens."""
        return forward_flops(self.parameters, self.layers, self.attention_width, context)

    def training_flops(self, context: float) -> float:
        """FLOP of training on one token after `context` tokens."""
        return training_flops(self.parameters, self.layers, self.attention_width, context)


# Qwen3 technical report, table 1.
SHAPES = {
    "Qwen3-8B": Shape(8.2e9, 36, 4096),
    "Qwen3-14B": Shape(14.8e9, 40, 5120),
    "Qwen3-32B": Shape(32.8e9, 64, 8192),
}


@dataclass(frozen=True)
class Cost:
    """An estimate of one job. Hours are device hours: eight GPUs for an hour are eight."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    disk_bytes: float = 0.0
    download_bytes: float = 0.0
    basis: str = ""


def shape_of(config: Config, name: str) -> Shape | None:
    """The shape of a model, by way of what it was trained from. None where the hub's name states no size."""
    model = config.models[name]
    if isinstance(model, HubModel):
        return _hub_shape(model.repository)
    if isinstance(model, PostTrainedModel):
        return shape_of(config, model.init)
    return _pretrained_shape(config, name)


def _hub_shape(repository: str) -> Shape | None:
    short = repository.rsplit("/", 1)[-1].removesuffix("-Base")
    if short in SHAPES:
        return SHAPES[short]
    stated = re.search(r"(\d+(?:\.\d+)?)B\b", short)
    return Shape(float(stated[1]) * 1e9, 0, 0) if stated else None


def _pretrained_shape(config: Config, name: str) -> Shape:
    settings = config.training_of(name)
    assert isinstance(settings, Pretrain)
    one = settings.architecture
    queries, keys = one.num_attention_heads * one.head_dim, one.num_key_value_heads * one.head_dim
    layer = one.hidden_size * (2 * queries + 2 * keys + 3 * one.intermediate_size)
    parameters = settings.tokenizer.vocabulary * one.hidden_size + one.num_hidden_layers * layer
    return Shape(parameters, one.num_hidden_layers, queries)


@dataclass(frozen=True)
class Estimator:
    """Costs of a scale's jobs from its configuration."""

    config: Config
    assumed: Assumptions = ASSUMPTIONS

    def cost(self, artifact: Artifact) -> Cost | None:
        """Cost of the job that makes an artifact.

        None if there is no formula: a step without one, a source that states no rows, a model on the CPU.
        """
        on_gpus = artifact.step in ON_GPUS or self._trained(artifact) is not None
        if on_gpus and not self.config.budget_of(artifact.step).gpus:
            return None
        cost = self._estimate(artifact)
        return cost if cost and (cost.gpu_hours or cost.cpu_hours or cost.download_bytes) else None

    def _estimate(self, artifact: Artifact) -> Cost | None:
        makers = {
            "sources.download": self._download,
            "sources.normalize": self._normalize,
            "distill.sample": self._sample,
            "distill.judge": self._judge,
            "distill.grade": self._grade,
            "distill.cross_verify": self._verify,
            "mix.build": self._build,
            "train.hub": self._fetch,
            "evaluate.generate": self._generate,
            "evaluate.score": self._score,
        }
        if "pool" in artifact.names and artifact.stage == "curate":
            return self._curate(artifact)
        if model := self._trained(artifact):
            return self._train(artifact.names["model"], model)
        return makers[artifact.step](artifact) if artifact.step in makers else None

    def _trained(self, artifact: Artifact) -> TrainedModel | None:
        """The model that the artifact is, if a training makes it."""
        model = self.config.models[artifact.names["model"]] if artifact.stage == "train" else None
        return model if isinstance(model, TrainedModel) else None

    # --- documents ---

    def rows(self, source: str) -> int:
        """Rows that a source states; 0 for files, whose rows only their content tells."""
        return getattr(self.config.sources[source], "rows", None) or 0

    def pool_size(self, pool: str) -> float:
        """Records of a curated pool."""
        return self.assumed.kept * sum(self.rows(source) for source in self.config.pools[pool].sources)

    def _documents(self, step: str, count: float) -> Cost:
        milliseconds = DOCUMENT_MS[step]
        return Cost(
            cpu_hours=count * milliseconds / 3.6e6,
            disk_bytes=count * self.assumed.record_bytes,
            basis=f"{count:,.0f} documents x {milliseconds:g} ms",
        )

    def _download(self, artifact: Artifact) -> Cost:
        count = self.rows(artifact.names["source"])
        size = count * self.assumed.record_bytes
        return Cost(disk_bytes=size, download_bytes=size, basis=f"{count:,.0f} rows")

    def _normalize(self, artifact: Artifact) -> Cost:
        count = self.rows(artifact.names["source"])
        cost = self._documents("sources.normalize", count)
        address = getattr(self.config.sources[artifact.names["source"]], "path", "")
        fetched = count * self.assumed.record_bytes if "://" in address else 0
        return Cost(cost.gpu_hours, cost.cpu_hours, cost.disk_bytes, fetched, cost.basis)

    def _curate(self, artifact: Artifact) -> Cost | None:
        count = self.pool_size(artifact.names["pool"]) / self.assumed.kept
        return self._documents(artifact.step, count) if artifact.step in DOCUMENT_MS else None

    def _build(self, artifact: Artifact) -> Cost:
        dataset = self.config.datasets[artifact.names["dataset"]]
        candidates = self._candidates(artifact.names["dataset"])
        milliseconds = DOCUMENT_MS["sources.normalize"] if dataset.select.kind == "random" else SELECTION_MS
        return Cost(
            cpu_hours=candidates * milliseconds / 3.6e6,
            disk_bytes=self.dataset_size(artifact.names["dataset"]) * self.assumed.record_bytes,
            basis=f"{candidates:,.0f} candidates x {milliseconds:g} ms",
        )

    def _candidates(self, name: str) -> float:
        dataset = self.config.datasets[name]
        if dataset.responses is not None:
            return self._drawn(
                self.config.responses[dataset.responses].draw, self.config.responses[dataset.responses].pool
            )
        if dataset.graded is not None:
            return self._drawn(self.config.graded[dataset.graded], self.config.graded[dataset.graded].pool)
        if dataset.pool is not None:
            return self.pool_size(dataset.pool)
        return sum(self.rows(source) for source in dataset.sources or ())

    def dataset_size(self, name: str) -> float:
        """Records of a data set; where all that are left are taken, as many as it is made from."""
        return self.config.datasets[name].size or self._candidates(name)

    def _drawn(self, draw: Draw, pool: str) -> float:
        return min(draw.prompts or float("inf"), self.pool_size(pool))

    # --- generation ---

    def answer_tokens(self, thinking: bool, limit: int) -> int:
        """Mean tokens of an answer."""
        return min(limit, self.assumed.thinking_tokens if thinking else self.assumed.response_tokens)

    def decoding(self, shape: Shape, completions: float, tokens: int, thinking: bool, gpus: int) -> Cost:
        """vLLM: completions x tokens x FLOP behind prompt and half the answer / (peak x decoding MFU)."""
        flops = shape.forward_flops(self.assumed.prompt_tokens + tokens / 2)
        mfu = self.assumed.long_decoding_mfu if thinking else self.assumed.decoding_mfu
        hours = completions * tokens * flops / (self.assumed.peak_flops * mfu * 3600)
        return Cost(
            gpu_hours=hours + gpus * self.assumed.start_minutes / 60,
            disk_bytes=completions * tokens * self.assumed.token_bytes,
            basis=f"{completions:,.0f} answers x {tokens:,} tokens x {flops / 1e9:.0f} GFLOP / (peak x {mfu:g})",
        )

    def _sample(self, artifact: Artifact) -> Cost | None:
        name = artifact.names["set"]
        if "teacher" not in artifact.names:
            graded = self.config.graded[name]
            return self._draw(graded.draw, graded.pool, graded.student)
        responses = self.config.responses[name]
        return self._draw(responses.draw, responses.pool, artifact.names["teacher"])

    def _draw(self, draw: Draw, pool: str, model: str) -> Cost | None:
        if (shape := shape_of(self.config, model)) is None:
            return None
        completions = self._drawn(draw, pool) * draw.samples
        tokens = self.answer_tokens(draw.thinking, draw.sampling.max_tokens)
        return self.decoding(shape, completions, tokens, draw.thinking, self.config.budget_of("distill.sample").gpus)

    def _responses(self, name: str) -> float:
        """Candidate responses of a set."""
        responses = self.config.responses[name]
        candidates = len(responses.teachers) * responses.samples + responses.keep_original
        return self._drawn(responses.draw, responses.pool) * candidates

    def _judge(self, artifact: Artifact) -> Cost | None:
        judge = self.config.responses[artifact.names["set"]].judge
        if judge is None or (shape := shape_of(self.config, judge.model)) is None:
            return None
        tokens = self.answer_tokens(judge.thinking, judge.sampling.max_tokens)
        gpus = self.config.budget_of("distill.judge").gpus
        return self.decoding(shape, self._responses(artifact.names["set"]), tokens, judge.thinking, gpus)

    def _verify(self, artifact: Artifact) -> Cost:
        return self._verdicts(self._responses(artifact.names["set"]))

    def _grade(self, artifact: Artifact) -> Cost:
        graded = self.config.graded[artifact.names["set"]]
        return self._verdicts(self._drawn(graded.draw, graded.pool) * graded.samples)

    def _verdicts(self, count: float) -> Cost:
        return Cost(
            cpu_hours=count * self.assumed.verify_ms / 3.6e6,
            disk_bytes=count * self.assumed.record_bytes,
            basis=f"{count:,.0f} responses x {self.assumed.verify_ms:g} ms",
        )

    def _generate(self, artifact: Artifact) -> Cost | None:
        shape = shape_of(self.config, artifact.names["model"])
        if shape is None:
            return None
        gpus = self.config.budget_of("evaluate.generate").gpus
        thinking = self.config.models[artifact.names["model"]].thinking
        parts = [self._answers(shape, name, thinking) for name in self._group(artifact)]
        return Cost(
            gpu_hours=sum(part.gpu_hours for part in parts) + gpus * self.assumed.start_minutes / 60,
            disk_bytes=sum(part.disk_bytes for part in parts),
            basis="; ".join(part.basis for part in parts),
        )

    def _answers(self, shape: Shape, benchmark: str, thinking: bool) -> Cost:
        asked = self.config.benchmarks[benchmark]
        questions = asked.questions(thinking)
        tokens = self.answer_tokens(thinking, questions.sampling.max_tokens)
        return self.decoding(shape, self._items(benchmark) * asked.samples, tokens, thinking, gpus=0)

    def _items(self, benchmark: str) -> int:
        asked = self.config.benchmarks[benchmark]
        return min(self.rows(asked.source), asked.limit or self.rows(asked.source))

    def _group(self, artifact: Artifact) -> tuple[str, ...]:
        """The benchmarks that one job serves."""
        return tuple(PurePath(output).stem for output in artifact.outputs)

    def _score(self, artifact: Artifact) -> Cost:
        count = sum(self._items(name) * self.config.benchmarks[name].samples for name in self._group(artifact))
        return Cost(
            cpu_hours=count * self.assumed.verify_ms / 3.6e6,
            disk_bytes=count * 200,
            basis=f"{count:,} answers x {self.assumed.verify_ms:g} ms",
        )

    # --- training ---

    def _fetch(self, artifact: Artifact) -> Cost | None:
        shape = shape_of(self.config, artifact.names["model"])
        if shape is None:
            return None
        size = 2 * shape.parameters  # bf16
        return Cost(disk_bytes=size, download_bytes=size, basis=f"{shape.parameters / 1e9:.1f}B parameters x 2 bytes")

    def training(self, shape: Shape, tokens: float, sequence: float) -> Cost:
        """tokens x 3 forward passes behind half the sequence / (peak x training MFU); weights, and one checkpoint."""
        flops = shape.training_flops(sequence / 2)
        return Cost(
            gpu_hours=tokens * flops / (self.assumed.peak_flops * self.assumed.training_mfu * 3600),
            disk_bytes=2 * shape.parameters,  # bf16
            basis=f"{tokens / 1e6:,.0f}M tokens x {flops / 1e9:.0f} GFLOP / (peak x {self.assumed.training_mfu:g})",
        )

    def _train(self, name: str, model: TrainedModel) -> Cost | None:
        settings, shape = self.config.training_of(name), shape_of(self.config, name)
        if shape is None:
            return None
        if isinstance(settings, Supervised):
            return self._supervised(shape, model, settings)
        if isinstance(settings, OnPolicy):
            return self._on_policy(shape, model, settings)
        return None

    def _supervised(self, shape: Shape, model: TrainedModel, settings: Supervised) -> Cost:
        sequence = self.assumed.prompt_tokens + self.answer_tokens(model.thinking, settings.max_length)
        return self.training(shape, self._sequences(model, settings) * sequence, sequence)

    def _sequences(self, model: TrainedModel, settings: Optimizer) -> float:
        """Sequences of a whole training; a record of GRPO's data gives one per completion of its group."""
        if settings.epochs is None:
            return (settings.max_steps or 0) * settings.batch_size
        group = settings.group_size if isinstance(settings, Grpo) else 1
        return self.dataset_size(model.dataset) * settings.epochs * group

    def _on_policy(self, shape: Shape, model: TrainedModel, settings: OnPolicy) -> Cost | None:
        """Decoding by the policy, one forward pass of each scorer, and training on the completions."""
        scorers = self._scorers(shape, model, settings)
        if scorers is None:
            return None
        completions = self._sequences(model, settings)
        tokens = self.answer_tokens(model.thinking, settings.rollout.max_completion_tokens)
        sequence = self.assumed.prompt_tokens + tokens
        gpus = self.config.budget_of(f"train.{model.kind}").gpus
        drawn = self.decoding(shape, completions, tokens, model.thinking, gpus)
        learnt = self.training(shape, completions * sequence, sequence)
        rate = self.assumed.peak_flops * self.assumed.training_mfu * 3600
        scored = sum(completions * sequence * scorer.forward_flops(sequence / 2) / rate for scorer in scorers)
        return Cost(
            gpu_hours=drawn.gpu_hours + learnt.gpu_hours + scored,
            disk_bytes=learnt.disk_bytes,
            basis=f"rollouts: {drawn.basis}; training: {learnt.basis}"
            + (f"; {len(scorers)} scorer: {scored:.0f} GPU h" if scorers else ""),
        )

    def _scorers(self, shape: Shape, model: TrainedModel, settings: OnPolicy) -> list[Shape] | None:
        """Models that only score the completions; None if a teacher's shape is not known."""
        if isinstance(model, OpdModel):
            names = list(model.teachers.values()) if model.teachers else [model.teacher or ""]
            teachers = [teacher for name in names if (teacher := shape_of(self.config, name))]
            largest = max(teachers, key=lambda teacher: teacher.parameters, default=shape)
            return [largest] if len(teachers) == len(names) else None
        if isinstance(settings, Grpo):
            corrected = settings.rollout.engine != "transformers" and settings.importance_correction != "none"
            return [shape] * (corrected + bool(settings.beta))  # the policy beside vLLM's figures; the reference
        return []
