"""Forms of benchmarks that no plain field holds: options, puzzle grids, starter code, packed tests.

A value that is not in its form raises RowError.
"""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
import string
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.sources.values import RowError, place

LETTERS = string.ascii_uppercase
"""Names of options, so a question has 26 at the most."""
STARTED = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
READING = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows."
)


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options under it, `A. first`."""
    return "\n".join([question, "", *(f"{name}. {text}" for name, text in zip(LETTERS, options, strict=False))])


def letter(target: Any, options: Sequence[str]) -> str:
    """The letter of an option, from its place (counted from 0), its letter or its text. Raises RowError."""
    letters = LETTERS[: len(options)]
    index = place(target)
    if index is not None and 0 <= index < len(options):
        return letters[index]
    if isinstance(target, str) and len(target.strip()) == 1 and target.strip() in letters:
        return target.strip()
    if isinstance(target, str) and list(options).count(target) == 1:
        return letters[list(options).index(target)]
    raise RowError("target-is-no-option")


def to_start_from(problem: str, starter: str) -> str:
    """A programming problem in the prompt of LiveCodeBench's runner (`get_generic_question_template_answer`)."""
    code, task = (starter, STARTED) if starter else ("# YOUR CODE HERE", READING)
    return (
        f"### Question:\n{problem}\n\n### Format: {task}\n```python\n{code}\n```\n\n"
        "### Answer: (use the provided format with backticks)"
    )


def houses(grid: Any) -> dict[str, dict[str, str]]:
    """ZebraLogic's solved grid {header: [House, Name, ...], rows: [[1, Peter, ...], ...]} by house and attribute."""
    header, rows = _table(grid)
    if any(str(cell).strip("_ ") == "" for row in rows for cell in row):
        raise RowError("grid-without-its-solution")
    return {
        f"House {number}": dict(zip(header[1:], map(str, row[1:]), strict=True)) for number, row in enumerate(rows, 1)
    }


def _table(grid: Any) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of a grid: names of which the first is `House`, and rows as long."""
    header, rows = (grid.get("header"), grid.get("rows")) if isinstance(grid, Mapping) else (None, None)
    if not isinstance(header, list) or not isinstance(rows, list) or not rows or header[:1] != ["House"]:
        raise RowError("malformed-grid")
    if not all(isinstance(name, str) for name in header):
        raise RowError("malformed-grid")
    if not all(isinstance(row, list) and len(row) == len(header) for row in rows):
        raise RowError("malformed-grid")
    return header, rows


def to_fill(puzzle: str, solution: Mapping[str, Mapping[str, str]]) -> str:
    """The puzzle with the blank form of its solution under it, one entry per house, as ZeroEval asks for it."""
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
        value = _loaded(value)
    if not isinstance(value, list):
        raise RowError("malformed-tests")
    return value


def _loaded(text: str) -> Any:
    """The list in a text, plain JSON or packed. A damaged pickle raises nearly any type."""
    try:
        return json.loads(text if text.lstrip()[:1] in ("[", "") else _unpacked(text))
    except Exception:
        raise RowError("unreadable-tests") from None


def _unpacked(text: str) -> str:
    """LiveCodeBench's private tests: base64 of zlib of a pickled string. No other object is ever unpickled."""
    content = _Strings(io.BytesIO(zlib.decompress(base64.b64decode(text, validate=True)))).load()
    if not isinstance(content, str):
        raise RowError("unreadable-tests")
    return content


class _Strings(pickle.Unpickler):
    """A pickle can run any program; one that holds a string needs no class at all."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a pickled string")


def _test(case: Mapping[str, Any], function: str) -> str | dict[str, str]:
    stdin, stdout = case.get("input"), case.get("output")
    if not isinstance(stdin, str) or not isinstance(stdout, str):
        raise RowError("malformed-tests")
    if case.get("testtype") != "functional":
        return {"input": stdin, "output": stdout}
    if not function.isidentifier():
        raise RowError("functional-test-without-a-function")
    try:
        arguments = ", ".join(_literal(line) for line in stdin.split("\n"))
        result = _literal(stdout)
    except ValueError:
        raise RowError("malformed-tests") from None
    # As LiveCodeBench: a tuple is as good as a list.
    called = f"Solution().{function}({arguments})"
    return f"assert (lambda said: list(said) if isinstance(said, tuple) else said)({called}) == {result}"


def _literal(text: str) -> str:
    """A JSON value as Python. Raises ValueError for what is not JSON, and for NaN and infinities: nothing equals them.

    Python's JSON reader accepts `NaN` and `Infinity`, and reads `1e999` as an infinity.
    """
    return repr(json.loads(text, parse_float=_finite, parse_constant=_finite))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
