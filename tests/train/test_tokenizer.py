"""The tokenizer of the tiny base: Qwen's conventions, lossless, the same every time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.train.tokenizer import train_tokenizer

TEXTS = [f"The lake number {n} has {n * n} boats and nobody rows, said the farmer." for n in range(50)]


@pytest.fixture(scope="module")
def made() -> Any:
    return train_tokenizer(TEXTS, 301, 128)


def test_size_and_order_of_the_ids(made: Any) -> None:
    assert len(made) == 301
    added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    assert made.convert_tokens_to_ids(added) == [296, 297, 298, 299, 300]
    assert (made.eos_token, made.pad_token, made.bos_token) == ("<|endoftext|>", "<|endoftext|>", None)


def test_think_tags_survive_decoding_and_turn_marks_do_not(made: Any) -> None:
    ids = made("<|im_start|><think>a</think><|im_end|>")["input_ids"]
    assert len(ids) == 5
    assert made.decode(ids, skip_special_tokens=True) == "<think>a</think>"


def test_every_digit_is_a_token(made: Any) -> None:
    assert made.tokenize("2026") == ["2", "0", "2", "6"]


def test_merges_are_learned(made: Any) -> None:
    assert len(made.tokenize(" farmer")) < len(" farmer")


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_nothing_is_lost(made: Any, text: str) -> None:
    import unicodedata

    assert made.decode(made(text)["input_ids"]) == unicodedata.normalize("NFC", text)


def test_the_same_texts_give_the_same_tokenizer(made: Any) -> None:
    again = train_tokenizer(TEXTS, 301, 128)
    assert again.backend_tokenizer.to_str() == made.backend_tokenizer.to_str()


def test_a_corpus_too_small_for_the_vocabulary_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"lower tokenizer.vocabulary from 1000 to \d+"):
        train_tokenizer(TEXTS, 1000, 128)
