"""Forms of benchmarks that no plain field holds: options, puzzle grids, starter code, packed tests."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

STARTED = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
READING = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows."
)


class FormError(ValueError):
    """What stands in a field is not in the form; the reason is a short constant, fit for counting."""


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options under it, `A. first`."""
    return "\n".join([question, "", *(f"{chr(ord('A') + place)}. {text}" for place, text in enumerate(options))])


def letter(target: Any, options: Sequence[str]) -> str:
    """The letter of an option given by its place from 0, its letter or its text."""
    letters = [chr(ord("A") + place) for place in range(len(options))]
    if isinstance(target, int) and 0 <= target < len(options):
        return letters[target]
    if isinstance(target, str) and target.strip() in letters:
        return target.strip()
    if isinstance(target, str) and list(options).count(target) == 1:
        return letters[list(options).index(target)]
    raise FormError("target-is-no-option")


def to_start_from(problem: str, starter: str) -> str:
    """A programming problem as LiveCodeBench's own runner asks it (`get_generic_question_template_answer`)."""
    code, task = (starter, STARTED) if starter else ("# YOUR CODE HERE", READING)
    return (
        f"### Question:\n{problem}\n\n### Format: {task}\n```python\n{code}\n```\n\n"
        "### Answer: (use the provided format with backticks)"
    )


def houses(grid: Any) -> dict[str, dict[str, str]]:
    """ZebraLogic's solved grid {header: [House, Name, ...], rows: [[1, Peter, ...], ...]} by house and attribute."""
    header, rows = (grid.get("header"), grid.get("rows")) if isinstance(grid, Mapping) else (None, None)
    if not header or not rows or header[0] != "House" or any(len(row) != len(header) for row in rows):
        raise FormError("malformed-grid")
    if any(str(cell).strip("_ ") == "" for row in rows for cell in row):
        raise FormError("grid-without-its-solution")
    return {
        f"House {place}": dict(zip(header[1:], map(str, row[1:]), strict=True)) for place, row in enumerate(rows, 1)
    }


def to_fill(puzzle: str, solution: Mapping[str, Mapping[str, str]]) -> str:
    """The puzzle with the blank form of its solution under it, a house an entry, as ZeroEval asks for it."""
    blank = {house: dict.fromkeys(cells, "___") for house, cells in solution.items()}
    form = json.dumps({"reasoning": "___", "solution": blank}, indent=4, ensure_ascii=False)
    return (
        f"# Puzzle\n\n{puzzle}\n\n# Task\n\nSolve the puzzle. Give your reasoning and the whole solution as one JSON "
        f"object of this form:\n\n{form}"
    )


def tests_of(value: Any, function: str) -> list[str | dict[str, str]]:
    """Tests as the verifier takes them, from LiveCodeBench's list of {input, output, testtype}, plain or packed."""
    cases = _listed(value)
    return [_test(case, function) if isinstance(case, Mapping) else case for case in cases]


def pack(tests: Sequence[str | Mapping[str, str]]) -> dict[str, Any]:
    """Tests as a short text, with their number: unpacked, some are a hundred megabytes."""
    text = json.dumps(tests, ensure_ascii=False).encode()
    return {"count": len(tests), "zlib": base64.b64encode(zlib.compress(text, 9)).decode()}


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value if value.lstrip()[:1] in ("[", "") else _unpacked(value))
        except (ValueError, zlib.error, pickle.UnpicklingError, EOFError):
            raise FormError("unreadable-tests") from None
    if not isinstance(value, list):
        raise FormError("malformed-tests")
    return value


def _unpacked(text: str) -> str:
    """LiveCodeBench's private tests: base64 of zlib of a pickled string, nothing else of which is ever made."""
    found = _Strings(io.BytesIO(zlib.decompress(base64.b64decode(text, validate=True)))).load()
    if not isinstance(found, str):
        raise FormError("unreadable-tests")
    return found


class _Strings(pickle.Unpickler):
    """A pickle can run any program; one that holds a string needs no class at all."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a pickled string")


def _test(case: Mapping[str, Any], function: str) -> str | dict[str, str]:
    given, wanted = case.get("input"), case.get("output")
    if not isinstance(given, str) or not isinstance(wanted, str):
        raise FormError("malformed-tests")
    if case.get("testtype") != "functional":
        return {"input": given, "output": wanted}
    if not function.isidentifier():
        raise FormError("functional-test-without-a-function")
    try:
        arguments = ", ".join(repr(json.loads(line)) for line in given.split("\n"))
        result = repr(json.loads(wanted))
    except ValueError:
        raise FormError("malformed-tests") from None
    # As LiveCodeBench: a tuple is as good as a list.
    called = f"Solution().{function}({arguments})"
    return f"assert (lambda said: list(said) if isinstance(said, tuple) else said)({called}) == {result}"
