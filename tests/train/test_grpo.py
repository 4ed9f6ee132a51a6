"""GRPO: advantages, loss, gradient and counts against the formulas in scripts/train/grpo.py, computed by hand."""

from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from trl import DistillationConfig, GRPOTrainer

from scripts.generation.serving import Serving
from scripts.train import grpo, policy, rewards
from scripts.train.rewards import VerifierReward, verdict_shares
from scripts.train.rows import DataError
from scripts.train.settings.grpo import Grpo, GrpoStep
from scripts.train.settings.on_policy import Rollout
from scripts.train.trainer import TrainingError
from scripts.verify import Verdict, VerifierPool
from tests.train.lab import GRPO, ROLLOUT, SAMPLING, a_run, corpus, dataset, load, log_of, with_sampling

LIMIT = 5
"""Limit of new tokens that cuts some of the nano model's completions and not others."""
FIELDS = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages")


def reinforced(lab: types.SimpleNamespace, folder: Path, init: Path | None = None, **changes: Any) -> Any:
    """A finished reinforcement of the nano chat model with settings changed."""
    data = changes.pop("dataset", lab.prompts)
    settings = GrpoStep(training=GRPO | changes, thinking=False, verify={})
    run = a_run(settings, folder, dataset=data, init=init or lab.ins)
    grpo.reinforce(run)
    return run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The tensors of each batch of rollouts, with its rewards."""
    batches: list[dict[str, Any]] = []
    score, reward = GRPOTrainer._generate_and_score_completions, VerifierReward.__call__

    def rewarded(self: VerifierReward, *args: Any, **kwargs: Any) -> Any:
        batches.append({"rewards": reward(self, *args, **kwargs)})
        return batches[-1]["rewards"]

    def scored(self: GRPOTrainer, inputs: Any) -> Any:
        output = score(self, inputs)
        batches[-1] |= {name: output[name].clone() for name in FIELDS}
        return output

    monkeypatch.setattr(VerifierReward, "__call__", rewarded)
    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", scored)
    return batches


def by_hand(rewards: list[float | None], group: int, scale: str) -> list[float]:
    """Advantages: reward minus the group's mean, over the sample standard deviation of group or batch plus 1e-4.

    A reward of None is in no mean and in no deviation; its advantage is 0, and so is that of a group's only reward.
    """

    def deviation(values: list[float | None]) -> float:
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known)
        return (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5

    advantages = []
    for start in range(0, len(rewards), group):
        members = rewards[start : start + group]
        known = [reward for reward in members if reward is not None]
        if len(known) < 2:
            advantages += [0.0] * group
            continue
        width = {"group": deviation(members), "batch": deviation(rewards), "none": 1 - 1e-4}[scale]
        mean = sum(known) / len(known)
        advantages += [0.0 if reward is None else (reward - mean) / (width + 1e-4) for reward in members]
    return advantages


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages(lab: types.SimpleNamespace, tmp_path: Path, seen: list[dict[str, Any]], scale: str) -> None:
    reinforced(lab, tmp_path, scale_rewards=scale, max_steps=2, micro_batch_size=16)
    for batch in seen:
        assert len(set(batch["rewards"])) == 2, "the batch must hold right and wrong completions"
        assert batch["advantages"].tolist() == pytest.approx(by_hand(batch["rewards"], 4, scale), abs=1e-5)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_an_unverifiable_completion_is_left_out_of_its_groups_baseline(
    lab: types.SimpleNamespace, tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    """The verifier times out on one completion of the first group, three of the second and all four of the third."""
    correct = [None, True, False, False, None, None, None, True, None, None, None, None, True, False, True, True]
    verdicts = [Verdict(each, "timeout" if each is None else "") for each in correct]
    monkeypatch.setattr(rewards, "verify_all", lambda pool, items: verdicts)
    run = reinforced(lab, tmp_path, scale_rewards=scale, max_steps=1, micro_batch_size=16)
    advantages = seen[0]["advantages"].tolist()
    assert advantages == pytest.approx(by_hand(seen[0]["rewards"], 4, scale), abs=1e-5)
    if scale == "none":  # the means are 1/3 and 3/4
        assert advantages == pytest.approx([0, 2 / 3, -1 / 3, -1 / 3, *[0] * 8, 1 / 4, -3 / 4, 1 / 4, 1 / 4])
    assert log_of(run.out)[0]["reward"] == pytest.approx(5 / 8)
    assert run.counts["verdicts"] == {"correct": 5, "wrong": 3, "unverifiable": 8}


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo", "bnpo"])
def test_the_loss_of_the_first_step(
    lab: types.SimpleNamespace, tmp_path: Path, seen: list[dict[str, Any]], loss: str
) -> None:
    """The ratio is 1 on policy, so a token's loss is minus its completion's advantage; `loss` decides the mean."""
    run = reinforced(lab, tmp_path, loss=loss, max_steps=1, micro_batch_size=16)
    mask = seen[0]["completion_mask"].double()
    tokens = -seen[0]["advantages"].double()[:, None] * mask
    expected = {
        "grpo": (tokens.sum(1) / mask.sum(1)).mean(),
        "dapo": tokens.sum() / mask.sum(),
        "bnpo": tokens.sum() / mask.sum(),
        "dr_grpo": tokens.sum() / (16 * 12),
    }[loss]
    assert log_of(run.out)[0]["loss"] == pytest.approx(float(expected), abs=1e-6)


def log_probabilities(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """log p of each completion token: (rows, tokens)."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    width = batch["completion_ids"].size(1)
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    logits = model(ids, attention_mask=attention, position_ids=positions).logits[:, -width - 1 : -1]
    return torch.log_softmax(logits, -1).gather(2, batch["completion_ids"][..., None])[..., 0]


def test_the_gradient_is_that_of_the_policy_gradient(
    lab: types.SimpleNamespace, tmp_path: Path, seen: list[dict[str, Any]]
) -> None:
    run = reinforced(lab, tmp_path, max_steps=1, max_grad_norm=1e9)
    batch, model = seen[0], load(lab.ins.parent, torch.float64)
    mask = batch["completion_mask"].double()
    (-(batch["advantages"].double()[:, None] * log_probabilities(model, batch) * mask).sum() / mask.sum()).backward()
    norm = torch.stack([weight.grad.norm() for weight in model.parameters()]).norm()
    assert log_of(run.out)[0]["grad_norm"] == pytest.approx(float(norm), rel=1e-3)


def test_clip_higher_allows_a_larger_ratio_for_a_positive_advantage(
    lab: types.SimpleNamespace, tmp_path: Path, seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second token is 1.5 times as likely as when it was sampled, the others half as likely: both are clipped."""
    scored, model = GRPOTrainer._generate_and_score_completions, load(lab.ins.parent)

    def ratios(batch: dict[str, Any]) -> torch.Tensor:
        even = torch.arange(batch["completion_ids"].size(1)) % 2 == 0
        return torch.where(even, 1.5, 0.5).expand(len(batch["completion_ids"]), -1)

    def older(self: GRPOTrainer, inputs: Any) -> Any:
        output = scored(self, inputs)
        with torch.no_grad():
            output["old_per_token_logps"] = log_probabilities(model, output) - ratios(output).log()
        return output

    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", older)
    run = reinforced(lab, tmp_path, max_steps=1, micro_batch_size=16, epsilon=0.2, epsilon_high=0.28)
    batch = seen[0]
    mask, advantages = batch["completion_mask"].bool(), batch["advantages"][:, None].expand_as(ratios(batch))
    kept = torch.where(advantages > 0, ratios(batch).clamp(max=1.28), ratios(batch).clamp(min=0.8))
    entry = log_of(run.out)[0]
    assert entry["loss"] == pytest.approx(-float((kept * advantages)[mask].sum() / mask.sum()), abs=1e-5)
    for name, cut in (
        ("high", (advantages > 0) & (ratios(batch) > 1.28)),
        ("low", (advantages < 0) & (ratios(batch) < 0.8)),
    ):
        assert entry[f"clip_ratio/{name}_mean"] == pytest.approx(float(cut[mask].float().mean()))
        assert cut[mask].any()


def test_masked_completions_at_the_limit_give_no_gradient(
    lab: types.SimpleNamespace, tokenizer: Any, tmp_path: Path, seen: list[dict[str, Any]]
) -> None:
    """They stay in their group's mean and deviation, with the reward of their verdict."""
    short = {"rollout": ROLLOUT | {"max_completion_tokens": LIMIT}, "max_steps": 1, "micro_batch_size": 16}
    runs = [reinforced(lab, tmp_path / str(masked), mask_truncated=masked, **short) for masked in (True, False)]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ended = (seen[1]["completion_ids"] == end).any(1)
    assert 0 < int(ended.sum()) < len(ended), "some end and some are cut"
    mask = seen[1]["completion_mask"]
    for run, batch, kept in zip(runs, seen, (mask * ended[:, None], mask), strict=True):
        assert batch["advantages"].tolist() == pytest.approx(by_hand(batch["rewards"], 4, "group"), abs=1e-5)
        expected = -(batch["advantages"][:, None] * kept).sum() / kept.sum()
        assert log_of(run.out)[0]["loss"] == pytest.approx(float(expected), abs=1e-6)
        assert run.counts["overlong"] == len(ended) - int(ended.sum())


def test_what_is_logged_and_counted(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    run = reinforced(lab, tmp_path, max_steps=3, beta=0.1)
    log = log_of(run.out)
    for entry in log:
        assert entry["reward"] == entry["verdicts/correct"]
        assert entry["verdicts/correct"] + entry["verdicts/wrong"] + entry["verdicts/unverifiable"] == pytest.approx(1)
        assert {"loss", "kl", "entropy", "frac_reward_zero_std", "completions/mean_length"} <= set(entry)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert sum(run.counts["verdicts"].values()) == 3 * 16
    assert run.counts["verdicts"]["correct"] == round(16 * sum(entry["reward"] for entry in log))
    assert run.counts["domains"] == {"knowledge": 32, "math": 32}
    assert run.counts["groups"]["all"] == 3 * 4
    assert run.counts["groups"]["degenerate"] == round(4 * sum(entry["frac_reward_zero_std"] for entry in log))
    assert run.counts["overlong"] == round(16 * sum(entry["completions/clipped_ratio"] for entry in log))
    assert {"clip_ratio/low_mean", "clip_ratio/high_mean"} <= set(log[0])


def test_groups_of_equal_rewards_are_counted_and_give_no_gradient(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    rows = [row | {"messages": row["messages"][:1]} for row in corpus(16, 1)]
    for row in rows:
        row["answer"] = {"kind": "choice", "spec": '{"target": "Z"}'}  # the corpus has only A to D
    run = reinforced(lab, tmp_path / "run", dataset=dataset(tmp_path / "data", rows), max_steps=2)
    assert run.counts["groups"] == {"all": 8, "degenerate": 8} and run.counts["verdicts"]["wrong"] == 32
    assert [entry["grad_norm"] for entry in log_of(run.out)] == [0, 0]
    before, after = load(lab.ins.parent).state_dict(), load(run.out).state_dict()
    assert all(torch.equal(before[name], weight) for name, weight in after.items())


def test_the_recipe_alone_decides_how_the_policy_samples(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    """Nothing of the checkpoint's generation_config.json reaches the rollouts; the new checkpoint keeps the file."""
    init = with_sampling(lab.ins.parent, tmp_path / "init")
    plain = reinforced(lab, tmp_path / "plain", max_steps=1)
    stated = reinforced(lab, tmp_path / "stated", init=init, max_steps=1)
    assert log_of(stated.out) == log_of(plain.out)
    assert (stated.out / "model.safetensors").read_bytes() == (plain.out / "model.safetensors").read_bytes()
    kept = json.loads((stated.out / "generation_config.json").read_text())
    assert {name: kept[name] for name in SAMPLING} == SAMPLING


def test_sequences_that_exceed_the_context_are_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    rollout = GRPO["rollout"] | {"max_completion_tokens": 193}
    with pytest.raises(TrainingError, match=r"allows sequences of 257 tokens, but the model in .* has 256 positions"):
        reinforced(lab, tmp_path, rollout=rollout)


@pytest.mark.parametrize(
    ("correction", "engine", "expected"),
    [
        ("token_truncate", "vllm-colocate", (True, "token_truncate", 2.0)),
        ("sequence_mask", "vllm-server", (True, "sequence_mask", 2.0)),
        ("none", "vllm-colocate", (False,)),
        ("token_truncate", "transformers", (False,)),  # the policy itself samples
    ],
)
def test_importance_correction_applies_to_vllm_alone(correction: str, engine: str, expected: tuple[Any, ...]) -> None:
    settings = Grpo(**GRPO | {"rollout": GRPO["rollout"] | {"engine": engine}, "importance_correction": correction})
    assert tuple(grpo.correction_arguments(settings).values()) == expected
    assert set(grpo.correction_arguments(settings)) <= {field.name for field in dataclasses.fields(grpo.GRPOConfig)}


def test_the_policys_server_is_the_one_configured_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Serving(urls={"ins-grpo": ("http://node7:8000",)})
    with pytest.raises(TrainingError, match=r"this machine has no GPU: set rollout\.engine to transformers"):
        policy.policy_server("ins-grpo", serving)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert policy.policy_server("ins-grpo", serving) == "http://node7:8000"
    with pytest.raises(TrainingError, match=r"needs one server in serving\.urls\.opd, not \[\]: start it on other"):
        policy.policy_server("opd", serving)


def test_a_colocated_engine_frees_the_gpu_while_the_policy_is_trained(tmp_path: Path) -> None:
    rollout = Rollout(**GRPO["rollout"] | {"engine": "vllm-colocate"})
    arguments = policy.engine_arguments(rollout, "model")
    assert arguments["vllm_enable_sleep_mode"] and arguments["vllm_max_model_length"] == 64 + 12
    for kind in (grpo.GRPOConfig, DistillationConfig):
        assert set(arguments) <= {field.name for field in dataclasses.fields(kind)}


def test_an_unverifiable_completion_has_no_reward_and_is_counted() -> None:
    shares: dict[str, float] = {}
    good, bad = {"kind": "choice", "spec": '{"target": "A"}'}, {"kind": "choice", "spec": '{"goal": "A"}'}
    torn = {"kind": "choice", "spec": '{"target": "A'}
    with VerifierPool(1) as pool:
        rewarded = VerifierReward(pool)(
            completions=[
                [{"role": "assistant", "content": text}]
                for text in ("Answer: A", "Answer: B", "Answer: A", "Answer: A")
            ],
            answer=[good, good, bad, torn],
            log_metric=shares.__setitem__,
            prompts=[],
        )
    assert rewarded == [1.0, 0.0, None, None]
    assert shares == {"verdicts/correct": 0.25, "verdicts/wrong": 0.25, "verdicts/unverifiable": 0.5}


def test_a_batch_without_any_verdict_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"none of 2 completions could be verified.*sandbox \(2 times\)"):
        verdict_shares([Verdict(None, "sandbox")] * 2)


def test_prompts_that_nothing_verifies_are_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    rows = [row | {"answer": {"kind": "none", "spec": "{}"}} for row in corpus(2, 9)] + corpus(8, 8)
    with pytest.raises(DataError, match="2 of 10 prompts have an answer of kind `none`"):
        reinforced(lab, tmp_path / "run", dataset=dataset(tmp_path / "data", rows))


def test_too_few_prompts_for_a_step_are_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 prompts are fewer than the 4 of one step"):
        reinforced(lab, tmp_path / "run", dataset=dataset(tmp_path / "data", corpus(3, 8)))


def test_a_base_model_that_cannot_stop_is_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"does not stop at <\|im_end\|>. Fine-tune it first"):
        reinforced(lab, tmp_path, init=lab.base)


def test_groups_must_be_whole() -> None:
    with pytest.raises(ValidationError, match="batch_size 16 is not a multiple of group_size 3"):
        Grpo(**GRPO | {"group_size": 3})


def test_the_checkpoint_still_stops_at_the_turns_end(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    out = reinforced(lab, tmp_path, max_steps=1).out
    stops = [
        json.loads((folder / "generation_config.json").read_text())["eos_token_id"] for folder in (out, lab.ins.parent)
    ]
    assert stops[0] == stops[1] and len(stops[0]) == 2
