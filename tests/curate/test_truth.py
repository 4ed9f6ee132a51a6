"""Precision and recall of every filter on the faults that the generator plants, at the scale's own thresholds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from scripts.common import records
from scripts.curate import classifier, views
from scripts.curate.classify import ADDED, DomainClassifier
from scripts.curate.corpus import open_corpus
from scripts.curate.decontaminate import decontaminate, tokens
from scripts.curate.exact_dedup import deduplicate as exact
from scripts.curate.format import FormatFilter
from scripts.curate.job import Job
from scripts.curate.language import HIT, LanguageFilter
from scripts.curate.length import LengthFilter
from scripts.curate.near_dedup import deduplicate as near
from scripts.curate.pii import HIT as FOUND
from scripts.curate.pii import PiiFilter
from scripts.curate.pools import Pool
from scripts.curate.refusal import RefusalFilter
from scripts.curate.repetition import RepetitionFilter
from scripts.curate.settings.classifier import Classifiers
from scripts.curate.train_classifier import labelled_domains, split, train
from scripts.curate.truncation import TruncationFilter
from scripts.sources.corpora import Synthetic
from scripts.sources.fetch import open_source
from scripts.sources.normalize import Normalize, normalize
from scripts.sources.synthesize import synthesize

TINY = yaml.safe_load((Path(__file__).resolve().parents[2] / "scales" / "tiny.yaml").read_text())
ENCODING = {"mojibake", "damaged-encoding"}
PLANTED = TINY["synthetic"]["faults"] | {"encoding": 0.03, "pii": 0.03}  # what the scale plants, and two more
SAMPLES, ITEMS = 400, 80  # samples a domain, items a benchmark
Key = tuple[str, str, str]


def key(source: str, prompt: str, response: str) -> Key:
    return source, prompt.strip(), response.strip()


def key_of(record: dict[str, Any]) -> Key:
    return key(record["source"], views.prompt(record), views.response(record))


@dataclass
class Curated:
    """A pool that went through all its steps, and what was planted in it."""

    truth: list[dict[str, Any]]
    benchmarks: list[str]
    """The prompts of all items."""
    dropped: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def faults(self, fault: str) -> list[dict[str, Any]]:
        return [row for row in self.truth if row["fault"] == fault]

    def score(self, step: str, fault: str) -> tuple[float, float]:
        """Precision and recall of a step for a fault it is there for (damaged text goes for reasons of its own)."""
        planted = Counter(key(row["source"], row["prompt"], row["response"]) for row in self.faults(fault))
        dropped = [row for row in self.dropped[step] if (row["reason"] in ENCODING) == (fault == "encoding")]
        found = Counter(key_of(row) for row in dropped)
        right = (planted & found).total()
        return right / found.total(), right / planted.total()


def raw_sources(root: Path) -> dict[str, Path]:
    """The records of every SFT source and benchmark of the scale, made from its own generator."""
    sizes = Synthetic.model_validate(TINY["synthetic"])
    small = {"sft": dict.fromkeys(sizes.sft, SAMPLES), "rl": dict.fromkeys(sizes.rl, 5), "pretrain": 5, "textbook": 5}
    files = root / "synthetic"
    files.mkdir()
    synthesize(sizes.model_copy(update={**small, "benchmark": ITEMS, "faults": PLANTED}), 1, files)
    found = {}
    for name, source in TINY["sources"].items():
        if source["role"] in ("sft", "benchmark"):
            settings = Normalize.model_validate({"name": name, "source": source})
            rows = normalize(settings, open_source(name, settings.source, files, root / "work"), [])
            found[name] = root / name
            records.write(found[name], rows)
    return found


def domain_model(root: Path, sources: list[Path]) -> Path:
    """The classifier of domains, trained as the scale says."""
    settings = Classifiers.model_validate(TINY["classifiers"]).domain
    rows = open_corpus(sources).iterate(["source", "domain", "messages"])
    training, _ = split(labelled_domains(rows, settings), 1, settings)
    train(training, 1, settings, root / "domain.bin")
    return root / "domain.bin"


def runners(model: Path, benchmarks: tuple[Path, ...]) -> dict[str, Callable[[Job, Any], Any]]:
    """What each step does to a job, as its module's `main` has it."""
    return {
        "format": lambda job, s: job.filter(FormatFilter(s), views.whole),
        "language": lambda job, s: job.filter(LanguageFilter(s), views.whole, hit=HIT),
        "length": lambda job, s: job.filter(LengthFilter(s), views.whole),
        "refusal": lambda job, s: job.filter(RefusalFilter(s), views.final_answer),
        "repetition": lambda job, s: job.filter(RepetitionFilter(s), views.response),
        "pii": lambda job, s: job.filter(PiiFilter(s), views.whole, hit=FOUND),
        "truncation": lambda job, s: job.filter(TruncationFilter(s), views.final_answer),
        "exact-dedup": exact,
        "near-dedup": near,
        "decontaminate": lambda job, s: decontaminate(job, s, benchmarks),
        "classify": lambda job, s: job.filter(DomainClassifier(s, model), views.prompt, added=ADDED),
    }


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Curated]:
    root = tmp_path_factory.mktemp("truth")
    sources = raw_sources(root)
    steps = TINY["pools"]["sft"]["steps"]
    pool = Pool.model_validate({**TINY["pools"]["sft"], "steps": [steps[0], {"step": "pii"}, *steps[1:]]})
    folders = [sources[name] for name in pool.sources]
    benchmarks = tuple(sources[name] for name in sources if TINY["sources"][name]["role"] == "benchmark")
    run = runners(domain_model(root, folders), benchmarks)
    prompts = [views.prompt(row) for folder in benchmarks for row in records.iterate(folder)]
    result = Curated(pq.read_table(root / "synthetic" / "truth.parquet").to_pylist(), prompts)
    for settings in pool.steps:
        out = root / "pool" / settings.step
        run[settings.step](Job(settings.step, open_corpus(folders), root / "work" / settings.step, 1, out), settings)
        folders = [out / records.RECORDS]
        result.kept[settings.step] = records.read(out / records.RECORDS)
        result.dropped[settings.step] = records.read(out / records.DROPPED)
    yield result


@pytest.mark.parametrize(
    ("step", "fault", "precision", "recall"),
    [
        ("format", "format", 1.0, 1.0),
        ("format", "encoding", 1.0, 1.0),
        ("pii", "pii", 1.0, 1.0),
        ("language", "language", 0.97, 0.95),
        ("refusal", "refusal", 1.0, 1.0),
        ("repetition", "loop", 0.95, 0.95),
        ("truncation", "truncated", 0.95, 0.6),  # some cut responses look finished: `5 + 3 = 8\nAnsw`
    ],
)
def test_precision_and_recall(curated: Curated, step: str, fault: str, precision: float, recall: float) -> None:
    found = curated.score(step, fault)
    assert found[0] >= precision and found[1] >= recall, f"precision and recall {found}"


def test_no_leaked_prompt_is_left_and_what_goes_holds_an_item(curated: Curated) -> None:
    left = {views.prompt(row) for row in curated.kept["decontaminate"]}
    leaked = {row["prompt"] for row in curated.faults("leak")}
    assert len(curated.faults("leak")) > 20 and not left & leaked
    texts = [" ".join(tokens(prompt)) for prompt in curated.benchmarks]
    for row in curated.dropped["decontaminate"]:  # a leak as planted, or an item's whole text among other words
        whole = " ".join(tokens(views.prompt(row)))
        assert views.prompt(row) in leaked or any(text in whole for text in texts), row["matched"]


def test_every_exact_copy_is_found_and_nothing_else(curated: Curated) -> None:
    ids = {row["id"]: row for row in curated.kept["exact-dedup"]}
    for row in curated.dropped["exact-dedup"]:
        kept = ids[row["duplicate_of"]]
        assert (views.prompt(row), views.response(row)) == (views.prompt(kept), views.response(kept))
    left = Counter((views.prompt(row), views.response(row)) for row in curated.kept["exact-dedup"])
    assert len(curated.dropped["exact-dedup"]) > 30 and set(left.values()) == {1}


def test_near_copies(curated: Curated) -> None:
    """A near copy adds one to four words to a prompt of five to forty, so it is hardly more like its original than
    another question of the same template. At a threshold that takes half of them, what goes has the same answer."""
    before = {(views.prompt(row), views.response(row)) for row in curated.kept["exact-dedup"]}
    after = {(views.prompt(row), views.response(row)) for row in curated.kept["near-dedup"]}
    pairs = [((row["of"], row["response"]), (row["prompt"], row["response"])) for row in curated.faults("near")]
    pairs = [pair for pair in pairs if set(pair) <= before]
    assert len(pairs) > 20
    assert sum(not set(pair) <= after for pair in pairs) / len(pairs) >= 0.4
    answers = {row["prompt"]: row["spec"] for row in curated.truth}
    prompts = {row["id"]: views.prompt(row) for row in curated.kept["near-dedup"]}
    dropped = curated.dropped["near-dedup"]
    same = sum(answers[views.prompt(row)] == answers[prompts[row["duplicate_of"]]] for row in dropped)
    assert same / len(dropped) >= 0.85


def test_what_is_dropped_in_all_is_mostly_planted(curated: Curated) -> None:
    clean = {key(row["source"], row["prompt"], row["response"]) for row in curated.truth if not row["fault"]}
    left = {key_of(row) for row in curated.kept["classify"]}
    assert len(clean & left) / len(clean) >= 0.85


def test_the_classifier_finds_the_domains_of_the_mixed_source(curated: Curated) -> None:
    truth = {key(row["source"], row["prompt"], row["response"]): row["domain"] for row in curated.truth}
    judged = [row for row in curated.kept["classify"] if row["domain_probability"] is not None]
    right = sum(row["domain"] == truth[key_of(row)] for row in judged)
    assert len(judged) > 100 and right / len(judged) >= 0.95
    assert {row["domain"] for row in judged} == {"math", "code", "instruction", "knowledge", "general"}


def test_the_truth_file_names_all_faults(curated: Curated) -> None:
    assert {row["fault"] for row in curated.truth} >= set(PLANTED)
    assert all(json.loads(row["spec"]) is not None for row in curated.truth)
    assert classifier.MODEL == "model.bin"
