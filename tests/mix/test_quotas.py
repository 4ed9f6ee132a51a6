"""Exact sizes by largest remainder, and errors that name what to change."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from scripts.mix.quotas import MixError, Mixture, bounded, largest_remainder, quotas
from scripts.mix.settings import Dataset


@pytest.mark.parametrize(
    ("weights", "size", "shares"),
    [
        ({"math": 3, "code": 3, "instruction": 2, "knowledge": 2}, 10, [3, 3, 2, 2]),
        ({"math": 1, "code": 1, "general": 1}, 10, [4, 3, 3]),  # a tie goes to the first name
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


@given(weights=WEIGHTS, size=st.integers(0, 500), data=st.data())
def test_bounded_shares_fill_the_size_or_all_bounds(weights: dict[str, float], size: int, data: st.DataObject) -> None:
    bounds = {name: data.draw(st.integers(0, 200)) for name in weights}
    shares = bounded(weights, size, bounds)
    assert sum(shares.values()) == min(size, sum(bounds.values()))
    assert all(shares[name] <= bounds[name] for name in shares)
    free = {name: weights[name] for name in shares if shares[name] < bounds[name]}
    for name, other in combinations(free, 2):  # below its bound, a share is in proportion to its weight, up to rounding
        assert abs(shares[name] / weights[name] - shares[other] / weights[other]) <= 1 / min(free.values()) + 1e-9


def test_bounded_by_hand() -> None:
    """100 by 8 : 1 : 1 are 80, 10, 10; a has 20, so b and c share 80."""
    assert bounded({"a": 8, "b": 1, "c": 1}, 100, {"a": 20, "b": 90, "c": 90}) == {"a": 20, "b": 40, "c": 40}
    assert bounded({"a": 8, "b": 1, "c": 1}, 100, {"a": 20, "b": 30, "c": 90}) == {"a": 20, "b": 30, "c": 50}


def test_weights_are_read_as_decimals() -> None:
    """As binary numbers 0.1 + 0.2 is not 0.3 and rounding breaks ties; as decimals the first name wins the tie."""
    assert largest_remainder({"a": 0.1, "b": 0.2, "c": 0.3}, 5) == {"a": 1, "b": 2, "c": 2}  # 5/6, 5/3, 5/2
    assert largest_remainder({"a": 0.3, "b": 0.1, "c": 0.2}, 2) == {"a": 1, "b": 0, "c": 1}
    shares = largest_remainder({"a": 0.1, "b": 0.1, "c": 0.1}, 10**9 + 1)
    assert shares == {"a": 333333334, "b": 333333334, "c": 333333333}


def of_one_source(available: dict[str, int]) -> dict[str, dict[str, int]]:
    return {domain: {"s": n} for domain, n in available.items()}


def by_domain(cells: dict[str, dict[str, int]]) -> dict[str, int]:
    return {domain: sum(row.values()) for domain, row in cells.items()}


@given(available=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1), share=st.floats(0.01, 1))
def test_without_weights_no_quota_exceeds_the_records_available(available: dict[str, int], share: float) -> None:
    size = max(1, int(sum(available.values()) * share))
    result = by_domain(quotas(Mixture("d", size), of_one_source(available)))
    assert result == largest_remainder(available, size)
    assert by_domain(quotas(Mixture("d"), of_one_source(available))) == available


def test_too_few_records_are_an_error_with_domain_figures_and_remedy() -> None:
    available = of_one_source({"math": 100, "code": 30})
    mixture = Mixture("ins-stage-2", 100, {"math": 1, "code": 1})
    with pytest.raises(MixError) as error:
        quotas(mixture, available)
    text = str(error.value)
    assert "datasets.ins-stage-2: wants 50 of domain code, 30 are left" in text
    assert "Lower `size` to 60 or less" in text and "give code a smaller weight" in text
    assert by_domain(quotas(replace(mixture, size=60), available)) == {"math": 30, "code": 30}


def test_a_domain_without_any_record_is_an_error() -> None:
    with pytest.raises(MixError, match="wants 5 of domain code, 0 are left"):
        quotas(Mixture("d", 10, {"math": 1, "code": 1}), {"math": {"s": 100}})


def test_temperature_by_hand() -> None:
    """900 and 100 records: 9 to 1 at temperature 1, 3 to 1 at temperature 2; inside math, 30 to 10."""
    available = {"math": {"a": 810, "b": 90}, "code": {"a": 100}}
    assert quotas(Mixture("d", 100), available) == {"math": {"a": 81, "b": 9}, "code": {"a": 10}}
    result = quotas(Mixture("d", 100, temperature=2), available)
    assert result == {"math": {"a": 56, "b": 19}, "code": {"a": 25}}  # 75 by 28.46 : 9.49 are 56.25 and 18.75


def test_source_weights_hold_as_far_as_sources_have_records() -> None:
    available = {"math": {"a": 900, "b": 10}, "code": {"a": 90}}
    result = quotas(Mixture("d", 100, {"math": 9, "code": 1}, {"a": 1, "b": 1}), available)
    assert result == {"math": {"a": 80, "b": 10}, "code": {"a": 10}}


def test_a_cap_holds_in_all_domains_together() -> None:
    available = {"math": {"a": 100, "b": 1000}, "code": {"a": 100, "b": 5}}
    result = quotas(Mixture("d", 200, {"math": 1, "code": 1}, caps={"a": 96}), available)
    assert result == {"math": {"a": 1, "b": 99}, "code": {"a": 95, "b": 5}}  # math leaves a to code, which needs it
    with pytest.raises(MixError) as error:
        quotas(Mixture("d", 200, {"math": 1, "code": 1}, caps={"a": 90}), available)
    text = str(error.value)
    assert "wants 100 of domain code, 95 are left after its filters and `caps`" in text
    assert "raise the caps of a" in text and "Lower `size` to 190" in text


def test_a_cap_is_a_number_or_a_share_of_the_size_as_a_decimal() -> None:
    """As a binary number, 0.29 of 100 is a little less than 29."""
    stated = {"purpose": "sft", "pool": "p", "size": 100, "select": {"kind": "random"}}
    dataset = Dataset.model_validate(stated | {"caps": {"a": 0.29, "b": 1, "c": 0.333, "d": 5000}})
    assert dataset.cap_counts() == {"a": 29, "b": 1, "c": 33, "d": 5000}
    assert Dataset.model_validate_json(dataset.model_dump_json()) == dataset  # as in a recipe


def test_a_cap_that_does_not_bind_changes_nothing() -> None:
    available = {"math": {"a": 200, "b": 20}, "code": {"a": 60, "c": 120}}
    for mixture in (Mixture("d", 40), Mixture("d", 40, {"math": 3, "code": 1}), Mixture("d", 40, temperature=3)):
        assert quotas(replace(mixture, caps={"a": 30}), available) == quotas(mixture, available)


def test_caps_without_weights() -> None:
    available = {"math": {"a": 1000}, "code": {"a": 1000}, "general": {"a": 1000, "b": 900}}
    result = quotas(Mixture("d", caps={"a": 100}), available)
    assert sum(row["a"] for row in result.values()) == 100 and result["general"]["b"] == 900
    with pytest.raises(MixError, match=r"wants 1001 records, 3900 are left after its filters, 1000 of them within"):
        quotas(Mixture("d", 1001, caps={"a": 100}), available)


AVAILABLE = st.dictionaries(
    st.sampled_from(["math", "code", "general"]),
    st.dictionaries(st.sampled_from("stuv"), st.integers(1, 30), min_size=1),
    min_size=1,
)


@settings(max_examples=200, deadline=None)
@given(available=AVAILABLE, caps=st.dictionaries(st.sampled_from("stuv"), st.integers(1, 40)), data=st.data())
def test_a_mixture_is_found_exactly_if_one_exists(
    available: dict[str, dict[str, int]], caps: dict[str, int], data: st.DataObject
) -> None:
    """Compared with the maximum flow from domains through sources, computed by SciPy."""
    wanted = {domain: data.draw(st.integers(1, 40)) for domain in available}
    mixture = Mixture("d", sum(wanted.values()), dict(wanted), caps=caps)
    possible = largest_flow(wanted, available, caps) == sum(wanted.values())
    try:
        cells = quotas(mixture, available)
    except MixError:
        assert not possible
        return
    assert possible and by_domain(cells) == wanted
    assert all(0 <= n <= available[domain][source] for domain, row in cells.items() for source, n in row.items())
    assert all(sum(row.get(source, 0) for row in cells.values()) <= cap for source, cap in caps.items())
    assert cells == quotas(mixture, available)


def largest_flow(wanted: dict[str, int], available: dict[str, dict[str, int]], caps: dict[str, int]) -> int:
    sources = sorted({source for row in available.values() for source in row})
    names = ["", *wanted, *sources, "sink"]
    capacity = np.zeros((len(names), len(names)), dtype=np.int32)
    for domain, quota in wanted.items():
        capacity[0, names.index(domain)] = quota
        for source, n in available[domain].items():
            capacity[names.index(domain), names.index(source)] = n
    for source in sources:
        capacity[names.index(source), -1] = caps.get(source, 10_000)
    return int(maximum_flow(csr_array(capacity), 0, len(names) - 1).flow_value)
