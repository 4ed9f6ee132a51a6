"""The verifiers as a reward: 1 where a completion is verified correct, else 0.

Unverifiable (an error or a timeout in a verifier) earns nothing and is counted apart, so that a broken verifier shows
in the log and never as a reward.
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
    """Shares of correct, wrong and unverifiable. Raises TrainingError where nothing at all could be verified."""
    found = Counter({True: "correct", False: "wrong", None: "unverifiable"}[verdict.correct] for verdict in verdicts)
    if found["unverifiable"] == len(verdicts):
        reasons = Counter(verdict.reason for verdict in verdicts).most_common(3)
        raise TrainingError(
            f"none of {len(verdicts)} completions could be verified, so there is no reward to learn from: "
            + "; ".join(f"{reason} ({count} times)" for reason, count in reasons)
        )
    return {name: found[name] / len(verdicts) for name in VERDICTS}
