"""The candidate responses to each prompt of a pool: the teachers' samples, and the source's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.common.artifacts import Artifact
from scripts.common.records import response_of
from scripts.distill.records import RESPONSES, DistillError, Row
from scripts.distill.settings import ORIGINAL


@dataclass(frozen=True)
class Candidate:
    """One response to a prompt: a teacher's sample, or the source's own."""

    teacher: str
    sample: int
    text: str
    finish_reason: str
    tokens: int | None
    """Generated tokens; None for the source's own response, which no model of this pipeline generated."""


def gather(
    pool: Iterable[Row], samples: Mapping[str, Iterable[Row]], keep_original: bool
) -> Iterator[tuple[Row, list[Candidate]]]:
    """Each record of the pool with its candidates: teachers in the order of `samples`, the source's own response last.

    A teacher's samples are in the pool's order, without the prompts that did not fit its context.
    Raises DistillError if they belong to another pool.
    """
    iterators = {teacher: iter(rows) for teacher, rows in samples.items()}
    heads = {teacher: next(rows, None) for teacher, rows in iterators.items()}
    for record in pool:
        candidates: list[Candidate] = []
        for teacher, head in heads.items():
            if head is not None and head["id"] == record["id"]:
                candidates += [
                    Candidate(teacher, number, item["text"], item["finish_reason"], item["tokens"])
                    for number, item in enumerate(head[RESPONSES])
                ]
                heads[teacher] = next(iterators[teacher], None)
        own = response_of(record["messages"])
        if keep_original and own:
            candidates.append(Candidate(ORIGINAL, 0, own, "stop", None))
        yield record, candidates
    if left := {teacher: head["id"] for teacher, head in heads.items() if head is not None}:
        raise DistillError(f"samples of prompts that the pool does not have, first {left}: sample this pool again")


def by_teacher(samples: Iterable[Artifact], teachers: tuple[str, ...]) -> dict[str, Artifact]:
    """The samples of each teacher, by the folder's name, in the configuration's order.

    Raises DistillError unless they are exactly the samples of these teachers.
    """
    by_name = {item.folder.name: item for item in samples}
    if set(by_name) != set(teachers):
        raise DistillError(f"--samples are of {sorted(by_name)}, but responses.teachers are {sorted(teachers)}")
    return {teacher: by_name[teacher] for teacher in teachers}
