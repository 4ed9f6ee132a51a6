"""Train the fastText classifier of domains, and measure it on held-out texts.

The texts are prompts of records whose source states their domain, or whose source `labels` gives one.
One thread on zeroed memory: then the model is the same bytes every time.

python -m scripts.curate.train_classifier --recipe JSON --sources MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import ctypes
import hashlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import nsmallest
from pathlib import Path
from typing import Any, NamedTuple

import fasttext

from scripts.common.records import RECORDS
from scripts.common.step import step
from scripts.curate.classifier import LABEL, MODEL, best, domain_view
from scripts.curate.corpus import CurationError, open_corpus
from scripts.curate.settings.classifier import FastText

M_PERTURB = -6  # of malloc.h


class Labelled(NamedTuple):
    """A cleaned text and what it is."""

    label: str
    text: str


def labelled_domains(records: Iterable[dict[str, Any]], settings: FastText) -> Iterator[Labelled]:
    """The prompts of the records whose domain is stated."""
    for record in records:
        label = record["domain"] or settings.labels.get(record["source"])
        if label:
            yield Labelled(label, domain_view(record))


def split(texts: Iterable[Labelled], seed: int, settings: FastText) -> tuple[list[Labelled], list[Labelled]]:
    """Training and held-out texts: no text twice, none in both, in an order drawn by the seed.

    Of each label no more than twice `per_label` texts are in memory, whatever the corpus.
    """
    found: dict[str, dict[bytes, str]] = defaultdict(dict)
    for label, text in texts:
        if text:
            found[label][hashlib.sha256(f"{seed}\0{text}".encode()).digest()] = text
            if settings.per_label and len(found[label]) >= 2 * settings.per_label:
                found[label] = _first(found[label], settings.per_label)
    held: list[Labelled] = []
    training: list[Labelled] = []
    for draw, label, text in sorted(
        (draw, label, text)
        for label, drawn in found.items()
        for draw, text in _first(drawn, settings.per_label or len(drawn)).items()
    ):
        (held if draw[-1] < settings.held_out * 256 else training).append(Labelled(label, text))
    if len({item.label for item in training}) < 2 or not held:
        raise CurationError(
            f"{len(training)} training and {len(held)} held-out texts of {sorted(found)}: a classifier needs two "
            "labels and something held out. Give sources of more kinds, `labels`, or another `held_out`"
        )
    return training, held


def _first(drawn: dict[bytes, str], count: int) -> dict[bytes, str]:
    """The texts of the least draws."""
    return dict(nsmallest(count, drawn.items()))


def train(training: list[Labelled], seed: int, settings: FastText, path: Path) -> None:
    """Write the model to `path`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        for item in training:
            file.write(f"{LABEL}{item.label} {item.text}\n")
        file.flush()
        with zeroed_memory():
            model = fasttext.train_supervised(
                input=file.name,
                epoch=settings.epochs,
                lr=settings.learning_rate,
                dim=settings.dimension,
                wordNgrams=settings.word_ngrams,
                bucket=settings.buckets,
                thread=1,
                seed=seed,
                verbose=0,
            )
    model.save_model(str(path))


@contextmanager
def zeroed_memory() -> Iterator[None]:
    """Memory that is allocated inside is all zeros (glibc's M_PERTURB).

    With fewer than ten threads fastText leaves nine tenths of its input matrix as the allocator gave it
    (facebookresearch/fastText issue 1061): another model every time, or "Encountered NaN".
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        raise CurationError("fastText can only be trained reproducibly with glibc: run this step on Linux") from None
    mallopt(M_PERTURB, 0xFF)  # fills with the complement of this byte
    try:
        yield
    finally:
        mallopt(M_PERTURB, 0)


def evaluate(path: Path, held: list[Labelled]) -> dict[str, Any]:
    """Accuracy and confusion (true label, then predicted one) on the held-out texts."""
    confusion: dict[str, Counter[str]] = {}
    for item in held:
        confusion.setdefault(item.label, Counter())[best(path, item.text)] += 1
    right = sum(row[label] for label, row in confusion.items())
    return {
        "held_out": len(held),
        "accuracy": right / len(held),
        "confusion": {label: dict(sorted(row.items())) for label, row in sorted(confusion.items())},
    }


def main() -> None:
    with step(__spec__, inputs=("sources",), settings=FastText) as run:
        settings = run.settings
        corpus = open_corpus(item.folder / RECORDS for item in run.inputs["sources"])
        records = corpus.iterate(["source", "domain", "messages"])
        training, held = split(labelled_domains(records, settings), run.seed, settings)
        train(training, run.seed, settings, run.out / MODEL)
        labels = Counter(item.label for item in training)
        run.counts |= {"training": dict(sorted(labels.items())), **evaluate(run.out / MODEL, held)}


if __name__ == "__main__":
    main()
