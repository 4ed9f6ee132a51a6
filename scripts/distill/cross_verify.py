"""Cross-verify candidate responses along several dimensions, each a column, and combine them by a rule.

`records/` has one row per candidate: a teacher's sample, or the source's own response (`teacher` is "original").
Nothing is dropped: `accepted` is the result of the configured rule, and a data set may select by any other column.

python -m scripts.distill.cross_verify --recipe JSON --pool MANIFEST --samples MANIFEST... \
    [--scores MANIFEST] --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from scripts.common.artifacts import Artifact
from scripts.common.chat.thinking import has_thinking
from scripts.common.records import RECORDS, chunks, extended, has_verifier, iterate, write
from scripts.common.step import Run, step
from scripts.curate.languages import check_languages
from scripts.distill.candidates import (
    Dimensions,
    answer_key,
    comparable,
    format_problem,
    language_ok,
    length_ok,
    refusals,
    votes,
)
from scripts.distill.gather import Candidate, by_teacher, gather
from scripts.distill.progress import Progress
from scripts.distill.records import DistillError, Row, schema_of, size_of, take
from scripts.distill.settings.cross_verify import CrossVerifySettings, ResponseSet
from scripts.verify import AnswerError, Verdict, VerifierPool, VerifySettings
from scripts.verify.records import answer_of, reason_head, verifier_pool, verify_all

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
    ("judge_reason", pa.string()),  # why there is no score; empty if there is one, null without a judge
    ("tokens", pa.int32()),
    ("accepted", pa.bool_()),
    ("refused", pa.list_(pa.string())),  # demands of the rule that the candidate does not meet
]
CHUNK = 1_000  # prompts verified together


def assess(
    batch: list[tuple[Row, list[Candidate]]],
    scores: Iterator[Row] | None,
    verifiers: VerifierPool,
    settings: CrossVerifySettings,
) -> Iterator[Row]:
    """The rows of the prompts' candidates with every dimension; `scores` yields the judge's row on each candidate."""
    texts = [(item.text, record["answer"]) for record, candidates in batch for item in candidates]
    verdicts = iter(verify_all(verifiers, texts))
    for record, candidates in batch:
        judgements = [_judgement(record, item, scores) for item in candidates]
        values = _dimensions(record, candidates, judgements, settings.responses, settings.verify)
        for item, judgement, dimensions in zip(candidates, judgements, values, strict=True):
            row = _row(record, item, dimensions, next(verdicts), settings.responses)
            yield row | {"judge_reason": judgement["reason"]}


def _judgement(record: Row, item: Candidate, scores: Iterator[Row] | None) -> Row:
    """The judge's row on a candidate. Raises DistillError if the next row is on another candidate."""
    if scores is None:
        return {"score": None, "reason": None}
    row = next(scores, None)
    expected = (record["id"], item.teacher, item.sample)
    if row is None or (row["id"], row["teacher"], row["sample"]) != expected:
        raise DistillError(
            f"--scores are of other candidates: {expected} is not the next; judge these candidates again"
        )
    return row


def _dimensions(
    record: Row,
    candidates: list[Candidate],
    judgements: list[Row],
    settings: ResponseSet,
    verify: VerifySettings,
) -> list[Dimensions]:
    polls = _poll(record, candidates, verify)
    return [
        Dimensions(
            vote=vote,
            agreement=agreement,
            format_ok=format_problem(item, settings.thinking) is None,
            language_ok=language_ok(item.text, settings.checks),
            length_ok=length_ok(item.text, settings.checks),
            judge_score=judgement["score"],
        )
        for item, judgement, (vote, agreement) in zip(candidates, judgements, polls, strict=True)
    ]


def _poll(
    record: Row, candidates: list[Candidate], verify: VerifySettings
) -> Sequence[tuple[float | None, float | None]]:
    """Vote and agreement of each candidate; both None if responses to the prompt state no comparable answer."""
    no_poll = [(None, None)] * len(candidates)
    try:
        answer = answer_of(record["answer"])
    except AnswerError:  # the candidates' verdicts have the reason
        return no_poll
    if not comparable(answer):
        return no_poll
    return votes(candidates, [answer_key(item.text, answer, verify) for item in candidates])


def _row(record: Row, item: Candidate, values: Dimensions, verdict: Verdict, settings: ResponseSet) -> Row:
    refused = refusals(values, verdict.correct, has_verifier(record["answer"]), settings.accept)
    return record | {
        "teacher": item.teacher,
        "sample": item.sample,
        "response": item.text,
        "thinking": has_thinking(item.text),
        "correct": verdict.correct,
        "reason": verdict.reason,
        "tokens": item.tokens,
        "accepted": not refused,
        "refused": refused,
        **vars(values),
    }


class Tally:
    """Counts of a run: candidates and accepted ones by teacher, verdicts, and the demands that were not met."""

    def __init__(self) -> None:
        self.prompts = 0
        self.prompts_without_candidate = 0
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
        """Counts for the manifest. `refused` counts every demand not met, so it may exceed the refused candidates."""
        return {
            "prompts": self.prompts,
            "prompts_without_candidate": self.prompts_without_candidate,
            "in": self.candidates.total(),
            "kept": self.candidates.total(),
            "dropped": {},
            **{
                name: dict(sorted(getattr(self, name).items()))
                for name in ("candidates", "accepted", "refused", "verdicts", "unverifiable")
            },
        }


def cross_verify(run: Run[CrossVerifySettings], pool: Artifact, samples: Mapping[str, Artifact]) -> dict[str, Any]:
    """Write one row per candidate; return the counts. `samples` maps each teacher's name to its artifact."""
    settings, tally = run.settings.responses, Tally()
    progress = Progress(min(size_of(pool), settings.prompts or size_of(pool)))
    scores = _scores(run)
    check_languages(settings.checks.languages)

    def rows() -> Iterator[Row]:
        gathered = gather(
            take(pool, settings.prompts),
            {teacher: iterate(item.folder / RECORDS) for teacher, item in samples.items()},
            settings.keep_original,
        )
        with verifier_pool(run.settings.verify) as verifiers:
            for batch in chunks(gathered, CHUNK):
                tally.prompts += len(batch)
                tally.prompts_without_candidate += sum(not candidates for _, candidates in batch)
                for row in assess(batch, scores, verifiers, run.settings):
                    tally.add(row)
                    yield row
                progress.add(len(batch))

    write(run.out / RECORDS, rows(), extended(schema_of(pool), COLUMNS))
    if scores is not None and (left := next(scores, None)):
        raise DistillError(f"--scores have rows after the last candidate, first {left['id']}: judge these again")
    return tally.counts()


def _scores(run: Run[CrossVerifySettings]) -> Iterator[Row] | None:
    """The judge's rows, one per candidate; None without a judge."""
    artifacts, judge = run.inputs["scores"], run.settings.responses.judge
    if bool(artifacts) != bool(judge):
        raise DistillError(f"--scores are {'there' if artifacts else 'missing'}, and responses.judge is {judge}")
    return iterate(artifacts[0].folder / RECORDS) if artifacts else None


def main() -> None:
    with step(__spec__, inputs=("pool", "samples", "scores"), settings=CrossVerifySettings) as run:
        samples = by_teacher(run.inputs["samples"], run.settings.responses.teachers)
        run.counts |= cross_verify(run, run.input("pool"), samples)


if __name__ == "__main__":
    main()
