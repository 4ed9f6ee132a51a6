"""Turns of a conversation to messages, which hold role and text alone.

A turn's reasoning becomes the think block before its text, and text parts become one text. Records have no place for
tools, images and the like. Without them a conversation has another meaning, so its row is dropped, and the key is the
reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common.chat.thinking import THINK_START, thinking_response
from scripts.common.records import Message
from scripts.sources.settings import Adapter
from scripts.sources.values import RowError, is_empty, is_gap

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Keys of an assistant's reasoning: DeepSeek and Nemotron, vLLM and OpenRouter, gpt-oss."""
WEIGHTS = ("weight", "loss", "train")
"""Keys that say whether a turn is trained on: OpenAI, ms-swift, Axolotl. 1 and true say that it is."""
FOREIGN = (
    "tool_calls", "tool_call_id", "function_call", "tools", "functions", "images", "image", "videos", "audios", "audio",
    "refusal",
)  # fmt: skip
"""Keys of a turn that a record cannot hold."""
BESIDE = ("tools", "functions", "system", "system_prompt", "history", "images", "videos", "audios")
"""Keys of a row that belong to its conversation. An adapter that names one, if only in `meta`, has taken it over."""


@dataclass(frozen=True)
class Form:
    """How a data set writes a turn: the keys of role and text, and its names of the roles if they are others."""

    role: str
    content: str
    names: Mapping[str, str] | None = None


CHAT = Form("role", "content")
SHAREGPT = Form(
    "from",
    "value",
    {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"},
)
_READ = {CHAT.role, CHAT.content, SHAREGPT.role, SHAREGPT.content, *REASONING, *WEIGHTS, *FOREIGN}


def message(turn: Any, form: Form) -> Message:
    """The message of a turn. Raises RowError."""
    if not isinstance(turn, dict) or not isinstance(turn.get(form.role), str):
        raise RowError("malformed-message")
    for key in FOREIGN:
        if not is_empty(turn.get(key)):
            raise RowError(f"message-with-{key}")
    role = turn[form.role] if form.names is None else form.names.get(turn[form.role])
    if role is None:
        raise RowError("unknown-role")
    return {"role": role, "content": _with_reasoning(turn, role, _content(turn.get(form.content)))}


def check_weight(turn: Any) -> None:
    """Raise RowError if the last turn, the only one that is trained on, has another weight than 1."""
    for key in WEIGHTS:
        if isinstance(turn, dict) and not is_gap(turn.get(key)) and turn[key] != 1:
            raise RowError(f"message-with-{key}")


def check_row(row: dict[str, Any], adapter: Adapter) -> None:
    """Raise RowError if a column that belongs to the conversation holds something and the adapter does not name it."""
    named = {path.split(".")[0] for path in adapter.fields}
    for key in BESIDE:
        if key in row and key not in named and not is_empty(row[key]):
            raise RowError(f"row-with-{key}")


def unread_keys(turns: Sequence[Any]) -> set[str]:
    """Keys of turns that hold something and have no place in a message (`name`, `timestamp`): left out, and counted."""
    return {
        str(key)
        for turn in turns
        if isinstance(turn, dict)
        for key, value in turn.items()
        if key not in _READ and not is_empty(value)
    }


def _content(value: Any) -> str:
    """The text of a turn, or of its parts if all of them are text."""
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        return "".join(part["text"] for part in value)
    if not isinstance(value, str):
        raise RowError("malformed-message")
    return value


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _with_reasoning(turn: dict[str, Any], role: str, content: str) -> str:
    """The text after the think block of the turn's reasoning, as chat templates write it."""
    thoughts = {key: turn[key] for key in REASONING if not is_empty(turn.get(key))}
    if not thoughts:
        return content
    if role != "assistant" or not all(isinstance(thought, str) for thought in thoughts.values()):
        raise RowError(f"message-with-{min(thoughts)}")
    different = {thought.strip() for thought in thoughts.values()}
    block = thinking_response(different.pop(), "")
    if content.lstrip().startswith(block.rstrip()):
        return content
    if different or THINK_START in content:
        raise RowError("reasoning-twice")
    return block + content.lstrip()
