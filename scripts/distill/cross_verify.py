"""Cross-verify candidate responses along several dimensions, each a column, and combine them by a rule.

One row a candidate: a teacher's sample, or the source's own response (`teacher` is "original"). Nothing is
dropped: `accepted` says what the configured rule says, and a data set may choose by any other column.

python -m scripts.distill.cross_verify --recipe JSON --pool MANIFEST --samples MANIFEST... \
    [--scores MANIFEST] --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from scripts.common.artifacts import Artifact
from scripts.common.records import KEPT, chunks, extended, iterate, write
from scripts.common.step import Run, step
from scripts.curate.languages import check_languages
from scripts.distill.candidates import (
    Candidate,
    Dimensions,
    answer_key,
    comparable,
    format_problem,
    language_ok,
    length_ok,
    refusals,
    votes,
)
from scripts.distill.frame import DistillError, Progress, Row, schema_of, size_of, take
from scripts.distill.gather import by_teacher, gather
from scripts.distill.settings import CrossVerifySettings, ResponseSet
from scripts.verify import AnswerError, Verdict, VerifierPool, VerifySettings
from scripts.verify.records import answer_of, has_verifier, reason_head, verifier_pool, verify_all
from scripts.verify.thinking import CLOSE

COLUMNS = [
    ("teacher", pa.string()),
    ("sample", pa.int32()),
    ("response", pa.string()),
    ("thinking", pa.bool_()),
    ("correct", pa.bool_()),
    ("reason", pa.string()),
    ("vote", pa.float64()),
    ("agreement", pa.float64()),
    ("format_ok", pa.bool_()),
    ("language_ok", pa.bool_()),
    ("length_ok", pa.bool_()),
    ("judge_score", pa.float64()),
    ("judge_reason", pa.string()),  # why there is no score; empty where there is one, null without a judge
    ("tokens", pa.int32()),
    ("accepted", pa.bool_()),
    ("refused", pa.list_(pa.string())),  # the demands of the rule that it does not meet
]
CHUNK = 1_000  # prompts verified at once


def assess(
    batch: list[tuple[Row, list[Candidate]]],
    scores: Iterator[Row] | None,
    verifiers: VerifierPool,
    settings: CrossVerifySettings,
) -> Iterator[Row]:
    """The rows of some prompts' candidates, with every dimension; `scores` is the judge's next row for each."""
    texts = [(item.text, record["answer"]) for record, candidates in batch for item in candidates]
    verdicts = iter(verify_all(verifiers, texts))
    for record, candidates in batch:
        judged = [_score(record, item, scores) for item in candidates]
        found = _dimensions(record, candidates, judged, settings.responses, settings.verify)
        for item, score, dimensions in zip(candidates, judged, found, strict=True):
            row = _row(record, item, dimensions, next(verdicts), settings.responses)
            yield row | {"judge_reason": score["reason"]}


def _score(record: Row, item: Candidate, scores: Iterator[Row] | None) -> Row:
    """The judge's row on a candidate. Raises DistillError where the next one is on another."""
    if scores is None:
        return {"score": None, "reason": None}
    row = next(scores, None)
    wanted = (record["id"], item.teacher, item.sample)
    if row is None or (row["id"], row["teacher"], row["sample"]) != wanted:
        raise DistillError(f"--scores are of other candidates: not of {wanted}; score these again")
    return row


def _dimensions(
    record: Row,
    candidates: list[Candidate],
    judged: list[Row],
    settings: ResponseSet,
    verify: VerifySettings,
) -> list[Dimensions]:
    polled = _poll(record, candidates, verify)
    return [
        Dimensions(
            vote=vote,
            agreement=agreement,
            format_ok=format_problem(item, settings.thinking) is None,
            language_ok=language_ok(item.text, settings.checks),
            length_ok=length_ok(item.text, settings.checks),
            judge_score=score["score"],
        )
        for item, score, (vote, agreement) in zip(candidates, judged, polled, strict=True)
    ]


def _poll(
    record: Row, candidates: list[Candidate], verify: VerifySettings
) -> Sequence[tuple[float | None, float | None]]:
    """Vote and agreement of each candidate; None where there is nothing to vote on."""
    nothing = [(None, None)] * len(candidates)
    try:
        answer = answer_of(record["answer"])
    except AnswerError:  # its verdicts say so
        return nothing
    if not comparable(answer):
        return nothing
    return votes(candidates, [answer_key(item.text, answer, verify) for item in candidates])


def _row(record: Row, item: Candidate, found: Dimensions, verdict: Verdict, settings: ResponseSet) -> Row:
    refused = refusals(found, verdict.correct, has_verifier(record["answer"]), settings.accept)
    return record | {
        "teacher": item.teacher,
        "sample": item.sample,
        "response": item.text,
        "thinking": CLOSE in item.text,
        "correct": verdict.correct,
        "reason": verdict.reason,
        "tokens": item.tokens,
        "accepted": not refused,
        "refused": refused,
        **vars(found),
    }


class Tally:
    """Counts of a run: candidates and accepted ones by teacher, verdicts, and what refused the others."""

    def __init__(self) -> None:
        self.prompts = 0
        self.without = 0
        self.candidates: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.unverifiable: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Count one candidate."""
        self.candidates[row["teacher"]] += 1
        self.accepted[row["teacher"]] += row["accepted"]
        self.refused.update(row["refused"])
        self.verdicts[{True: "correct", False: "wrong", None: "unverifiable"}[row["correct"]]] += 1
        if row["correct"] is None:
            self.unverifiable[reason_head(Verdict(None, row["reason"]))] += 1

    def counts(self) -> dict[str, Any]:
        """For the manifest. `refused` counts each demand that a candidate failed, so it may add up to more."""
        return {
            "prompts": self.prompts,
            "prompts_without_candidate": self.without,
            "in": self.candidates.total(),
            "kept": self.candidates.total(),
            "dropped": {},
            **{
                name: dict(sorted(getattr(self, name).items()))
                for name in ("candidates", "accepted", "refused", "verdicts", "unverifiable")
            },
        }


def cross_verify(run: Run[CrossVerifySettings], pool: Artifact, samples: Mapping[str, Artifact]) -> dict[str, Any]:
    """Write one row a candidate; return the counts. `samples` holds each teacher's artifact by name."""
    settings, tally = run.settings.responses, Tally()
    progress = Progress(min(size_of(pool), settings.prompts or size_of(pool)))
    scores = _scores(run)
    check_languages(settings.checks.languages)

    def rows() -> Iterator[Row]:
        gathered = gather(
            take(pool, settings.prompts),
            {teacher: iterate(item.folder / KEPT) for teacher, item in samples.items()},
            settings.keep_original,
        )
        with verifier_pool(run.settings.verify) as verifiers:
            for batch in chunks(gathered, CHUNK):
                tally.prompts += len(batch)
                tally.without += sum(not candidates for _, candidates in batch)
                for row in assess(batch, scores, verifiers, run.settings):
                    tally.add(row)
                    yield row
                progress.add(len(batch))

    write(run.out / KEPT, rows(), extended(schema_of(pool), COLUMNS))
    if scores is not None and (left := next(scores, None)):
        raise DistillError(f"--scores go on after the last candidate, with {left['id']}: score these candidates again")
    return tally.counts()


def _scores(run: Run[CrossVerifySettings]) -> Iterator[Row] | None:
    """The judge's rows, one a candidate; None without a judge."""
    given, judge = run.inputs["scores"], run.settings.responses.judge
    if bool(given) != bool(judge):
        raise DistillError(f"--scores are {'given' if given else 'missing'}, and responses.judge is {judge}")
    return iterate(given[0].folder / KEPT) if given else None


def main() -> None:
    with step(__spec__, inputs=("pool", "samples", "scores"), settings=CrossVerifySettings) as run:
        samples = by_teacher(run.inputs["samples"], run.settings.responses.teachers)
        run.counts |= cross_verify(run, run.input("pool"), samples)


if __name__ == "__main__":
    main()
