"""What the tests of the verifiers share: the real corpora, answers in short, files of lines."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.verify import Answer

CORPORA = Path(os.environ.get("NEBULA_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
needs_corpora = pytest.mark.skipif(
    not CORPORA.is_dir(), reason=f"the real corpora are not at {CORPORA} (set NEBULA_CORPORA)"
)


def math(target: str) -> Answer:
    return Answer("math", {"target": target})


def choice(target: str, **spec: Any) -> Answer:
    return Answer("choice", {"target": target, **spec})


def code(*tests: str | dict[str, str], **spec: Any) -> Answer:
    return Answer("code", {"tests": list(tests), **spec})


def instructions(*constraints: tuple[str, dict[str, Any]]) -> Answer:
    names, arguments = zip(*constraints, strict=True)
    return Answer("instructions", {"instruction_id_list": list(names), "kwargs": list(arguments)})


def json_lines(path: str) -> list[dict[str, Any]]:
    """The rows of a corpus' file of JSON lines, gzipped or not."""
    file = CORPORA / path
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [json.loads(line) for line in lines]


def became_true(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Whether something comes to hold within a time that only a fault, not a busy machine, exceeds."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


@dataclass(frozen=True)
class Program:
    """An entry of a file in programs/: its code blocks, and the reason it expects where it states one."""

    blocks: tuple[str, ...]
    reason: str


def programs(name: str) -> dict[str, Program]:
    """The entries of programs/<name>.md by their headings."""
    text = (Path(__file__).parent / "programs" / f"{name}.md").read_text()
    entries = {}
    for entry in text.split("\n## ")[1:]:
        blocks = tuple(re.findall(r"```python\n(.*?)\n```", entry, re.DOTALL))
        reason = re.search(r"^Reason: (.*)$", entry, re.MULTILINE)
        entries[entry.partition("\n")[0]] = Program(blocks, reason[1] if reason else "")
    return entries
