"""On-policy distillation from a teacher for each domain, on TRL's DistillationTrainer.

Each prompt belongs to a domain; its completion, sampled by the student, is scored by that domain's teacher alone (MOPD,
arXiv 2606.30406). With D the generalised JSD between the distributions of student (at the rollout's temperature, which
is what was sampled from) and teacher (at its own), reverse KL at beta = 1,

    loss = sum over all completion tokens of a step's batch of D(student || teacher of the row) / number of these tokens

which is DistillationTrainer's loss with a teacher that depends on the row. The estimate `sampled-token` puts the log
ratio of the token that was drawn in the place of D: REINFORCE with the teacher's verdict on each token as its reward,
without those on later tokens (Thinking Machines' on-policy distillation). Its mean is the reverse KL and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel
from trl import DistillationConfig, DistillationTrainer
from trl.kernels import ChunkedLogProbFunction
from trl.kernels.chunked_divergence import VOCAB_CHUNK_SIZE, ChunkedDivergenceFunction
from trl.models import prepare_deepspeed
from trl.trainer.utils import create_model_from_path, maybe_gather_lm_head_ctx

from scripts.train.padding import used
from scripts.train.policy import recipe_sampling
from scripts.train.teachers import Scorer
from scripts.train.trainer import model_of

DOMAIN = "domain"
"""Column of the prompts that names the teacher."""
SAID = "teacher_log_probabilities"
"""Of a batch: what served teachers say of the student's tokens."""
EVERY_DOMAIN = "all"
"""Name of a teacher that stands alone."""


class UnknownDomainError(ValueError):
    """Prompts of a domain that has no teacher."""


def route(prompts: Sequence[Mapping[str, Any]], teachers: Sequence[str]) -> list[dict[str, Any]]:
    """The prompts with `domain` naming the teacher. Raises UnknownDomainError before anything is sampled."""
    if list(teachers) == [EVERY_DOMAIN]:
        return [{**row, DOMAIN: EVERY_DOMAIN} for row in prompts]
    unknown = sorted({row[DOMAIN] for row in prompts} - set(teachers))
    if unknown:
        count = sum(row[DOMAIN] in unknown for row in prompts)
        raise UnknownDomainError(
            f"{count} prompts are of the domain {', '.join(map(repr, unknown))}, for which no teacher is configured "
            f"(teachers: {', '.join(sorted(teachers))}): add one under `teachers`, or leave the domain out of the data"
        )
    return [dict(row) for row in prompts]


def log_probabilities(states: Tensor, head: torch.nn.Module, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """log p of the tokens `ids` (N,) and the entropy at the states before them (N, hidden size); no (N, vocabulary)."""
    weight, bias = cast(Any, head).weight, cast(Any, head).bias
    with maybe_gather_lm_head_ctx(weight, bias):
        found = ChunkedLogProbFunction.apply(
            states, weight, bias, ids, temperature, VOCAB_CHUNK_SIZE, None, 1.0, ("entropy",)
        )
    return found[0], found[1].detach()


def log_ratio(student: Tensor, entropy: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """log p(student) / p(teacher) of each token, whose gradient is that times the gradient of log p(student); entropy.

    Without the stop on the ratio the gradient's mean would be 0.
    """
    ratio = (student - teacher).detach()
    return ratio * (1 + student - student.detach()), entropy


def compact(inputs: dict[str, Any]) -> dict[str, Any]:
    """A micro batch without the columns that none of its rows uses."""
    prompt, completion = slice(used(inputs["prompt_mask"]).start, None), slice(used(inputs["completion_mask"]).stop)
    cuts = {"prompt_ids": prompt, "prompt_mask": prompt}
    cuts |= dict.fromkeys(("completion_ids", "completion_mask", SAID), completion)
    return {name: value[:, cuts[name]] if name in cuts else value for name, value in inputs.items()}


class MultiTeacherTrainer(DistillationTrainer):
    """DistillationTrainer whose teacher depends on the row; domains that share a checkpoint share one copy."""

    def __init__(
        self,
        model: str | PreTrainedModel,
        teachers: Mapping[str, str],
        args: DistillationConfig,
        teacher_temperature: float,
        estimate: str,
        served: Callable[[str], Scorer] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model=model, teacher_model=None, args=args, **kwargs)
        self._sampled = estimate == "sampled-token"
        self._domains = sorted(teachers)
        paths = list(dict.fromkeys(teachers[domain] for domain in self._domains))
        self._teacher_of = torch.tensor([paths.index(teachers[domain]) for domain in self._domains])
        self._served = [served(path) for path in paths] if served else []
        self._teachers = [] if served else [self._load(path) for path in paths]
        self._scales = 1 / self.temperature, 1 / teacher_temperature
        plugin = self.accelerator.state.deepspeed_plugin
        self._sharded = self.is_deepspeed_enabled and plugin is not None and plugin.zero_stage == 3

    def _load(self, path: str) -> torch.nn.Module:
        options = {**cast(Any, self.args).teacher_model_init_kwargs}
        if self.args.distributed_state.distributed_type in ("MULTI_GPU", "DEEPSPEED"):
            options["device_map"] = None
        teacher = create_model_from_path(path, **options).requires_grad_(False)
        if self.is_deepspeed_enabled:
            prepared = prepare_deepspeed(teacher, self.accelerator)
        else:
            prepared = self.accelerator.prepare_model(teacher, evaluation_mode=True)
        prepared.eval()  # returns None where DeepSpeed has wrapped the model
        return prepared

    def _generate_single_turn(self, *arguments: Any, **options: Any) -> Any:
        with recipe_sampling(model_of(self)):
            return super()._generate_single_turn(*arguments, **options)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)  # keeps the order of the rows
        rows = [self._domains.index(row[DOMAIN]) for row in inputs]
        output["domain"] = torch.tensor(rows, device=self.accelerator.device)  # shuffled and split with the rest
        if self._served:
            output[SAID] = self._ask(output)
        return output

    def _ask(self, output: dict[str, Any]) -> Tensor:
        """log p of each completion token by the row's served teacher: (B, K), 0 behind a completion's end."""
        kept = [
            [ids[mask.bool()].tolist() for ids, mask in zip(output[f"{part}_ids"], output[f"{part}_mask"], strict=True)]
            for part in ("prompt", "completion")
        ]
        said = torch.zeros_like(output["completion_ids"], dtype=torch.float32)
        owners = self._teacher_of[output["domain"].cpu()].tolist()
        for index, teacher in enumerate(self._served):
            rows = [row for row, owner in enumerate(owners) if owner == index]
            asked = [kept[0][row] + kept[1][row] for row in rows]
            for row, values in zip(rows, teacher.score(asked, [len(kept[0][row]) for row in rows]), strict=True):
                said[row, : len(values)] = torch.tensor(values, device=said.device)
        return said

    def _compute_loss(
        self, unwrapped_student: PreTrainedModel, inputs: dict[str, Any], num_items_in_batch: Tensor | float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, summed entropy of the student (nats) and number of tokens of a micro batch (B rows, K tokens)."""
        inputs = compact(inputs)
        mask, domains = inputs["completion_mask"].bool(), inputs["domain"]  # (B, K), (B,)
        student = self._hidden(unwrapped_student, inputs)
        loss = entropy = student.new_zeros((), dtype=torch.float32)  # DeepSpeed's bf16 weights give bfloat16 states
        self._divergence = student.new_zeros(len(self._domains), 2, dtype=torch.float32)  # sum, number of tokens
        for rows, divergence, entropies in self._parts(unwrapped_student, student, inputs):
            loss = loss + divergence.sum()
            entropy = entropy + entropies.sum()
            owner = domains[rows].repeat_interleave(mask[rows].sum(1))
            self._divergence[:, 0].index_add_(0, owner, divergence.detach())
            self._divergence[:, 1] += torch.bincount(owner, minlength=len(self._domains))
        tokens = mask.sum()
        return loss / (tokens.clamp(min=1) if num_items_in_batch is None else num_items_in_batch), entropy, tokens

    def _parts(
        self, model: PreTrainedModel, student: Tensor, inputs: dict[str, Any]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Rows of one teacher, or all where what teachers say came with the rollouts; divergences, entropies."""
        mask, domains = inputs["completion_mask"].bool(), inputs["domain"]
        if self._served:
            drawn = log_probabilities(
                student[mask], model.get_output_embeddings(), inputs["completion_ids"][mask], self.temperature
            )
            yield torch.arange(len(mask), device=mask.device), *log_ratio(*drawn, inputs[SAID][mask])
        for index, teacher in enumerate(self._teachers):
            rows = (self._teacher_of.to(domains.device)[domains] == index).nonzero().flatten()
            if len(rows) or self._sharded:
                yield rows, *self._diverge(model, student[rows][mask[rows]], teacher, inputs, rows)

    def _diverge(
        self, model: PreTrainedModel, student: Tensor, teacher: torch.nn.Module, inputs: dict[str, Any], rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Divergence and the student's entropy at each completion token of `rows`; `student` holds its states there.

        Under ZeRO-3 a teacher's forward and the gathering of both heads are collectives: every rank makes the same
        calls in the same order, with two tokens of a row and no positions where it has no row for this teacher.
        """
        base = self.accelerator.unwrap_model(teacher)
        picked = {
            name: inputs[name][rows] if len(rows) else inputs[name][:1, cut]
            for name, cut in (
                ("prompt_ids", slice(-1, None)),
                ("prompt_mask", slice(-1, None)),
                ("completion_ids", slice(1)),
                ("completion_mask", slice(1)),
            )
        }
        with torch.no_grad():
            states = self._forward_redirection(teacher, base, self._hidden, base, picked)
        chosen = inputs["completion_mask"][rows].bool()
        states = states[chosen] if len(rows) else states[0, :0]
        head, other = model.get_output_embeddings(), base.get_output_embeddings()
        own, theirs = self._scales
        if self._sampled:
            drawn = inputs["completion_ids"][rows][chosen]
            with torch.no_grad():
                reference, _ = log_probabilities(states, other, drawn, 1 / theirs)
            return log_ratio(*log_probabilities(student, head, drawn, 1 / own), reference)
        return ChunkedDivergenceFunction.apply(
            student, head.weight, head.bias, states, other.weight, other.bias, self.beta, 1.0, own, None, theirs, None
        )

    def _hidden(self, model: PreTrainedModel, inputs: dict[str, Any]) -> Tensor:
        """Last hidden states at the K completion tokens: (B, K, hidden size)."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        return self._get_last_hidden_state(model, ids, attention, inputs["completion_ids"].size(1))

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The loss, and each domain's divergence a token in the log."""
        output = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        totals = self.accelerator.reduce(self._divergence, reduction="sum")  # outside the wrapped forward
        for domain, (total, tokens) in zip(self._domains, totals.tolist(), strict=True):
            if tokens:
                self._metrics["train"][f"divergence/{domain}"].append(total / tokens)
        return output
