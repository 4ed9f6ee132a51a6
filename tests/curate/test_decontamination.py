"""Decontamination: hits with their item and words, templates that are none, and bad rows that shift nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from curation import Row, chat, dropped, job, kept, record, write

from scripts.common import records
from scripts.curate.corpus import CurationError
from scripts.curate.decontaminate import WHITELISTED, build, decontaminate, tokens
from scripts.curate.settings.decontaminate import Decontaminate

SETTINGS = Decontaminate(step="decontaminate", ngram=5, minimum_words=3, threshold=0.5, template_items=3)
FOX = "The quick brown fox jumps over the lazy dog near the old river bank"  # 14 words, ten 5-grams


def run(root: Path, rows: list[Row], benchmark: list[Row], **changes: Any) -> tuple[Any, dict[str, Any]]:
    folder = write(root / "benchmark", benchmark)
    work = job(root, "decontaminate", rows)
    return work, decontaminate(work, SETTINGS.model_copy(update=changes), (folder,))


def test_a_hit_names_benchmark_item_words_and_share(tmp_path: Path) -> None:
    items = [
        chat("Where does the sun rise in the morning, and where does it set?", source="bench"),
        chat(FOX, source="bench"),
    ]
    leaked = chat(f"Tell me: {FOX.upper()}! Is this true?", "Yes.")
    work, counts = run(tmp_path, [chat("Something else entirely, about no animal at all.", "No."), leaked], items)
    (row,) = dropped(work)
    hit = {name: row[name] for name in ("reason", "benchmark", "benchmark_id", "benchmark_text", "overlap", "matched")}
    assert hit == {
        "reason": "contaminated",
        "benchmark": "bench",
        "benchmark_id": items[1]["id"],
        "benchmark_text": "prompt",
        "overlap": 1.0,
        "matched": FOX.lower(),
    }
    assert counts["hits"] == {"bench": 1} and counts["whitelisted"] == {}
    assert [row["id"] for row in kept(work)] != [leaked["id"]] and len(kept(work)) == 1


@pytest.mark.parametrize(("words", "hit"), [(9, True), (8, False)])
def test_the_threshold_is_a_share_of_the_items_ngrams(tmp_path: Path, words: int, hit: bool) -> None:
    # The first 9 words hold five of the ten 5-grams, the first 8 hold four.
    part = " ".join(FOX.split()[:words])
    work, counts = run(tmp_path, [chat(part, "a")], [chat(FOX, source="bench")])
    assert counts["kept"] == (0 if hit else 1)
    if hit:
        assert dropped(work)[0]["overlap"] == 0.5 and dropped(work)[0]["matched"] == part.lower()


def test_a_leak_in_the_response_and_a_leaked_solution(tmp_path: Path) -> None:
    solution = "First take the square of every side and then add all of them together"
    items = [chat(FOX, source="bench"), chat("What next?", solution, source="bench")]
    work, counts = run(tmp_path, [chat("Write something.", FOX), chat("How?", solution + ".")], items)
    assert [row["benchmark_text"] for row in dropped(work)] == ["prompt", "response"]
    assert counts["index"]["texts"] == {"bench": 3}


TEMPLATE = (
    "In a small shop {} apples lie in a basket and {} pears beside it. How many pieces of fruit lie there in all?"
)
NAMED = [("two", "three"), ("four", "five"), ("six", "seven"), ("eight", "nine")]


def test_a_shared_template_is_whitelisted_and_counted(tmp_path: Path) -> None:
    items = [chat(TEMPLATE.format(*pair), source="bench") for pair in NAMED]
    fresh, leak = chat(TEMPLATE.format("ten", "twelve"), "22"), chat(TEMPLATE.format("four", "five"), "9")
    work, counts = run(tmp_path, [fresh, leak], items)
    assert [row["id"] for row in kept(work)] == [fresh["id"]]
    assert [row["benchmark_id"] for row in dropped(work)] == [items[1]["id"]]
    assert counts["whitelisted"] == {"bench": 1} and counts["index"]["templates"] > 0
    (saved,) = records.read(work.out / WHITELISTED)
    assert saved["id"] == fresh["id"] and "pears beside it how many" in saved["matched"] and saved["overlap"] >= 0.5


def test_without_the_whitelist_the_template_would_be_a_false_alarm(tmp_path: Path) -> None:
    items = [chat(TEMPLATE.format(*pair), source="bench") for pair in NAMED]
    _, counts = run(tmp_path, [chat(TEMPLATE.format("ten", "twelve"), "22")], items, template_items=100)
    assert counts["kept"] == 0


def test_the_same_item_in_many_benchmarks_is_no_template(tmp_path: Path) -> None:
    items = [chat(FOX, source=f"bench-{index}") for index in range(5)]
    _, counts = run(tmp_path, [chat(f"Consider: {FOX}", "a")], items)
    assert counts["hits"] == {"bench-0": 1} and counts["index"]["templates"] == 0


def test_nulls_and_empty_prompts_shift_no_row(tmp_path: Path) -> None:
    items = [record(None, "bench"), chat(None, source="bench"), chat("", source="bench"), chat(FOX, source="bench")]
    items += [chat(" ?!", source="bench")]
    rows = [record(None), chat(None, None), chat("", ""), chat(FOX, "a"), record([None]), chat("?!", "b")]
    work, counts = run(tmp_path, rows, items)
    assert counts["in"] == 6 and counts["kept"] == 5
    assert [(row["id"], row["benchmark_id"]) for row in dropped(work)] == [(rows[3]["id"], items[3]["id"])]
    assert counts["index"]["texts"] == {"bench": 1}


def test_repeated_ids_in_the_benchmark_are_no_matter(tmp_path: Path) -> None:
    first, second = chat("Nothing of the kind is here, nor anywhere else.", source="bench"), chat(FOX, source="bench")
    work, _ = run(tmp_path, [chat(FOX, "a")], [first | {"id": "same"}, second | {"id": "same"}])
    assert dropped(work)[0]["benchmark_id"] == "same" and dropped(work)[0]["matched"] == FOX.lower()


def test_short_items_are_found_as_a_whole(tmp_path: Path) -> None:
    items = [chat("What is 12 + 30?", source="bench"), chat("Why so?", source="bench")]
    rows = [
        chat("Please: what is 12 + 30?", "42"),  # the item's five words in a row
        chat("What is 12 - 30?", "-18"),  # operators are words
        chat("What is 12 + 31?", "43"),
        chat("why so", "x"),  # two words: only as the whole prompt
        chat("Why so slow?", "x"),
    ]
    work, _ = run(tmp_path, rows, items)
    assert [row["id"] for row in dropped(work)] == [rows[0]["id"], rows[3]["id"]]


DIVISORS = "How many positive divisors does 196 have in total?"  # nine words: too few for n-grams
BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
ALPACA = (
    "Below is an instruction that describes a task. Write a response that completes the request.\n\n### Instruction:\n"
)


@pytest.mark.parametrize(
    ("prompt", "hit"),
    [
        (f"Question: {DIVISORS}\nAnswer:", True),
        (f"{DIVISORS}\n{BOXED}", True),
        (f"{ALPACA}{DIVISORS}\n\n### Response:", True),
        (f"**{DIVISORS.upper()}**", True),
        ("How many positive divisors does 198 have in total?", False),
        (f"{FOX}. {FOX}. {FOX}. {DIVISORS} {FOX}.", False),  # an exam of other questions
        ("How many positive divisors does 196 have?", False),
        (DIVISORS.replace("?", " and how many of them are odd?"), False),  # goes on: another question
        (f"I wonder {DIVISORS}", False),
    ],
)
def test_a_short_item_is_found_under_a_template(tmp_path: Path, prompt: str, hit: bool) -> None:
    _, counts = run(tmp_path, [chat(prompt, "9")], [chat(DIVISORS, source="bench")], minimum_words=13)
    assert counts["kept"] == (0 if hit else 1)


FORMULA = (
    "Let $f(x) = \\frac{x+1}{x-1} + \\binom{4}{2}$ for all $x \\leq 1{,}000$. Find the sum of all roots in $[-5, 5]$."
)


@pytest.mark.parametrize(
    "spelling",
    [
        FORMULA.replace("\\frac", "\\dfrac").replace("\\binom", "\\tbinom"),
        FORMULA.replace("[-5, 5]", "\\left[ -5, 5 \\right]"),
        FORMULA.replace("\\leq", "\u2264").replace("1{,}000", "1000"),
        FORMULA.replace("\\leq", "\\le").replace("1{,}000", "1,000"),
        FORMULA.replace("for all", "**for all**").replace("sum", "\\textbf{sum}"),
    ],
)
def test_spellings_of_a_formula_are_one(tmp_path: Path, spelling: str) -> None:
    work, _ = run(tmp_path, [chat(spelling, "9")], [chat(FORMULA, source="bench")], ngram=8, minimum_words=13)
    assert dropped(work)[0]["overlap"] == 1.0


def test_a_benchmark_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CurationError, match="nothing to decontaminate against: 1 benchmarks"):
        run(tmp_path, [chat("q", "a")], [record(None, "bench")])
    with pytest.raises(CurationError, match="leave the step out of the pool"):
        decontaminate(job(tmp_path / "none", "decontaminate", [chat("q", "a")]), SETTINGS, ())


def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.curate.corpus.TASK", 5)
    items = [chat(TEMPLATE.format(*pair), source="bench") for pair in NAMED]
    rows = [chat(TEMPLATE.format(*pair), "a") for pair in [*NAMED, ("ten", "two")] * 6]
    results = []
    for workers in (1, 2):
        root = tmp_path / str(workers)
        folder = write(root / "benchmark", items)
        work = job(root, "decontaminate", rows, workers=workers, group=5)
        decontaminate(work, SETTINGS, (folder,))
        results.append({path.relative_to(work.out): path.read_bytes() for path in work.out.rglob("*.parquet")})
    assert results[0] == results[1] and len(results[0]) > 6


def test_tokens_and_sizes() -> None:
    assert tokens("It's $x^{2} + 3\\cdot y$ (OK?)") == ["it", "s", "x", "^", "2", "+", "3", "cdot", "y", "ok"]
    index = build([chat(FOX, source="bench")], SETTINGS)
    assert index.sizes == [10] and index.own_sizes == [10] and index.lengths == {5}
