"""Thinking is not an answer: it is removed before anything is verified."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def strip_thinking(text: str) -> str:
    """The response without its thinking, stripped of white space.

    Closed blocks go. A `</think>` that is left had its opening tag in the prompt (as chat templates do): all before
    it is thinking. A `<think>` that is left was never closed: all after it is thinking.
    """
    kept, position = [], 0
    while (start := text.find(OPEN, position)) >= 0 and (end := text.find(CLOSE, start)) >= 0:
        kept.append(text[position:start])
        position = end + len(CLOSE)
    text = "".join([*kept, text[position:]])
    _, _, answer = text.rpartition(CLOSE)
    answer, _, _ = answer.partition(OPEN)
    return answer.strip()
