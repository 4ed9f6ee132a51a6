"""n-grams in arrays are those of a loop over each text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.curate.grams import grams, hashes

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=9), max_size=6)


@given(texts=TEXTS, length=st.integers(1, 5))
def test_the_same_ngrams_as_a_loop(texts: list[list[str]], length: int) -> None:
    expected = [[tuple(text[i : i + length]) for i in range(len(text) - length + 1)] for text in texts]
    found = grams(texts, length)
    assert found.sizes.tolist() == [len(text) for text in expected]
    assert [len(values) for values in found.texts()] == found.sizes.tolist()
    names: dict[tuple[str, ...], int] = {}
    flat = [gram for text in expected for gram in text]
    for gram, value in zip(flat, found.values.tolist(), strict=True):
        assert names.setdefault(gram, value) == value  # one n-gram, one hash, wherever it stands
    assert len(set(names.values())) == len(names)


def test_order_and_place_matter() -> None:
    one, other = grams([["a", "b"]], 2), grams([["b", "a"]], 2)
    assert one.values[0] != other.values[0]
    assert hashes(["a", "b", "a"]).tolist()[0] == hashes(["a"]).tolist()[0]


def test_more_words_than_there_are_places_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 to 64 are possible"):
        grams([["a"]], 65)
