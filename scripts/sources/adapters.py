"""Adapters: one raw row to one record, as the source's configuration says.

A row that cannot be mapped raises `RowError` with a short reason, which the caller counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from scripts.common.records import Message, Record, make_record
from scripts.sources import forms, turns
from scripts.sources.settings import Adapter, Shape
from scripts.sources.values import (
    RowError,
    as_json,
    digits,
    is_gap,
    is_number,
    listed,
    optional,
    optional_text,
    parsed,
    required,
    text,
)

NO_INPUT = re.compile(r"<\s*no\s*input\s*>", re.IGNORECASE)
"""Self-instruct's marker of an instruction without input."""
_OPTION = re.compile(r"\(?[A-Za-z][).]?")
"""One letter as the verifier of choices takes it: B, (B), B."""
_WORD = re.compile(r"\w")
"""In a target that is not a letter: a word or a number. Without one it is a mark such as `?`, which is unverifiable."""


def adapt(row: dict[str, Any], adapter: Adapter, source: str, domain: str | None) -> Record:
    """The record of a raw row. Raises RowError."""
    for name, wanted in adapter.where.items():
        if str(optional(row, name)) != wanted:
            raise RowError(f"{name}-is-not-{wanted}")
    messages = _messages(row, adapter)
    meta = {name: as_json(optional(row, name), name) for name in adapter.meta}
    return make_record(source, domain or "", messages, _answer(row, adapter), meta)


def unread_keys(row: dict[str, Any], adapter: Adapter) -> set[str]:
    """Keys of the row's turns that no record holds."""
    if adapter.shape not in ("messages", "sharegpt"):
        return set()
    conversation = optional(row, adapter.prompt)
    if isinstance(conversation, str):
        conversation = parsed(conversation)
    return turns.unread_keys(conversation) if isinstance(conversation, list) else set()


def _messages(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    if adapter.shape != "text":
        turns.check_row(row, adapter)
    messages = _SHAPES[adapter.shape](row, adapter)
    if messages and messages[0]["role"] == "system" and not messages[0]["content"].strip():
        messages = messages[1:]  # many chat sets write an empty turn if there is no system prompt
    if not messages:
        raise RowError("no-messages")
    if adapter.strip_suffix and messages[-1]["role"] == "assistant":
        content = messages[-1]["content"].rstrip().removesuffix(adapter.strip_suffix)
        messages = [*messages[:-1], {"role": "assistant", "content": content}]
    return messages


def _from_messages(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return _conversation(row, adapter, turns.CHAT) + _response(row, adapter)


def _from_sharegpt(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return _conversation(row, adapter, turns.SHAREGPT)


def _conversation(row: dict[str, Any], adapter: Adapter, form: turns.Form) -> list[Message]:
    conversation = listed(required(row, adapter.prompt), "messages-no-list")
    messages = [turns.message(turn, form) for turn in conversation]
    if conversation and adapter.response is None:
        turns.check_weight(conversation[-1])
    return messages


def _from_instruction(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    prompt = text(row, adapter.prompt)
    extra = _input(row, adapter.input) if adapter.input else ""
    if extra:
        prompt = f"{prompt}\n\n{extra}"
    return [{"role": "user", "content": prompt}, *_response(row, adapter)]


def _input(row: dict[str, Any], path: str) -> str:
    """What an instruction is about: text, or a number in digits; empty if there is none."""
    value = optional(row, path)
    if is_number(value):
        return digits(value, path)
    extra = optional_text(row, path)
    return "" if NO_INPUT.fullmatch(extra.strip()) else extra


def _from_pair(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return [{"role": "user", "content": _formed(row, adapter)}, *_response(row, adapter)]


def _formed(row: dict[str, Any], adapter: Adapter) -> str:
    """The prompt's text with what its form puts around it."""
    prompt = text(row, adapter.prompt)
    if adapter.options:
        return forms.with_options(prompt, _options(row, adapter.options))
    if adapter.starter:
        return forms.to_start_from(prompt, optional_text(row, adapter.starter))
    if adapter.answer == "grid":
        return forms.to_fill(prompt, forms.houses(required(row, adapter.gold)))
    return prompt


def _options(row: dict[str, Any], path: str) -> list[str]:
    options = listed(required(row, path), "malformed-options")
    if not 2 <= len(options) <= len(forms.LETTERS) or not all(isinstance(option, str) for option in options):
        raise RowError("malformed-options")
    return options


def _from_text(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    return [{"role": "text", "content": text(row, adapter.prompt)}]


_SHAPES: dict[Shape, Callable[[dict[str, Any], Adapter], list[Message]]] = {
    "messages": _from_messages,
    "sharegpt": _from_sharegpt,
    "instruction": _from_instruction,
    "pair": _from_pair,
    "text": _from_text,
}


def _response(row: dict[str, Any], adapter: Adapter) -> list[Message]:
    if adapter.response is None:
        return []
    return [{"role": "assistant", "content": text(row, adapter.response)}]


def _answer(row: dict[str, Any], adapter: Adapter) -> tuple[str, dict[str, Any]]:
    match adapter.answer:
        case "none":
            return "none", {}
        case "code":
            return "code", _code(row, adapter)
        case "instructions":
            return "instructions", _instructions(row, adapter)
        case "grid":
            return "grid", {"solution": forms.houses(required(row, adapter.gold))}
        case "choice" if adapter.options:
            options = _options(row, adapter.options)
            return "choice", {"target": forms.letter(required(row, adapter.gold), options), "options": options}
        case "choice" | "math" as kind:
            target = _target(row, adapter)
            if kind == "choice" and _WORD.search(target or "") and not _OPTION.fullmatch(target or ""):
                raise RowError("target-is-no-option")
            return ("none", {}) if target is None else (kind, {"target": target})


def _target(row: dict[str, Any], adapter: Adapter) -> str | None:
    """The gold answer; None if the row has none and may be kept without one."""
    value = required(row, adapter.gold)
    if adapter.target_pattern is None:
        return _gold(value, adapter.gold)
    source = value if isinstance(value, str) else json.dumps(as_json(value, adapter.gold))
    match = re.search(adapter.target_pattern, source)
    if match is not None and (match[1] or "").strip():
        return match[1].strip()
    if adapter.unanswered == "keep":
        return None
    raise RowError("no-answer-in-target")


def _gold(value: Any, path: str) -> str:
    """A gold answer that some response can meet, as text. A list of one is its item, also if written as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith('["'):
        value = parsed(value) or value
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise RowError(f"{path}-several-answers")
        return _gold(value[0], path) if value else _no_gold(path)
    if isinstance(value, bool):
        return json.dumps(value)
    if is_gap(value) or (isinstance(value, str) and value.strip().lower() in ("", "nan")):
        return _no_gold(path)
    if is_number(value):
        return digits(value, path)
    if not isinstance(value, str):
        raise RowError(f"{path}-no-answer")
    return value.strip()


def _no_gold(path: str) -> str:
    raise RowError(f"{path}-empty")


def _code(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """Tests are a list of statements, or a text that defines `check(candidate)` as HumanEval's."""
    if adapter.hidden_tests:
        return _cases(row, adapter)
    name = text(row, adapter.entry_point) if adapter.entry_point else ""
    before = optional_text(row, adapter.test_setup) if adapter.test_setup else ""
    tests = [f"{before}\n{test}" if before else test for test in _statements(row, adapter, name)]
    return {"tests": tests, "entry_point": name} | ({"setup": adapter.setup} if adapter.setup else {})


def _statements(row: dict[str, Any], adapter: Adapter, name: str) -> list[str]:
    """Tests as Python. A text that starts as a list is one in JSON: as Python it would be a test that never fails."""
    tests = required(row, adapter.tests)
    if isinstance(tests, str) and tests.lstrip().startswith("["):
        tests = parsed(tests)
    if isinstance(tests, str):
        if "def check(" in tests and not name:
            raise RowError("check-without-entry-point")
        tests = [f"{tests}\ncheck({name})" if "def check(" in tests else tests]
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) and test.strip() for test in tests):
        raise RowError("malformed-tests")
    return tests


def _cases(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """LiveCodeBench's test cases, public and private: standard input and output, or calls of a method."""
    function = optional_text(row, adapter.entry_point) if adapter.entry_point else ""
    tests = forms.tests_of(required(row, adapter.tests), function)
    hidden = forms.tests_of(required(row, str(adapter.hidden_tests)), function)
    if not tests + hidden:
        raise RowError("malformed-tests")
    return {"tests": tests, "packed_tests": forms.pack(hidden), "entry_point": "", "setup": adapter.setup}


def _instructions(row: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """IFEval's two lists: names of constraints, and their arguments without those that are null."""
    ids = listed(required(row, adapter.instruction_ids), "malformed-instructions")
    arguments = listed(required(row, adapter.instruction_kwargs), "malformed-instructions")
    if not all(isinstance(name, str) for name in ids):
        raise RowError("malformed-instructions")
    if len(ids) != len(arguments):
        raise RowError("instructions-without-arguments")
    return {"instruction_id_list": ids, "kwargs": [_arguments(item) for item in arguments]}


def _arguments(item: Any) -> dict[str, Any]:
    """The arguments of one constraint: an object, also as JSON text, or null for none."""
    arguments = parsed(item) if isinstance(item, str) else {} if item is None else item
    if not isinstance(arguments, dict):
        raise RowError("malformed-instructions")
    return {key: as_json(value, "kwargs") for key, value in arguments.items() if not is_gap(value)}
