"""Verifiers: is this response right? One interface for distillation, rewards and evaluation.

    with VerifierPool(workers=2) as pool:
        verdicts = pool.verify_many([("... \\boxed{18}", Answer("math", {"target": "18"}))])

`python -m scripts.verify in.jsonl out.jsonl` verifies a file, `python -m scripts.verify.batch` a Parquet of records.
What is covered, and what is not: docs/verifiers.md. Importing this module loads none of the heavy libraries.
"""

from scripts.verify.answer import Answer, AnswerError, Verdict
from scripts.verify.pool import VerifierPool, verify, verify_many
from scripts.verify.settings import VerifySettings

__all__ = [
    "Answer",
    "AnswerError",
    "Verdict",
    "VerifierPool",
    "VerifySettings",
    "verify",
    "verify_many",
]
