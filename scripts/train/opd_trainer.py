"""On-policy distillation with one teacher per domain, on TRL's DistillationTrainer.

Each prompt belongs to a domain. The student samples a completion, and the teacher of that domain alone scores it (MOPD,
arXiv 2606.30406). Let D be the generalised JSD between two distributions over the next token: the student's at the
rollout's temperature, from which it sampled, and the teacher's at `teacher_temperature`. At `beta: 1` D is the reverse
KL. The loss is a mean over all completion tokens of a step's batch:

    loss = sum of D(student || teacher of the row) / number of completion tokens

This is DistillationTrainer's loss with a teacher that depends on the row. `estimate: sampled-token` replaces D by the
log ratio of the sampled token. It is REINFORCE whose reward for a token is the teacher's log probability minus the
student's, without the rewards of later tokens (Thinking Machines' on-policy distillation). Its expected value is the
reverse KL, and its expected gradient is the gradient of the reverse KL.
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
TEACHER_LOGPS = "teacher_logps"
"""Entry of a batch: served teachers' log probabilities of the sampled tokens, (B, K)."""
EVERY_DOMAIN = "all"
"""Name of the teacher if there is only one."""


class UnknownDomainError(ValueError):
    """Some prompts belong to a domain that has no teacher."""


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
    """log p of the tokens `ids` (N,), and the entropy at the hidden states before them (N, hidden size); both (N,).

    The (N, vocabulary) logits are computed in chunks and never held as a whole.
    """
    weight, bias = cast(Any, head).weight, cast(Any, head).bias
    with maybe_gather_lm_head_ctx(weight, bias):
        logps, entropy, *_ = ChunkedLogProbFunction.apply(
            states, weight, bias, ids, temperature, VOCAB_CHUNK_SIZE, None, 1.0, ("entropy",)
        )
    return logps, entropy.detach()


def log_ratio(student: Tensor, entropy: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """REINFORCE surrogate of each sampled token's log p and entropy: (N,), and the entropy unchanged.

    Its value is the log ratio, log p(student) - log p(teacher). Its gradient is the log ratio times the gradient of
    log p(student): the ratio is detached, since otherwise the expected gradient would be zero.
    """
    ratio = (student - teacher).detach()
    return ratio * (1 + student - student.detach()), entropy


def compact(inputs: dict[str, Any]) -> dict[str, Any]:
    """A micro batch without the columns that are padding in all of its rows."""
    prompt, completion = slice(used(inputs["prompt_mask"]).start, None), slice(used(inputs["completion_mask"]).stop)
    cuts = {"prompt_ids": prompt, "prompt_mask": prompt}
    cuts |= dict.fromkeys(("completion_ids", "completion_mask", TEACHER_LOGPS), completion)
    return {name: value[:, cuts[name]] if name in cuts else value for name, value in inputs.items()}


class MultiTeacherTrainer(DistillationTrainer):
    """DistillationTrainer whose teacher depends on the row. Domains that share a checkpoint share one copy of it."""

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
        self._sampled_token = estimate == "sampled-token"
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
        prepared.eval()  # a statement of its own: DeepSpeed's wrapper returns None
        return prepared

    def _generate_single_turn(self, *arguments: Any, **options: Any) -> Any:
        with recipe_sampling(model_of(self)):
            return super()._generate_single_turn(*arguments, **options)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)  # keeps the order of the rows
        rows = [self._domains.index(row[DOMAIN]) for row in inputs]
        output["domain"] = torch.tensor(rows, device=self.accelerator.device)  # shuffled and split with the rest
        if self._served:
            output[TEACHER_LOGPS] = self._teacher_logps(output)
        return output

    def _teacher_logps(self, output: dict[str, Any]) -> Tensor:
        """log p of each completion token by the row's served teacher: (B, K), 0 after the end of a completion."""
        prompts, completions = (
            [ids[mask.bool()].tolist() for ids, mask in zip(output[f"{part}_ids"], output[f"{part}_mask"], strict=True)]
            for part in ("prompt", "completion")
        )
        logps = torch.zeros_like(output["completion_ids"], dtype=torch.float32)
        owners = self._teacher_of[output["domain"].cpu()].tolist()
        for index, teacher in enumerate(self._served):
            rows = [row for row, owner in enumerate(owners) if owner == index]
            sequences = [prompts[row] + completions[row] for row in rows]
            scores = teacher.score(sequences, [len(prompts[row]) for row in rows])
            for row, values in zip(rows, scores, strict=True):
                logps[row, : len(values)] = torch.tensor(values, device=logps.device)
        return logps

    def _compute_loss(
        self, unwrapped_student: PreTrainedModel, inputs: dict[str, Any], num_items_in_batch: Tensor | float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, sum of the student's entropies (nats) and number of tokens of a micro batch of B rows and K columns."""
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
        """Yield row indices (R,), and divergences and entropies (N,) of these rows' tokens, for each teacher.

        Served teachers have scored the tokens with the rollouts, so they yield all rows at once.
        """
        mask, domains = inputs["completion_mask"].bool(), inputs["domain"]
        if self._served:
            sampled = log_probabilities(
                student[mask], model.get_output_embeddings(), inputs["completion_ids"][mask], self.temperature
            )
            yield torch.arange(len(mask), device=mask.device), *log_ratio(*sampled, inputs[TEACHER_LOGPS][mask])
        for index, teacher in enumerate(self._teachers):
            rows = (self._teacher_of.to(domains.device)[domains] == index).nonzero().flatten()
            if len(rows) or self._sharded:
                yield rows, *self._diverge(model, student[rows][mask[rows]], teacher, inputs, rows)

    def _diverge(
        self, model: PreTrainedModel, student: Tensor, teacher: torch.nn.Module, inputs: dict[str, Any], rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Divergence and the student's entropy at each completion token of `rows`, both (N,).

        `student` holds the student's hidden states there, (N, hidden size). Under ZeRO-3 a teacher's forward pass and
        the gathering of both heads are collectives, so every rank makes the same calls in the same order. A rank
        without a row for this teacher makes them with two tokens of another row, and takes no position from the result.
        """
        base = self.accelerator.unwrap_model(teacher)
        batch = {
            name: inputs[name][rows] if len(rows) else inputs[name][:1, cut]
            for name, cut in (
                ("prompt_ids", slice(-1, None)),
                ("prompt_mask", slice(-1, None)),
                ("completion_ids", slice(1)),
                ("completion_mask", slice(1)),
            )
        }
        with torch.no_grad():
            states = self._forward_redirection(teacher, base, self._hidden, base, batch)
        mask = inputs["completion_mask"][rows].bool()
        states = states[mask] if len(rows) else states[0, :0]
        head, teacher_head = model.get_output_embeddings(), base.get_output_embeddings()
        scale, teacher_scale = self._scales
        if self._sampled_token:
            tokens = inputs["completion_ids"][rows][mask]
            with torch.no_grad():
                teacher_logps, _ = log_probabilities(states, teacher_head, tokens, 1 / teacher_scale)
            return log_ratio(*log_probabilities(student, head, tokens, 1 / scale), teacher_logps)
        weights = (student, head.weight, head.bias, states, teacher_head.weight, teacher_head.bias)
        return ChunkedDivergenceFunction.apply(*weights, self.beta, 1.0, scale, None, teacher_scale, None)

    def _hidden(self, model: PreTrainedModel, inputs: dict[str, Any]) -> Tensor:
        """Last hidden states before each of the K completion tokens: (B, K, hidden size)."""
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
        """The loss; the log gets each domain's mean divergence per token."""
        output = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        totals = self.accelerator.reduce(self._divergence, reduction="sum")  # outside the wrapped forward
        for domain, (total, tokens) in zip(self._domains, totals.tolist(), strict=True):
            if tokens:
                self._metrics["train"][f"divergence/{domain}"].append(total / tokens)
        return output
