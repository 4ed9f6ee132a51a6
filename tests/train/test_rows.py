"""Which tokens have a label, which context precedes them, and which rows are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.common.chat.rendering import render_prompt
from scripts.train.rows import IGNORED, DataError, chat_row, document_row, prompt_set, training_set
from tests.train.lab import chat, corpus


def spans(row: dict[str, list[int]], tokenizer: Any) -> tuple[str, str]:
    """(text without loss, text with loss), which must follow each other."""
    first = next(index for index, label in enumerate(row["labels"]) if label != IGNORED)
    assert row["labels"][first:] == row["input_ids"][first:]
    return tokenizer.decode(row["input_ids"][:first]), tokenizer.decode(row["input_ids"][first:])


def test_an_answer_without_thinking_follows_the_empty_think_block(tokenizer: Any) -> None:
    messages = chat("What is 2 + 2?", "4")["messages"]
    context, trained = spans(chat_row(messages, tokenizer), tokenizer)
    assert context == "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert trained == "4<|im_end|>"
    assert context == render_prompt(messages[:1], tokenizer, thinking=False)


def test_a_thought_is_trained_with_its_answer(tokenizer: Any) -> None:
    messages = chat("What is 2 + 2?", "<think>\n2 and 2\n</think>\n\n4")["messages"]
    context, trained = spans(chat_row(messages, tokenizer), tokenizer)
    assert context == "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    assert trained == "<think>\n2 and 2\n</think>\n\n4<|im_end|>"
    assert context == render_prompt(messages[:1], tokenizer, thinking=True)


def test_earlier_turns_are_context_only(tokenizer: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "See you"},
    ]
    context, trained = spans(chat_row(messages, tokenizer), tokenizer)
    assert "Hello<|im_end|>" in context and trained == "See you<|im_end|>"


def test_the_context_is_tokenised_as_in_generation(tokenizer: Any) -> None:
    for record in corpus(20, 3):
        row = chat_row(record["messages"], tokenizer)
        prompt = render_prompt(record["messages"][:1], tokenizer, thinking=False)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert row["input_ids"][: len(ids)] == ids
        assert row["labels"][: len(ids)] == [IGNORED] * len(ids)


def test_a_chat_without_answer_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="must end with the assistant's turn"):
        chat_row([{"role": "user", "content": "Hi"}], tokenizer)


def test_a_template_that_renders_an_answered_prompt_differently_is_an_error(tokenizer: Any) -> None:
    original = tokenizer.chat_template
    try:
        tokenizer.chat_template = original.replace(
            "assistant\\n' }}\n    {%- if enable", "robot\\n' }}\n    {%- if enable"
        )
        assert tokenizer.chat_template != original
        with pytest.raises(DataError, match="renders a prompt differently"):
            chat_row(chat("Hi", "Hello")["messages"], tokenizer)
    finally:
        tokenizer.chat_template = original


def test_documents_train_every_token_and_end_with_endoftext(tokenizer: Any) -> None:
    text = document_row([{"role": "text", "content": "Lakes are wet."}], tokenizer)
    assert tokenizer.decode(text["input_ids"]) == "Lakes are wet.<|endoftext|>"
    talk = document_row(chat("Hi", "Hello")["messages"], tokenizer)
    assert tokenizer.decode(talk["input_ids"]).endswith("</think>\n\nHello<|im_end|><|endoftext|>")
    assert text["labels"] == text["input_ids"] and talk["labels"] == talk["input_ids"]


def test_long_rows_are_dropped_and_counted(tmp_path: Any) -> None:
    rows = [{"input_ids": list(range(n)), "labels": [IGNORED, *range(1, n)]} for n in (3, 5, 9, 5)]
    counts: dict[str, Any] = {}
    kept = training_set(rows, 5, 1, tmp_path, counts)
    assert sorted(kept["length"]) == [3, 5, 5]
    assert counts == {"in": 4, "kept": 3, "dropped": {"too long": 1}, "tokens": 13, "trained_tokens": 10}
    with pytest.raises(DataError, match="raise max_length"):
        training_set(rows, 2, 1, tmp_path, {})


def test_processes_of_one_training_write_the_same_rows_beside_each_other(tmp_path: Any, monkeypatch: Any) -> None:
    """The second is in the middle of writing while the first maps its file, and replaces the file under it."""
    rows = [{"input_ids": [n], "labels": [n]} for n in range(50)]

    def slowly() -> Iterator[dict[str, list[int]]]:
        yield from rows[:25]
        monkeypatch.setenv("RANK", "0")
        mapped.append(training_set(rows, 5, 1, tmp_path, {}))
        yield from rows[25:]

    mapped: list[Any] = []
    monkeypatch.setenv("RANK", "1")
    second = training_set(slowly(), 5, 1, tmp_path, {})
    assert mapped[0]["input_ids"] == second["input_ids"]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.arrow"]


def test_the_seed_alone_decides_the_order(tmp_path: Any) -> None:
    rows = [{"input_ids": [n], "labels": [n]} for n in range(50)]
    orders = [training_set(rows, 5, seed, tmp_path, {})["input_ids"] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == [[n] for n in range(50)]


def test_long_prompts_are_dropped_and_counted(tokenizer: Any) -> None:
    rows = [chat("Hi", ""), chat("Hi " * 100, "")]
    counts: dict[str, Any] = {}
    kept = prompt_set(rows, tokenizer, False, 40, counts)
    assert [row["prompt"][0]["content"] for row in kept] == ["Hi"]
    assert counts == {"in": 2, "kept": 1, "dropped": {"too long": 1}, "domains": {"knowledge": 1}}
    with pytest.raises(DataError, match="max_prompt_tokens"):
        prompt_set(rows, tokenizer, False, 2, {})
