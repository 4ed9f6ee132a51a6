"""Logic puzzles with a grid of houses and attributes (ZebraLogic): every cell must be right.

Compared as ZeroEval does: the last complete JSON object of the response, its `solution` by house and attribute, texts
without regard to case and to white space around them; of a list its first entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.settings import VerifySettings

Grid = Mapping[str, Mapping[str, str]]


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """True if every cell of the target's solution is right; further cells do not count."""
    wanted = _target(spec)
    stated = _last_object(response)
    solution = stated.get("solution") if stated else None
    if not isinstance(solution, Mapping):
        return Verdict(False, "no answer found")
    cells = [(house, name) for house, row in wanted.items() for name in row]
    right = sum(_plain(_cell(solution, house, name)) == _plain(wanted[house][name]) for house, name in cells)
    return Verdict(right == len(cells), f"{'all' if right == len(cells) else 'wrong'}: {right} of {len(cells)} cells")


def _target(spec: Mapping[str, Any]) -> Grid:
    solution = spec.get("solution")
    if not isinstance(solution, Mapping) or not solution or not all(_is_row(row) for row in solution.values()):
        raise AnswerError('grid needs {"solution": {"House 1": {"Name": "Eric", ...}, ...}}')
    return solution


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping) and bool(row) and all(isinstance(cell, str) for cell in row.values())


def _cell(solution: Mapping[str, Any], house: str, name: str) -> Any:
    row = solution.get(house)
    cell = row.get(name) if isinstance(row, Mapping) else None
    return cell[0] if isinstance(cell, list) and cell else cell


def _plain(cell: Any) -> str | None:
    return cell.strip().lower() if isinstance(cell, str) else None


def _last_object(text: str) -> dict[str, Any] | None:
    """The last JSON object of the text that is not inside another object."""
    decoder, place, last = json.JSONDecoder(strict=False), text.find("{"), None
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            last = value
        place = text.find("{", end)
    return last
