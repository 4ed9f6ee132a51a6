"""Cross-verify candidate responses along several dimensions, each a column, and combine them by a rule.

One row a candidate: a teacher's sample, or the source's own response (`teacher` is "original"). Nothing is
dropped: `accepted` says what the configured rule says, and a data set may choose by any other column.

python -m scripts.distill.cross_verify --recipe JSON --pool MANIFEST --samples MANIFEST... \
    --classifier MANIFEST --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common.artifacts import Artifact
from scripts.common.generation.shards import chunks
from scripts.common.records import KEPT, iterate, response_of, write
from scripts.common.step import Run, step
from scripts.common.verdicts import answer_of, has_verifier, reason_head, verifier_pool, verify_all
from scripts.curate.classifier import MODEL, check_labels
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
from scripts.distill.frame import DistillError, Row, extended, schema_of, take
from scripts.distill.settings import ORIGINAL, CrossVerifySettings, ResponseSet
from scripts.verify import AnswerError, Verdict, VerifierPool, VerifySettings
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
    ("tokens", pa.int32()),
    ("accepted", pa.bool_()),
    ("refused", pa.list_(pa.string())),  # the demands of the rule that it does not meet
]
CHUNK = 1_000  # prompts verified at once


def gather(
    pool: Iterable[Row], samples: Mapping[str, Iterable[Row]], keep_original: bool
) -> Iterator[tuple[Row, list[Candidate]]]:
    """Each record of the pool with its candidates, teachers in the order given, the source's own response last.

    A teacher's samples are in the pool's order, less the prompts that did not fit its context.
    Raises DistillError when they belong to another pool.
    """
    iterators = {teacher: iter(rows) for teacher, rows in samples.items()}
    heads = {teacher: next(rows, None) for teacher, rows in iterators.items()}
    for record in pool:
        candidates: list[Candidate] = []
        for teacher, head in heads.items():
            if head is not None and head["id"] == record["id"]:
                candidates += [
                    Candidate(teacher, number, item["text"], item["finish_reason"], item["tokens"])
                    for number, item in enumerate(head["responses"])
                ]
                heads[teacher] = next(iterators[teacher], None)
        own = response_of(record["messages"])
        if keep_original and own:
            candidates.append(Candidate(ORIGINAL, 0, own, "stop", None))
        yield record, candidates
    if left := {teacher: head["id"] for teacher, head in heads.items() if head is not None}:
        raise DistillError(f"samples of prompts that the pool does not have, first {left}: sample from this pool again")


def judge(
    batch: list[tuple[Row, list[Candidate]]], verifiers: VerifierPool, settings: CrossVerifySettings, model: Path
) -> Iterator[Row]:
    """The rows of some prompts' candidates, every dimension judged."""
    texts = [(item.text, record["answer"]) for record, candidates in batch for item in candidates]
    verdicts = iter(verify_all(verifiers, texts))
    for record, candidates in batch:
        found = _dimensions(record, candidates, settings.responses, settings.verify, model)
        for item, dimensions in zip(candidates, found, strict=True):
            yield _row(record, item, dimensions, next(verdicts), settings.responses)


def _dimensions(
    record: Row, candidates: list[Candidate], settings: ResponseSet, verify: VerifySettings, model: Path
) -> list[Dimensions]:
    polled = _poll(record, candidates, verify)
    return [
        Dimensions(
            vote=vote,
            agreement=agreement,
            format_ok=format_problem(item, settings.thinking) is None,
            language_ok=language_ok(item.text, settings.checks, model),
            length_ok=length_ok(item.text, settings.checks),
        )
        for item, (vote, agreement) in zip(candidates, polled, strict=True)
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
    model = run.input("classifier").folder / MODEL
    check_labels(model, settings.checks.languages)

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
                for row in judge(batch, verifiers, run.settings, model):
                    tally.add(row)
                    yield row
                print(f"verified {tally.prompts} prompts, {tally.candidates.total()} candidates", flush=True)

    write(run.out / KEPT, rows(), extended(schema_of(pool), COLUMNS))
    return tally.counts()


def by_teacher(samples: Iterable[Artifact], teachers: tuple[str, ...]) -> dict[str, Artifact]:
    """The samples of each teacher, by the folder's name, in the configuration's order."""
    found = {item.folder.name: item for item in samples}
    if set(found) != set(teachers):
        raise DistillError(f"--samples are of {sorted(found)}, but responses.teachers are {sorted(teachers)}")
    return {teacher: found[teacher] for teacher in teachers}


def main() -> None:
    with step(__spec__, inputs=("pool", "samples", "classifier"), settings=CrossVerifySettings) as run:
        samples = by_teacher(run.inputs["samples"], run.settings.responses.teachers)
        run.counts |= cross_verify(run, run.input("pool"), samples)


if __name__ == "__main__":
    main()
