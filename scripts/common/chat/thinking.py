"""Thinking in a response: the tags around it, and the text without it.

An unclosed block is read in two ways. `strip_thinking` serves verdicts: a thought that was cut off states no answer, so
the whole block is removed. `after_thinking` serves curation, where the format filter must see an unclosed block to name
it: such a response stays whole.
"""

from __future__ import annotations

THINK_START, THINK_END = "<think>", "</think>"


def has_thinking(response: str) -> bool:
    """Whether a response contains the end of a thinking block; its start may be in the prompt, by the chat template."""
    return THINK_END in response


def strip_thinking(response: str) -> str:
    """The answer: a response without its thinking, stripped of white space.

    Closed blocks are removed. If a `</think>` remains, its start was in the prompt (some chat templates put it there),
    and all text before it is thinking. If a `<think>` remains, it was never closed, and all text after it is thinking.
    """
    kept, position = [], 0
    while (start := response.find(THINK_START, position)) >= 0 and (end := response.find(THINK_END, start)) >= 0:
        kept.append(response[position:start])
        position = end + len(THINK_END)
    response = "".join([*kept, response[position:]])
    _, _, answer = response.rpartition(THINK_END)
    answer, _, _ = answer.partition(THINK_START)
    return answer.strip()


def after_thinking(response: str) -> str:
    """The text after the last closed block, stripped of white space; the whole text if no block is closed."""
    return response.rpartition(THINK_END)[2].strip()


def thinking_response(thought: str, answer: str) -> str:
    """A response as a thinking model writes it: the thought in its block, then the answer."""
    return f"{THINK_START}\n{thought}\n{THINK_END}\n\n{answer}"
