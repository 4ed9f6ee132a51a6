"""Adapters: one raw row to one record, as the source's configuration says.

A field may be a dotted path (`reward_model.ground_truth`, `prompt.0.content`); a JSON text on the way is
read as JSON. What cannot be mapped raises `RowError` with a short reason, which the caller counts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from scripts.common.records import Message, Record, make_record
from scripts.sources import forms
from scripts.sources.settings import Adapter

SHAREGPT_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


class RowError(ValueError):
    """This row is no record; the reason is a short constant, fit for counting."""


def adapt(row: dict[str, Any], adapter: Adapter, source: str, domain: str | None) -> Record:
    """The record of a raw row. Raises RowError."""
    for name, wanted in adapter.where.items():
        if str(_optional(row, name)) != wanted:
            raise RowError(f"{name}-is-not-{wanted}")
    try:
        return _adapt(row, adapter, source, domain)
    except forms.FormError as error:
        raise RowError(str(error)) from None


def _adapt(row: dict[str, Any], adapter: Adapter, source: str, domain: str | None) -> Record:
    messages = _messages(row, adapter)
    meta = {name: _optional(row, name) for name in adapter.meta}
    return make_record(source, domain or "", messages, _answer(row, adapter), meta)


def _messages(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    messages = _SHAPES[adapter.shape](row, adapter)
    if messages and messages[0]["role"] == "system" and not messages[0]["content"].strip():
        messages = messages[1:]  # how many chat sets write that there is none
    if not messages:
        raise RowError("no-messages")
    if adapter.strip_suffix and messages[-1]["role"] == "assistant":
        content = messages[-1]["content"].rstrip().removesuffix(adapter.strip_suffix)
        messages = [*messages[:-1], {"role": "assistant", "content": content}]
    return messages


def _from_messages(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    turns = _required(row, adapter.prompt)
    return [_message(turn, "role", "content") for turn in _list(turns, "messages-no-list")] + _response(row, adapter)


def _from_sharegpt(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    turns = _list(_required(row, adapter.prompt), "messages-no-list")
    found = [_message(turn, "from", "value") for turn in turns]
    for message in found:
        if message["role"] not in SHAREGPT_ROLES:
            raise RowError("unknown-role")
    return [{"role": SHAREGPT_ROLES[item["role"]], "content": item["content"]} for item in found]


def _from_instruction(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    prompt = _text(row, adapter.prompt)
    extra = _optional(row, adapter.input) if adapter.input else None
    if extra:
        prompt = f"{prompt}\n\n{extra}"
    return [{"role": "user", "content": prompt}, *_response(row, adapter)]


def _from_pair(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return [{"role": "user", "content": _formed(row, adapter)}, *_response(row, adapter)]


def _formed(row: dict[str, Any], adapter: Adapter) -> str:
    """The prompt's text with what its form puts around it."""
    text = _text(row, adapter.prompt)
    if adapter.options:
        return forms.with_options(text, _options(row, adapter.options))
    if adapter.starter:
        return forms.to_start_from(text, str(_optional(row, adapter.starter) or ""))
    if adapter.answer == "grid":
        return forms.to_fill(text, forms.houses(_required(row, adapter.target or "solution")))
    return text


def _options(row: dict[str, Any], path: str) -> list[str]:
    options = _list(_required(row, path), "malformed-options")
    if len(options) < 2 or not all(isinstance(text, str) for text in options):
        raise RowError("malformed-options")
    return options


def _from_text(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return [{"role": "text", "content": _text(row, adapter.prompt)}]


_SHAPES = {
    "messages": _from_messages,
    "sharegpt": _from_sharegpt,
    "instruction": _from_instruction,
    "pair": _from_pair,
    "text": _from_text,
}


def _response(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    if adapter.response is None:
        return []
    return [{"role": "assistant", "content": _text(row, adapter.response)}]


def _message(turn: Any, role: str, content: str) -> Message:
    if not isinstance(turn, dict) or not isinstance(turn.get(role), str) or not isinstance(turn.get(content), str):
        raise RowError("malformed-message")
    return {"role": turn[role], "content": turn[content]}


def _answer(row: dict[str, Any], adapter: Adapter) -> tuple[str, dict[str, Any]]:
    match adapter.answer:
        case "none":
            return "none", {}
        case "code":
            return "code", _code(row, adapter)
        case "instructions":
            return "instructions", _instructions(row, adapter)
        case "grid":
            return "grid", {"solution": forms.houses(_required(row, adapter.target or "solution"))}
        case "choice" if adapter.options:
            options = _options(row, adapter.options)
            return "choice", {
                "target": forms.letter(_required(row, adapter.target or "answer"), options),
                "options": options,
            }
        case kind:
            target = _target(row, adapter)
            return ("none", {}) if target is None else (kind, {"target": target})


def _target(row: dict[str, Any], adapter: Adapter) -> str | None:
    """The answer; None where the row has none and may be kept so."""
    if adapter.target is None:
        raise RowError("adapter-without-target")
    value = _required(row, adapter.target)
    text = value if isinstance(value, str) else json.dumps(value)
    if adapter.target_pattern is None:
        return text.strip()
    found = re.search(adapter.target_pattern, text)
    if found is not None:
        return found[1].strip()
    if adapter.unanswered == "keep":
        return None
    raise RowError("no-answer-in-target")


def _code(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """Tests are a list of statements, or a text that defines `check(candidate)` as HumanEval's."""
    if adapter.hidden_tests:
        return _cases(row, adapter)
    tests = _required(row, adapter.tests or "tests")
    name = str(_required(row, adapter.entry_point)) if adapter.entry_point else ""
    if isinstance(tests, str):
        tests = [f"{tests}\ncheck({name})" if "def check(" in tests else tests]
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise RowError("malformed-tests")
    return {"tests": tests, "entry_point": name}


def _cases(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """LiveCodeBench's test cases, public and private: standard input and output, or calls of a method."""
    function = str(_optional(row, adapter.entry_point) or "") if adapter.entry_point else ""
    tests = forms.tests_of(_required(row, adapter.tests or "tests"), function)
    hidden = forms.tests_of(_required(row, str(adapter.hidden_tests)), function)
    if not tests + hidden:
        raise RowError("malformed-tests")
    return {"tests": tests, "packed_tests": forms.pack(hidden), "entry_point": "", "setup": adapter.setup}


def _instructions(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    ids = _list(_required(row, adapter.instruction_ids or "instruction_id_list"), "malformed-instructions")
    arguments = _list(_required(row, adapter.instruction_kwargs or "kwargs"), "malformed-instructions")
    if len(ids) != len(arguments):
        raise RowError("instructions-without-arguments")
    kept = [{key: value for key, value in (item or {}).items() if value is not None} for item in arguments]
    return {"instruction_id_list": ids, "kwargs": kept}


def _list(value: Any, reason: str) -> list[Any]:
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, list):
        raise RowError(reason)
    return value


def _text(row: dict[str, Any], path: str) -> str:
    value = _required(row, path)
    if not isinstance(value, str):
        raise RowError(f"{path}-no-text")
    return value


def _required(row: dict[str, Any], path: str) -> Any:
    value = _optional(row, path)
    if value is None:
        raise RowError(f"{path}-missing")
    return value


def _optional(row: Any, path: str) -> Any:
    """The value at a dotted path, None where any part of it is missing."""
    value = row
    for part in path.split("."):
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
