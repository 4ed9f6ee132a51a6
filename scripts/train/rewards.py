"""The verifiers' verdicts as rewards: 1 for a correct completion, 0 for a wrong one, none for an unverifiable one.

A completion is unverifiable if its verifier failed or ran out of time. TRL leaves it out of its group's baseline, and
the log counts it, so a broken verifier shows in the log and does not move the policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from scripts.common.records import AnswerColumn, Message
from scripts.train.trainer import TrainingError
from scripts.verify import Verdict, VerifierPool
from scripts.verify.records import verify_all

VERDICTS = ("correct", "wrong", "unverifiable")


class VerifierReward:
    """A reward function of TRL's GRPOTrainer over a pool of verifiers."""

    __name__ = "verifier"

    def __init__(self, pool: VerifierPool) -> None:
        self._pool = pool

    def __call__(
        self,
        completions: Sequence[list[Message]],
        answer: Sequence[AnswerColumn],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        """One reward per completion, None if it is unverifiable; the share of each verdict goes to the log."""
        texts = [completion[-1]["content"] for completion in completions]
        verdicts = verify_all(self._pool, list(zip(texts, answer, strict=True)))
        for name, share in verdict_shares(verdicts).items():
            log_metric(f"verdicts/{name}", share)
        return [None if verdict.correct is None else float(verdict.correct) for verdict in verdicts]


def verdict_shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Shares of correct, wrong and unverifiable verdicts. Raises TrainingError if all are unverifiable."""
    counts = Counter({True: "correct", False: "wrong", None: "unverifiable"}[verdict.correct] for verdict in verdicts)
    if counts["unverifiable"] == len(verdicts):
        reasons = Counter(verdict.reason for verdict in verdicts).most_common(3)
        raise TrainingError(
            f"none of {len(verdicts)} completions could be verified, so there is no reward to learn from: "
            + "; ".join(f"{reason} ({count} times)" for reason, count in reasons)
        )
    return {name: counts[name] / len(verdicts) for name in VERDICTS}
