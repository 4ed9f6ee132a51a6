"""Selection: k-center against brute force, clusters in turn, and draws that depend on the record alone."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import records
from scripts.mix import select as selection
from scripts.mix import shuffle
from scripts.mix.embed import Embedder
from scripts.mix.select import Domain, Quota, Space, choose, clusters, k_center, round_robin
from scripts.mix.settings import Select


def radius(vectors: np.ndarray, chosen: list[int]) -> float:
    """Largest distance of a vector from the nearest chosen one."""
    distances = np.linalg.norm(vectors[:, None] - vectors[chosen][None], axis=2)
    return float(distances.min(axis=1).max())


def greedy(vectors: np.ndarray, size: int) -> list[int]:
    """Greedy k-center straight from its definition."""
    points = [tuple(vector) for vector in vectors]
    mean = np.mean(vectors, axis=0)
    chosen = [min(range(len(points)), key=lambda i: (np.linalg.norm(vectors[i] - mean), i))]
    while len(chosen) < size:
        rest = [i for i in range(len(points)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: (min(np.linalg.norm(vectors[i] - vectors[c]) for c in chosen), -i)))
    return chosen


def centers(vectors: np.ndarray, size: int) -> list[int]:
    return k_center(vectors, size, Quota(["a"] * len(vectors), None))


@pytest.mark.parametrize("front", [3, 2_048], ids=["many rounds", "one round"])
@pytest.mark.parametrize("seed", range(5))
def test_k_center_is_the_definition_and_within_twice_the_optimum(
    seed: int, front: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "FRONT", front)
    vectors = np.random.default_rng(seed).normal(size=(12, 3))
    for size in (1, 3, 5):
        chosen = centers(vectors, size)
        assert chosen == greedy(vectors, size)
        best = min(radius(vectors, list(chosen)) for chosen in combinations(range(12), size))
        assert radius(vectors, chosen) <= 2 * best + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40),
    front=st.integers(2, 12),
    block=st.integers(1, 50),
)
def test_k_center_in_blocks_and_fronts_chooses_as_the_definition_does(
    points: list[tuple[int, int]], front: int, block: int
) -> None:
    """On a grid, where many distances and many points are equal."""
    vectors = np.array(points, dtype=float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "FRONT", front)
        patch.setattr(selection, "BLOCK", block)
        for size in (1, len(points) // 2 or 1, len(points)):
            chosen = centers(vectors, size)
            assert len(set(chosen)) == size == len(chosen)
            distances = [radius(vectors, chosen[:taken]) for taken in range(1, size + 1)]
            farthest = [
                float(np.linalg.norm(vectors[: len(points)] - vectors[chosen[taken]], axis=1)[chosen[:taken]].min())
                for taken in range(1, size)
            ]
            assert farthest == pytest.approx(distances[:-1])  # each was the farthest from those before it


def test_k_center_takes_equal_vectors_once_each() -> None:
    assert sorted(centers(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["random", "cluster", "k-center"])
def test_no_source_gives_more_than_its_limit(kind: str) -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
    sources = ["abc"[i % 3] for i in range(60)]
    domain = Domain([f"id{i}" for i in range(60)], sources, vectors)
    taken = choose(Select(kind=kind, clusters=4), domain, 15, 1, {"a": 12, "b": 3, "c": 0})
    assert Counter(sources[i] for i in taken) == {"a": 12, "b": 3} and len(set(taken)) == 15


def test_clusters_find_the_groups_and_give_records_in_turn() -> None:
    vectors = np.concatenate([np.full((20, 2), 0.0), np.full((5, 2), 10.0), np.full((2, 2), -10.0)])
    labels = clusters(vectors, 3, 1, np.arange(0, 27, 2))
    assert [len(set(labels[:20])), len(set(labels[20:25])), len(set(labels[25:]))] == [1, 1, 1] and len(
        set(labels)
    ) == 3
    taken = [*islice(round_robin(labels, range(27)), 12)]
    assert [sum(i < 20 for i in taken), sum(20 <= i < 25 for i in taken), sum(i >= 25 for i in taken)] == [5, 5, 2]


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), share=st.floats(0, 1))
def test_round_robin_takes_exactly_the_size_as_evenly_as_possible(labels: list[int], share: float) -> None:
    size = int(len(labels) * share)
    taken = [*islice(round_robin(labels, range(len(labels))), size)]
    assert len(taken) == len(set(taken)) == size
    counts = {label: sum(labels[i] == label for i in taken) for label in set(labels)}
    for label, count in counts.items():  # a cluster that gave two fewer than another had no more
        assert count == labels.count(label) or count >= max(counts.values()) - 1


KINDS = [Select(kind=kind, clusters=3, dimensions=4) for kind in ("random", "cluster", "k-center")]


@pytest.mark.parametrize("select", KINDS, ids=lambda select: select.kind)
def test_every_kind_takes_distinct_positions_and_the_same_ones_twice(select: Select) -> None:
    ids = [f"id{i}" for i in range(40)]
    texts = [f"{'add' if i % 2 else 'write a function that'} {i} {'apples' if i % 3 else 'pears'}" for i in range(40)]
    domain = Domain(ids, ["a"] * 40, Embedder(texts, 4, seed=5)(texts))
    for size in (1, 7, 40):
        taken = choose(select, domain, size, seed=5)
        assert len(set(taken)) == size == len(taken)
        assert taken == choose(select, domain, size, seed=5)
    if select.kind != "k-center":
        assert choose(select, domain, 7, seed=5) != choose(select, domain, 7, seed=6)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 30), more=st.integers(0, 20))
def test_a_random_selection_is_part_of_every_larger_one(size: int, more: int) -> None:
    ids = [str(i) for i in range(50)]
    small, large = (choose(KINDS[0], Domain(ids, ids), n, seed=1) for n in (size, size + more))
    assert set(small) <= set(large)


def test_with_fewer_prompts_than_dimensions_there_are_as_many_dimensions_as_prompts() -> None:
    texts = ["add two apples and three pears", "write a python function that sorts", "what is the capital of France"]
    embed = Embedder(texts, 16, seed=1)
    assert embed(texts).shape == (3, embed.dimensions) == (3, 3)


def test_vectors_have_unit_length_and_similar_texts_are_near() -> None:
    texts = ["add two apples and three pears"] * 2 + ["write a python function", "", "sort a python list"]
    embed = Embedder(texts, 3, seed=1)
    vectors = embed(texts)
    assert vectors.shape == (5, 3)
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1], atol=1e-6)
    assert np.allclose(vectors[0], vectors[1]) and vectors[2] @ vectors[4] > vectors[2] @ vectors[0]
    assert np.allclose(
        embed(["pears", "nothing known", *texts])[2:], vectors
    )  # a text's vector does not depend on the others
    assert (embed(["nothing known"]) == 0).all()
    assert (Embedder(["", " "], 3, seed=1)(["", "a"]) == 0).all()


# --- 200,000 rows ---------------------------------------------------------------------------------------------------

MANY = 200_000


@pytest.fixture(scope="module")
def many() -> Domain:
    """Vectors of 16 numbers around 200 centers."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=(200, 16))[random.integers(0, 200, MANY)] + 0.5 * random.normal(size=(MANY, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Domain([str(number) for number in range(MANY)], ["a"] * MANY, vectors)


def test_k_center_of_many_rows_makes_few_passes_and_few_copies(many: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition passes over all rows for each center: here at least thirty are found per pass."""
    assert many.vectors is not None
    passes, shrink = list[int](), Space.shrink

    def counted(space: Space, distance: np.ndarray, centers: list[int]) -> None:
        if len(distance) == MANY:
            passes.append(len(centers))
        shrink(space, distance, centers)

    monkeypatch.setattr(Space, "shrink", counted)
    tracemalloc.start()
    chosen = k_center(many.vectors, 2_000, Quota(many.sources, None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(chosen)) == 2_000 and len(passes) <= 2_000 / 30
    assert peak < 6 * many.vectors.nbytes  # 12.8 MB of vectors; a matrix of all distances would be 160 GB
    nearest = np.full(MANY, np.inf, np.float32)
    Space(many.vectors).shrink(nearest, chosen)
    covered = float(np.sqrt(nearest.max()))
    assert covered <= float(np.linalg.norm(many.vectors[chosen[-1]] - many.vectors[chosen[:-1]], axis=1).min()) + 1e-3


def test_clusters_of_many_rows_are_fitted_on_some_of_them(many: Domain) -> None:
    chosen = choose(Select(kind="cluster", clusters=20, fitted_on=2_000), many, 1_000, seed=1)
    assert len(set(chosen)) == 1_000


# --- Rows in a drawn order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bucket", "batch"), [(1, 3), (4, 7), (10_000, 10_000)])
def test_rows_come_in_the_order_of_their_numbers(
    bucket: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffle, "BUCKET", bucket)
    monkeypatch.setattr(shuffle, "BATCH", batch)
    texts = [[{"role": "user", "content": f"q{number}"}] for number in range(30)]
    rows = [dict(records.make_record("s", "math", text, ("none", {}), {})) for text in texts]  # type: ignore[arg-type]
    folders = [tmp_path / "a", tmp_path / "b"]
    records.write(folders[0], rows[:17])
    records.write(folders[1], rows[17:])
    numbers = np.random.default_rng(2).permutation(30)[:19].tolist()
    shuffled = [*shuffle.in_order(folders, numbers, tmp_path / "work")]
    assert shuffled == [rows[number] for number in numbers]
    assert not (tmp_path / "work").exists()
    assert [*shuffle.in_order(folders, [], tmp_path / "work")] == []
