"""Turns of conversations: keys besides the text are taken over, or the row is dropped with the key as the reason."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scripts.sources.adapters import adapt, unread_keys
from scripts.sources.settings import Adapter
from scripts.sources.values import RowError

CHAT = Adapter(shape="messages", prompt="messages")
SHAREGPT = Adapter(shape="sharegpt", prompt="conversations")


def exchange(**assistant: Any) -> dict[str, Any]:
    """A row of one exchange whose answer has further keys."""
    return {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4", **assistant}]}


def response(row: dict[str, Any], adapter: Adapter = CHAT) -> str:
    return adapt(row, adapter, "s", "math")["messages"][-1]["content"]


def reason(row: dict[str, Any], adapter: Adapter = CHAT) -> str:
    with pytest.raises(RowError) as error:
        adapt(row, adapter, "s", "math")
    return str(error.value)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_the_think_block_before_the_answer(key: str) -> None:
    assert response(exchange(**{key: "\nTwo and two.\n"})) == "<think>\nTwo and two.\n</think>\n\n4"


def test_reasoning_of_every_assistants_turn_is_taken_over() -> None:
    row = {"messages": [*exchange(reasoning_content="a")["messages"], *exchange(reasoning_content="b")["messages"]]}
    contents = [message["content"] for message in adapt(row, CHAT, "s", "math")["messages"]]
    assert contents == ["2+2?", "<think>\na\n</think>\n\n4", "2+2?", "<think>\nb\n</think>\n\n4"]


def test_sharegpt_turns_have_reasoning_too() -> None:
    turns = [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4", "reasoning": "Two and two."}]
    assert response({"conversations": turns}, SHAREGPT) == "<think>\nTwo and two.\n</think>\n\n4"


@pytest.mark.parametrize("empty", [None, "", " \n", [], {}, math.nan, False, {"name": None}, [None], "[]", "null"])
@pytest.mark.parametrize("key", ["reasoning_content", "tool_calls", "function_call", "images"])
def test_keys_that_hold_nothing_change_nothing(key: str, empty: Any) -> None:
    """Parquet gives each turn all keys, most of them null."""
    assert response(exchange(**{key: empty})) == "4"


def test_the_same_reasoning_in_two_places_is_read_once() -> None:
    block = "<think>\nTwo and two.\n</think>\n\n4"
    assert response(exchange(content=block, reasoning_content="Two and two.")) == block
    assert response(exchange(reasoning="Two and two.", reasoning_content="Two and two.\n")) == block


@pytest.mark.parametrize(
    "keys", [{"content": "<think>\nOther.\n</think>\n\n4", "thinking": "x"}, {"thinking": "x", "reasoning": "y"}]
)
def test_two_different_reasonings_drop_the_row(keys: dict[str, Any]) -> None:
    assert reason(exchange(**keys)) == "reasoning-twice"


@pytest.mark.parametrize("value", [{"steps": 2}, ["a"], 3, True])
def test_reasoning_that_is_not_text_drops_the_row(value: Any) -> None:
    assert reason(exchange(reasoning_content=value)) == "message-with-reasoning_content"


def test_a_users_reasoning_drops_the_row() -> None:
    row = exchange()
    row["messages"][0]["thinking"] = "Shall I ask?"
    assert reason(row) == "message-with-thinking"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tool_calls", [{"function": {"name": "f", "arguments": "{}"}}]),
        ("tool_calls", '[{"name": "f"}]'),
        ("function_call", {"name": "f"}),
        ("tool_call_id", "call-1"),
        ("images", ["a.png"]),
        ("refusal", "I cannot help with that."),
    ],
)
def test_a_key_that_no_record_holds_drops_the_row(key: str, value: Any) -> None:
    assert reason(exchange(**{key: value})) == f"message-with-{key}"


def test_a_call_of_a_tool_without_text_is_named_by_its_key() -> None:
    assert reason(exchange(content=None, tool_calls=[{"name": "f"}])) == "message-with-tool_calls"


@pytest.mark.parametrize(("key", "value"), [("weight", 0), ("weight", 0.5), ("loss", False), ("train", False)])
def test_an_answer_that_is_not_trained_on_drops_the_row(key: str, value: Any) -> None:
    assert reason(exchange(**{key: value})) == f"message-with-{key}"
    first = exchange(**{key: value})["messages"]
    assert (
        response({"messages": [*first, *exchange(**{key: 1})["messages"]]}) == "4"
    )  # only the last turn is trained on


@pytest.mark.parametrize("value", [1, 1.0, True, None, math.nan])
def test_an_answer_of_full_weight_is_kept(value: Any) -> None:
    assert response(exchange(weight=value)) == "4"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "4"}], "4"),
        ([{"type": "text", "text": "2+2="}, {"type": "text", "text": "4"}], "2+2=4"),
    ],
)
def test_parts_of_text_are_one_text(content: Any, text: str) -> None:
    assert response(exchange(content=content)) == text


@pytest.mark.parametrize(
    "content",
    [
        None,
        4,
        [],
        {},
        [{"type": "image"}],
        [{"type": "text", "text": "4"}, {"type": "image_url"}],
        [{"type": "text"}],
        ["4"],
    ],
)
def test_a_content_that_is_not_text_drops_the_row(content: Any) -> None:
    assert reason(exchange(content=content)) == "malformed-message"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tools", [{"name": "f"}]),
        ("tools", '[{"name": "f"}]'),
        ("functions", [{"name": "f"}]),
        ("system", "Be brief."),
        ("system_prompt", "Be brief."),
        ("history", [["Hi.", "Hello."]]),
        ("images", ["a.png"]),
    ],
)
def test_a_column_that_belongs_to_the_conversation_drops_the_row_unless_the_adapter_names_it(
    key: str, value: Any
) -> None:
    assert reason({**exchange(), key: value}) == f"row-with-{key}"
    assert (
        reason({"p": "q", "r": "a", key: value}, Adapter(shape="pair", prompt="p", response="r")) == f"row-with-{key}"
    )
    assert response({**exchange(), key: value}, Adapter(shape="messages", prompt="messages", meta=(key,))) == "4"
    for empty in (None, "", [], "[]", {}):
        assert response({**exchange(), key: empty}) == "4"


def test_a_document_is_not_a_conversation() -> None:
    assert response({"text": "A page.", "images": ["a.png"]}, Adapter(shape="text", prompt="text")) == "A page."


def test_keys_without_a_meaning_are_named() -> None:
    row = exchange(name="Ann", timestamp=3, weight=1, reasoning="x", note=None)
    assert unread_keys(row, CHAT) == {"name", "timestamp"}
    assert unread_keys({"conversations": '[{"from": "gpt", "value": "a", "lang": "en"}]'}, SHAREGPT) == {"lang"}
    assert unread_keys({"messages": None}, CHAT) == unread_keys({"prompt": "q"}, Adapter(shape="pair")) == set()
