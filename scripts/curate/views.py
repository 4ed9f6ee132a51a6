"""The text that a step looks at: a record's prompt, response, or both; null is read as empty.

A step may be put first in a pool, so nothing here trusts the format step to have run.
"""

from __future__ import annotations

from typing import Any

from scripts.common.chat.thinking import after_thinking
from scripts.common.records import Message, prompt_of, response_of


def turns(record: dict[str, Any]) -> list[Message]:
    """The messages, with null roles and contents as empty strings and null messages left out."""
    messages = (message for message in record["messages"] or () if message is not None)
    return [{"role": message["role"] or "", "content": message["content"] or ""} for message in messages]


def prompt(record: dict[str, Any]) -> str:
    """All but the final assistant turn."""
    return prompt_of(turns(record))


def response(record: dict[str, Any]) -> str:
    """The final assistant turn, thinking included; empty if the record is a prompt alone."""
    return response_of(turns(record))


def final_answer(record: dict[str, Any]) -> str:
    """The final assistant turn after its thinking block."""
    return after_thinking(response(record))


def whole(record: dict[str, Any]) -> str:
    """Prompt and response."""
    return "\n\n".join(text for text in (prompt(record), response(record)) if text)
