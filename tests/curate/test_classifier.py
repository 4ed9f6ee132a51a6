"""The fastText classifier of domains: same bytes, honest accuracy, and what the step does with it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curation import chat, job, kept, record, write

from scripts.common.artifacts import read_json, write_manifest
from scripts.curate import classifier, views
from scripts.curate.classify import ADDED, DomainClassifier
from scripts.curate.corpus import CurationError
from scripts.curate.settings.classifier import FastText
from scripts.curate.settings.classify import Classify
from scripts.curate.train_classifier import (
    Labelled,
    evaluate,
    labelled_domains,
    split,
    train,
)

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = FastText(epochs=20, learning_rate=0.5, dimension=8, buckets=10_000, held_out=0.2)


def test_split_is_disjoint_and_capped() -> None:
    rows = [chat(f"word{index} word", domain="math" if index % 2 else "code") for index in range(200)]
    training, held = split(labelled_domains([*rows, *rows], DOMAINS), 1, DOMAINS)
    assert not set(training) & set(held) and len(set(training)) == len(training)


@pytest.mark.parametrize("count", [30, 7_000])
def test_split_holds_no_more_than_it_takes(count: int) -> None:
    def texts() -> Iterator[Labelled]:
        return (Labelled("ab"[index % 2], f"{index % 20_000} " * 100) for index in range(30_000))

    everything = [item for part in split(texts(), 1, DOMAINS) for item in part]
    order = sorted(everything, key=lambda item: hashlib.sha256(f"1\0{item.text}".encode()).digest())
    tracemalloc.start()
    capped = split(texts(), 1, DOMAINS.model_copy(update={"per_label": count}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first = [item for label in "ab" for item in [item for item in order if item.label == label][:count]]
    assert sorted(item for part in capped for item in part) == sorted(first) and len(first) == 2 * count
    assert peak < 4 * count * 1_500  # bytes: two labels, twice as many texts of 600 characters and their draws


def test_one_label_cannot_be_trained() -> None:
    with pytest.raises(CurationError, match="needs two labels"):
        split(labelled_domains([chat(f"w{index}") for index in range(50)], DOMAINS), 1, DOMAINS)


def domain_rows(count: int) -> list[dict[str, Any]]:
    rng = random.Random(0)
    names = ["".join(rng.choices("abdefgiklmnorstu", k=5)) for _ in range(count)]
    math = [f"Add {rng.randint(1, 99)} {name} to {rng.randint(1, 99)}: how many are there?" for name in names]
    code = [f"Write a Python function f{index} that returns x plus {index}." for index in range(count)]
    return [chat(text, source="m", domain="math") for text in math] + [
        chat(text, source="c", domain="code") for text in code
    ]


def test_domains_fill_the_gaps_and_drop_nothing(tmp_path: Path) -> None:
    model = tmp_path / classifier.MODEL
    training, held = split(labelled_domains(domain_rows(100), DOMAINS), 1, DOMAINS)
    train(training, 1, DOMAINS, model)
    assert evaluate(model, held)["accuracy"] == 1.0
    rows = [chat("Write a Python function g that returns x minus 3.", domain=""), chat("Add 3 apples to 4.", domain="")]
    rows += [chat("Write a Python function.", domain="knowledge"), record(None, domain="")]
    work = job(tmp_path, "classify", rows)
    counts = work.filter(DomainClassifier(Classify(step="classify", threshold=0.6), model), views.prompt, added=ADDED)
    assert counts == {"in": 4, "kept": 4, "dropped": {}}
    found = kept(work)
    assert [row["domain"] for row in found[:3]] == ["code", "math", "knowledge"]  # what the source says stands
    assert found[0]["domain_probability"] > 0.6 and found[2]["domain_probability"] is None
    assert found[3]["domain"] == "general"  # nothing to judge by


@pytest.mark.parametrize("buckets", [1_000, 50_000])
def test_training_twice_in_one_process_gives_the_same_bytes(tmp_path: Path, buckets: int) -> None:
    # Nine tenths of the matrix are what used memory held, unless it is zeroed: 12 models of 12 differed.
    settings = DOMAINS.model_copy(update={"buckets": buckets})
    training, _ = split(labelled_domains(domain_rows(60), settings), 1, settings)
    paths = [tmp_path / f"{index}.bin" for index in range(4)]
    for path in paths:
        train(training, 1, settings, path)
    assert len({path.read_bytes() for path in paths}) == 1


def test_the_step_makes_the_same_bytes_twice(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "records", domain_rows(60))
    write_manifest(tmp_path / "raw", {})
    recipe = json.dumps({"settings": DOMAINS.model_dump(mode="json"), "seed": 1})
    for name in ("one", "two"):
        command = [sys.executable, "-m", "scripts.curate.train_classifier", "--recipe", recipe]
        command += [
            "--sources",
            str(tmp_path / "raw" / "manifest.json"),
            "--out",
            str(tmp_path / name / "manifest.json"),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("one", "two")]
    assert manifests[0] == manifests[1]
    counts = read_json(tmp_path / "one" / "manifest.json")["counts"]
    assert counts["accuracy"] == 1.0 and set(counts["confusion"]) == {"math", "code"}


def test_cleaning() -> None:
    assert classifier.domain_text("Add 12 and 7!") == "add 0 and 0 !"
