"""Exact and near deduplication: what is found, what is kept, and that workers change nothing."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from curation import Row, chat, dropped, job, kept

from scripts.curate import corpus, views
from scripts.curate.decisive import decisive
from scripts.curate.duplicates import preferred
from scripts.curate.exact_dedup import deduplicate as exact
from scripts.curate.exact_dedup import question
from scripts.curate.near_dedup import UNSIGNED, components, jaccard, signatures
from scripts.curate.near_dedup import deduplicate as near
from scripts.curate.settings.exact_dedup import ExactDedup
from scripts.curate.settings.near_dedup import NearDedup
from scripts.curate.words import words

EXACT = ExactDedup(step="exact-dedup", key="prompt-response")
NEAR = NearDedup(step="near-dedup", ngram=3, buckets=20, hashes_per_bucket=6, similarity=0.7)


def test_preference_is_priority_then_position() -> None:
    duplicates, keepers = preferred(np.array([5, 0, 3, 1, 4]), np.array([7, 7, 7, 9, 9]), np.array([0, 1, 0, 2, 1, 2]))
    assert duplicates.tolist() == [0, 4, 5] and keepers.tolist() == [3, 1, 3]


def test_exact_duplicates_by_normalised_prompt_and_response(tmp_path: Path) -> None:
    rows = [
        chat("What is 2+2?", "4"),
        chat("what  is\n2+2?", "4"),
        chat("What is 2+2?", "5"),
        chat("What is 2-2?", "4"),
    ]
    rows.append(chat("\uff37hat is 2+2?", "4\n"))  # a full-width W
    rows += [
        chat("Write lowercase.", "ok"),
        chat("write lowercase.", "Ok"),
        chat("Code?", "if a:\n  b\nc"),
        chat("Code?", "if a:\n  b\n  c"),
    ]
    work = job(tmp_path, "exact-dedup", [row | {"id": str(i)} for i, row in enumerate(rows)])
    assert exact(work, EXACT) == {"in": 9, "kept": 7, "dropped": {"duplicate": 2}}
    assert [row["id"] for row in kept(work)] == ["0", "2", "3", "5", "6", "7", "8"]
    assert [(row["id"], row["duplicate_of"]) for row in dropped(work)] == [("1", "0"), ("4", "0")]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("What is 5\u00b2?", "What is 52?", False),
        ("What is 5\u00b2?", "what is 5^2?", True),
        ("Write 10\u207b\u00b3 as a decimal.", "Write 10\u22123 as a decimal.", False),
        ("What is 1\u00bd?", "What is 11/2?", False),
        ("What is 1\u00bd?", "What is 1 1/2?", True),
        ("An area of 20 \u33a1", "An area of 20 m\u00b2", True),  # one character for both
        ("An area of 20 m\u00b2", "An area of 20 m2", False),
        ("x\u2081 + 1", "x1 + 1", False),
        ("Convert 5 MB to bits.", "Convert 5 Mb to bits.", False),
        ("Simplify (A + a)(A - a).", "Simplify (a + A)(a - A).", False),
        ("Is 5 MeV much?", "Is 5 meV much?", False),
        ("What is CO?", "What is Co?", False),
        ("Is 7 prime?", "is 7 prime?", True),
        ("A train leaves.", "a train leaves.", True),
        ("A + 1 = 2", "a + 1 = 2", False),
        ("WRITE A POEM", "Write A Poem", True),
        ("What is 3 \u2212 5?", "What is 3 - 5?", True),
        ("What is 2 + 2?", "What is 2 +\u200b 2?\u200e", True),
        ("Say \u201chello\u201d.", 'Say "hello".', True),
        ("\ufb01nd \uff38", "find X", True),  # a ligature, a full-width letter
    ],
)
def test_prompts_that_mean_the_same(first: str, second: str, same: bool) -> None:
    assert (question(first) == question(second)) == same


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("At first it was 7 degrees.", "At first it was -7 degrees.", False),
        ("Find f at n + 1.", "Find f at n - 1.", False),
        ("Find f at n+1.", "Find f at n + 1, please.", True),
        ("He has three apples.", "He has four apples.", False),
        ("He has three apples.", "He has 3 apples.", True),
        ("Is 9 prime?", "Is 9 not prime?", False),
        ("Find the least n.", "Find the largest n.", False),
        ("If x < 3 then", "If x > 3 then", False),
        ("If x \\le 3 then", "If x \u2264 3 then", True),
        ("The well-known x-axis", "The x axis, well known", True),
        ("\u4ed6\u6709\u4e09\u4e2a\u82f9\u679c", "\u4ed6\u6709\u56db\u4e2a\u82f9\u679c", False),  # three, four
    ],
)
def test_what_decides_an_answer(first: str, second: str, same: bool) -> None:
    assert (decisive(first) == decisive(second)) == same


def test_alike_prompts_with_another_sign_or_number_word_are_both_kept(tmp_path: Path) -> None:
    story = "The temperature at the station was measured every hour during the night, and the observer wrote it down. "
    ends = [
        "It was 7 at two o'clock.",
        "It was -7 at two o'clock.",
        "It was 7 at three o'clock.",
        "It was 7 at 2 o'clock.",
    ]
    work = job(tmp_path, "near-dedup", [chat(story * 3 + end) | {"id": str(i)} for i, end in enumerate(ends)])
    assert near(work, NEAR)["kept"] == 3
    assert [(row["id"], row["duplicate_of"]) for row in dropped(work)] == [("3", "0")]


def test_by_prompt_alone_another_answer_is_a_duplicate(tmp_path: Path) -> None:
    work = job(tmp_path, "exact-dedup", [chat("q", "a"), chat("q", "b"), chat("q")])
    assert exact(work, EXACT.model_copy(update={"key": "prompt"}))["kept"] == 1


def test_the_source_of_higher_priority_is_kept_wherever_it_stands(tmp_path: Path) -> None:
    web, book = chat("q", "a", source="web"), chat("q", "a", source="book")
    work = job(tmp_path, "exact-dedup", [web], [book])
    exact(work, EXACT.model_copy(update={"priorities": {"book": 2, "web": 1}}))
    assert [row["source"] for row in kept(work)] == ["book"]
    assert [(row["source"], row["duplicate_of"]) for row in dropped(work)] == [("web", book["id"])]


def test_nothing_to_compare(tmp_path: Path) -> None:
    assert exact(job(tmp_path / "exact", "exact-dedup", []), EXACT)["kept"] == 0
    assert near(job(tmp_path / "near", "near-dedup", []), NEAR)["kept"] == 0
    assert near(job(tmp_path / "short", "near-dedup", [chat("a"), chat("a")]), NEAR)["kept"] == 2  # exact-dedup's work


VOCABULARY = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]


def planted(pairs: int, changes: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Random texts of 60 words, and for each a copy in which `changes` words are others."""
    rng = random.Random(seed)
    originals, copies = [], []
    for index in range(pairs):
        text = rng.choices(VOCABULARY, k=60)
        changed = list(text)
        for place in rng.sample(range(60), changes):
            changed[place] = rng.choice(VOCABULARY)
        originals.append(chat(" ".join(text[:30]), " ".join(text[30:]), "original") | {"id": f"o{index}"})
        copies.append(chat(" ".join(changed[:30]), " ".join(changed[30:]), "copy") | {"id": f"c{index}"})
    return originals, copies


def test_recall_on_planted_pairs_and_no_false_alarm(tmp_path: Path) -> None:
    # Two words of 60 changed: at least 52 of 58 shingles of 3 words are shared, so J >= 52 / 64 = 0.81, and LSH
    # with 20 buckets of 6 proposes such a pair with 1 - (1 - 0.81 ** 6) ** 20 = 0.9989.
    originals, copies = planted(300, 2, seed=1)
    work = job(tmp_path, "near-dedup", originals, copies)
    counts = near(work, NEAR)
    found = {row["id"]: row["duplicate_of"] for row in dropped(work)}
    assert set(found) <= {row["id"] for row in copies}  # the earlier source stays, random texts are no duplicates
    assert all(found[name] == "o" + name[1:] for name in found)
    assert len(found) >= 297  # recall 0.99 of 300
    assert all(row["similarity"] >= 0.7 for row in dropped(work))
    assert counts["pairs"]["similar"] >= len(found)


def test_records_of_one_template_are_kept(tmp_path: Path) -> None:
    template = "A train leaves the station at noon with {} people and {} more get on. How many people are on the train?"
    rows = [chat(template.format(a, b), f"{a} + {b} = {a + b}") for a in range(2, 12) for b in range(20, 30)]
    work = job(tmp_path, "near-dedup", rows)
    assert near(work, NEAR) == {"in": 100, "kept": 100, "dropped": {}, "pairs": {"proposed": 0, "similar": 0}}
    texts, same = [words(views.whole(row)) for row in rows], np.zeros(100, np.uint64)
    assert len(np.unique(signatures(texts, same, NEAR)[:, 0])) < 100  # words alone would have proposed some


def test_copies_are_found_among_many_prompts_of_their_template(tmp_path: Path) -> None:
    # 400 words, of which a number is another in each prompt: of any two, 99 % of the shingles are shared.
    text = " ".join(random.Random(1).choices(VOCABULARY, k=400))
    rows = [chat(f"{index} {text}") | {"id": f"o{index}"} for index in range(100)]
    copies = [chat(f"{index} {text} Please.") | {"id": f"c{index}"} for index in range(100)]
    work = job(tmp_path, "near-dedup", rows, copies)
    near(work, NEAR)
    assert [(row["id"], row["duplicate_of"]) for row in dropped(work)] == [(f"c{i}", f"o{i}") for i in range(100)]


def test_another_number_is_another_question(tmp_path: Path) -> None:
    text = "A long story about a farmer with {} cows, who sells some of them on a market day in spring, and walks home"
    rows = [chat(text.format(5)), chat(text.format(6)), chat(text.format(5) + ".")]
    work = job(tmp_path, "near-dedup", [row | {"id": str(i)} for i, row in enumerate(rows)])
    near(work, NEAR)
    assert [(row["id"], row["duplicate_of"]) for row in dropped(work)] == [("2", "0")]


def test_a_chain_is_no_group(tmp_path: Path) -> None:
    # Each text has four of the last one's words replaced: neighbours are similar, the ends are not.
    base = VOCABULARY[:40]
    rows = []
    for step in range(5):
        rows.append(chat(" ".join(VOCABULARY[100 : 100 + 4 * step] + base[4 * step :])) | {"id": str(step)})
    work = job(tmp_path, "near-dedup", rows)
    near(work, NEAR)
    shingles = [set(zip(t, t[1:], t[2:], strict=False)) for t in (r["messages"][0]["content"].split() for r in rows)]
    similar = {
        (a, b)
        for a, b in combinations(range(5), 2)
        if len(shingles[a] & shingles[b]) >= 0.7 * len(shingles[a] | shingles[b])
    }
    left = [int(row["id"]) for row in kept(work)]
    assert len(left) > 1 and not similar & set(combinations(left, 2))  # nothing similar is left
    for row in dropped(work):
        assert (int(row["duplicate_of"]), int(row["id"])) in similar and int(row["duplicate_of"]) in left


def test_a_verifiable_answer_is_preferred_then_the_newer_source(tmp_path: Path) -> None:
    old, new = chat("q", "a", source="old"), chat("q", "a", source="new")
    checked = chat("q", "a", source="gold") | {"answer": {"kind": "math", "spec": '{"target": "a"}'}}
    nothing_known = chat("q", "a") | {"source": None, "answer": None}
    settings = EXACT.model_copy(update={"priorities": {"old": 1, "new": 2, "gold": -3}})
    for name, rows, kept_source in (
        ("both", [nothing_known, old, new, checked], "gold"),
        ("unchecked", [nothing_known, old, new], "new"),
    ):
        work = job(tmp_path / name, "exact-dedup", rows)
        exact(work, settings)
        assert [row["source"] for row in kept(work)] == [kept_source]


def changed(texts: list[list[str]], words: int, seed: int) -> list[list[str]]:
    """The texts with `words` of their words replaced."""
    rng = random.Random(seed)
    found = [list(text) for text in texts]
    for text in found:
        for place in rng.sample(range(len(text)), words):
            text[place] = rng.choice(VOCABULARY)
    return found


def test_pairs_are_proposed_as_often_as_their_similarity_says() -> None:
    # The scales' parameters, 5-grams and 14 buckets of 8: a pair of similarity s with 1 - (1 - s^8)^14.
    settings = NearDedup(step="near-dedup", ngram=5, buckets=14, hashes_per_bucket=8, similarity=0.8)
    rng = random.Random(4)
    originals = [rng.choices(VOCABULARY, k=200) for _ in range(600)]
    for count in (1, 4, 8, 12):  # words changed: similarities of about 0.95, 0.82, 0.67 and 0.55
        copies = changed(originals, count, seed=count)
        shingles = [
            [set(zip(*(text[k:] for k in range(5)), strict=False)) for text in side] for side in (originals, copies)
        ]
        similarity = [len(a & b) / len(a | b) for a, b in zip(*shingles, strict=True)]
        expected = sum(1 - (1 - s**8) ** 14 for s in similarity)
        spread = sum((1 - (1 - s**8) ** 14) * (1 - s**8) ** 14 for s in similarity) ** 0.5
        keys = [signatures(side, np.zeros(600, np.uint64), settings) for side in (originals, copies)]
        found = int((keys[0] == keys[1]).any(axis=1).sum())
        assert abs(found - expected) <= 3 * spread + 3, (count, found, expected)
        others = int((keys[0] == np.roll(keys[1], 1, axis=0)).any(axis=1).sum())
        assert others == 0


def test_texts_of_too_few_words_have_no_signature() -> None:
    same = np.zeros(4, np.uint64)
    keys = signatures([["a", "b"], ["a", "b", "c"], [], ["a", "b", "c"]], same, NEAR)
    assert (keys[[0, 2]] == UNSIGNED).all() and (keys[1] == keys[3]).all() and not (keys[1] == UNSIGNED).any()
    assert signatures([["a"]], same[:1], NEAR).shape == (1, 20) and signatures([], same[:0], NEAR).shape == (0, 20)


def test_near_duplicates_prefer_the_source_of_higher_priority(tmp_path: Path) -> None:
    originals, copies = planted(20, 1, seed=2)
    work = job(tmp_path, "near-dedup", originals, copies)
    near(work, NEAR.model_copy(update={"priorities": {"copy": 1}}))
    assert {row["source"] for row in kept(work)} == {"copy"}


@pytest.mark.parametrize("run", [lambda work: near(work, NEAR), lambda work: exact(work, EXACT)])
def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run) -> None:
    monkeypatch.setattr(corpus, "TASK", 40)
    originals, copies = planted(60, 1, seed=3)
    results = []
    for workers in (1, 3):
        work = job(
            tmp_path / str(workers), "dedup", originals + copies[:5], originals[:9] + copies, workers=workers, group=20
        )
        run(work)
        results.append({path.relative_to(work.out): path.read_bytes() for path in sorted(work.out.rglob("*.parquet"))})
    assert results[0] == results[1] and len(results[0]) > 4


def test_jaccard_and_components() -> None:
    assert jaccard(np.array([1, 2, 3]), np.array([2, 3, 4])) == 0.5
    assert components(np.array([[1, 2], [2, 9], [4, 5]])) == [[1, 2, 9], [4, 5]]
    assert components(np.empty((0, 2), np.int64)) == []
