"""Exact sizes by largest remainder, and the error that says what to change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.mix.quotas import MixError, largest_remainder, quotas


@pytest.mark.parametrize(
    ("weights", "size", "shares"),
    [
        ({"math": 3, "code": 3, "instruction": 2, "knowledge": 2}, 10, [3, 3, 2, 2]),
        ({"math": 1, "code": 1, "general": 1}, 10, [4, 3, 3]),  # a tie goes to the first named
        ({"math": 0.47, "code": 0.32, "general": 0.21}, 10, [5, 3, 2]),  # 4.7, 3.2, 2.1
        ({"math": 100, "code": 1}, 3, [3, 0]),  # 2.97, 0.03
        ({"math": 5}, 7, [7]),
    ],
)
def test_shares_by_hand(weights: dict[str, float], size: int, shares: list[int]) -> None:
    assert list(largest_remainder(weights, size).values()) == shares


WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=1)


@given(weights=WEIGHTS, size=st.integers(1, 10_000))
def test_the_sum_is_the_size_and_no_share_is_off_by_one(weights: dict[str, float], size: int) -> None:
    shares = largest_remainder(weights, size)
    assert sum(shares.values()) == size
    for name, share in shares.items():
        assert abs(share - size * weights[name] / sum(weights.values())) < 1 + 1e-9


@given(available=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1), share=st.floats(0.01, 1))
def test_as_they_come_never_asks_for_more_than_there_is(available: dict[str, int], share: float) -> None:
    size = max(1, int(sum(available.values()) * share))
    found = quotas("d", available, size, available)
    assert sum(found.values()) == size and all(found[name] <= available[name] for name in found)
    assert quotas("d", available, None, available) == available


def test_too_few_names_domain_figures_and_remedy() -> None:
    available = {"math": 100, "code": 30}
    with pytest.raises(MixError) as error:
        quotas("ins-stage-2", {"math": 1, "code": 1}, 100, available)
    text = str(error.value)
    assert "datasets.ins-stage-2: wants 50 of domain code, 30 are left" in text
    assert "Lower `size` to 60 or less" in text and "give code a smaller weight" in text
    assert quotas("ins-stage-2", {"math": 1, "code": 1}, 60, available) == {"math": 30, "code": 30}


def test_a_domain_that_is_not_there_at_all() -> None:
    with pytest.raises(MixError, match="wants 5 of domain code, 0 are left"):
        quotas("d", {"math": 1, "code": 1}, 10, {"math": 100})
