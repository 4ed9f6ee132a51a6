"""Thinking is not an answer: it is removed before anything is judged."""

from __future__ import annotations

import re

OPEN, CLOSE = "<think>", "</think>"
_BLOCK = re.compile(f"{OPEN}.*?{CLOSE}", re.DOTALL)


def strip_thinking(text: str) -> str:
    """The response without its thinking, stripped of white space.

    Closed blocks go. A `</think>` that is left had its opening tag in the prompt (as chat templates do): all before
    it is thinking. A `<think>` that is left was never closed: all after it is thinking.
    """
    if OPEN in text and CLOSE in text:
        text = _BLOCK.sub("", text)
    _, _, answer = text.rpartition(CLOSE)
    answer, _, _ = answer.partition(OPEN)
    return answer.strip()
