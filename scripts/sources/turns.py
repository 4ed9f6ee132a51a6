"""Turns of a conversation: what a turn and its row carry besides role and text is taken over, or the row is dropped.

Records hold role and text alone. A turn's reasoning becomes the think block before its text, text parts become one
text. Tools, images and the like have no place in a record, so a row that uses them would say something else without
them: it is dropped with the key as the reason.
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
    """Raise RowError if a turn says that it is not trained on, or in part. Only the last turn of a record is."""
    for key in WEIGHTS:
        if isinstance(turn, dict) and not is_gap(turn.get(key)) and turn[key] != 1:
            raise RowError(f"message-with-{key}")


def check_row(row: dict[str, Any], adapter: Adapter) -> None:
    """Raise RowError if a row has a part of its conversation where the adapter does not read it."""
    named = {path.split(".")[0] for path in adapter.fields}
    for key in BESIDE:
        if key in row and key not in named and not is_empty(row[key]):
            raise RowError(f"row-with-{key}")


def unread_keys(turns: Sequence[Any]) -> set[str]:
    """Keys of turns that hold something and have no meaning here (`name`, `timestamp`): they are left out, counted."""
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
