"""Which rows of the origin pass a data set's filters, and the reason why each of the others does not.

The filters read only small columns, and a candidate is the row's number: the prompts and responses of a large origin
are not read here.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from scripts.common.chat.thinking import has_thinking
from scripts.common.records import response_of
from scripts.mix.settings import Dataset

FILTERED_ON = ("accepted", "thinking", "teacher", "sample", "band", "degenerate")
"""Columns of verdicts and grades that the filters and draws read, if the origin has them."""


class Candidate(NamedTuple):
    """A row of the origin that passed the filters."""

    row: int
    id: str
    domain: str
    source: str
    draw: str
    """Decides among the responses to one prompt: a random draw, because any preference would bias length or style."""
    accepted: bool


def draw(seed: int, purpose: str, *parts: str) -> str:
    """A random draw as 32 hex digits, from its arguments alone: the same record draws the same in every data set."""
    return hashlib.sha256("\0".join([str(seed), purpose, *parts]).encode()).hexdigest()[:32]


def columns_needed(settings: Dataset, present: Iterable[str]) -> list[str]:
    """The columns that the filters and draws read."""
    own_response = "accepted" not in present and (settings.purpose == "sft" or settings.thinking is not None)
    return [
        "id",
        "domain",
        "source",
        *(name for name in FILTERED_ON if name in present),
        *(["messages"] if own_response else []),
    ]


def gather(rows: Iterable[dict[str, Any]], settings: Dataset, seed: int) -> tuple[list[Candidate], Counter[str]]:
    """The candidates, and the counts of all other rows by reason.

    There is at most one candidate per prompt if the origin holds responses or the purpose is RL.
    """
    excluded: Counter[str] = Counter()
    passed = list(_passing(rows, settings, seed, excluded))
    if settings.correct == "size-matched":
        verified = Counter(item.domain for item in one_per_prompt([item for item in passed if item.accepted]))
        passed = _drop(passed, one_per_prompt(passed), "other response of the prompt", excluded)
        passed = _drop(passed, matched(passed, verified, seed), "beyond the verified set's size", excluded)
    elif settings.responses is not None or settings.purpose == "rl":
        passed = _drop(passed, one_per_prompt(passed), "other response of the prompt", excluded)
    return passed, excluded


def _passing(
    rows: Iterable[dict[str, Any]], settings: Dataset, seed: int, excluded: Counter[str]
) -> Iterator[Candidate]:
    for number, row in enumerate(rows):
        reason = exclusion_reason(row, settings)
        if reason:
            excluded[reason] += 1
        else:
            key = draw(seed, "response", row["id"], row.get("teacher") or "", str(row.get("sample")))
            domain, source = sys.intern(row["domain"]), sys.intern(row["source"])  # one object for millions of rows
            yield Candidate(number, row["id"], domain, source, key, bool(row.get("accepted")))


def exclusion_reason(row: dict[str, Any], settings: Dataset) -> str | None:
    """Why the filters exclude the row; None if it passes."""
    if settings.ratios and row["domain"] not in settings.ratios:
        return f"domain {row['domain'] or 'unknown'} not in the ratios"
    if settings.source_ratios and row["source"] not in settings.source_ratios:
        return f"source {row['source']} not in the source_ratios"
    if settings.correct == "verified" and not row["accepted"]:
        return "not accepted"
    if settings.bands and row["band"] not in settings.bands:
        return f"band {row['band']}"
    if settings.graded and not settings.include_degenerate and row["degenerate"]:
        return "degenerate"
    return _response_reason(row, settings)


def _response_reason(row: dict[str, Any], settings: Dataset) -> str | None:
    own = response_of(row.get("messages") or [])
    if settings.purpose == "sft" and settings.responses is None and not own:
        return "no response"
    if settings.thinking is None:
        return None
    thinking = row["thinking"] if settings.responses is not None else has_thinking(own)
    return None if thinking == settings.thinking else ("thinking" if thinking else "no thinking")


def one_per_prompt(candidates: list[Candidate]) -> list[Candidate]:
    """The candidate with the least draw of each prompt, in the origin's order."""
    least: dict[str, Candidate] = {}
    for item in candidates:
        if item.id not in least or item.draw < least[item.id].draw:
            least[item.id] = item
    return sorted(least.values(), key=lambda item: item.row)


def matched(candidates: list[Candidate], sizes: Counter[str], seed: int) -> list[Candidate]:
    """`sizes[domain]` candidates of each domain, drawn at random, in the origin's order."""
    open_places = Counter(sizes)
    chosen = []
    for item in sorted(candidates, key=lambda item: draw(seed, "size-matched", item.id)):
        if open_places[item.domain]:
            open_places[item.domain] -= 1
            chosen.append(item)
    return sorted(chosen, key=lambda item: item.row)


def _drop(before: list[Candidate], after: list[Candidate], reason: str, excluded: Counter[str]) -> list[Candidate]:
    if len(before) > len(after):
        excluded[reason] += len(before) - len(after)
    return after
