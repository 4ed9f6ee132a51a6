"""The embedded corpora: the same bytes for the same seed, faults at their rates, benchmarks held out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from scripts.common import records
from scripts.common.artifacts import canonical_json, read_json
from scripts.common.chat.thinking import strip_thinking
from scripts.common.fingerprint import ROOT
from scripts.sources.corpora import SFT_SOURCES, VERIFIABLE, CorpusError, Synthetic
from scripts.sources.faults import FAULTS, REFUSALS, Adds
from scripts.sources.fetch import open_source
from scripts.sources.foreign import FOREIGN
from scripts.sources.normalize import Normalize, normalize
from scripts.sources.synthesize import synthesize
from scripts.sources.tasks.knowledge import question
from scripts.verify import Answer, VerifierPool

TINY = yaml.safe_load((ROOT / "scales" / "tiny.yaml").read_text())
SIZES = Synthetic.model_validate(
    TINY["synthetic"]
    | {"sft": dict.fromkeys(("math", "code", "instruction", "knowledge", "general"), 120)}
    | {"rl": dict.fromkeys(VERIFIABLE, 60), "benchmark": 45, "pretrain": 1500, "textbook": 400}
)
ADDED = {name for name, fault in FAULTS.items() if isinstance(fault, Adds)}
Row = dict[str, Any]


class Corpora:
    """The raw files of one seed as the project's own readers and adapters see them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.counts = synthesize(SIZES, seed, folder)
        self.truth: list[Row] = pq.read_table(folder / "truth.parquet").to_pylist()
        self.dropped: list[Row] = []
        self.records = {name: self._read(name, source) for name, source in TINY["sources"].items()}

    def _read(self, name: str, source: Row) -> list[Row]:
        settings = Normalize.model_validate({"name": name, "source": source})
        rows = open_source(name, settings.source, self.folder, self.folder / "work")
        return list(normalize(settings, rows, self.dropped))

    def of_role(self, role: str) -> dict[str, list[Row]]:
        return {name: rows for name, rows in self.records.items() if TINY["sources"][name]["role"] == role}

    def faults(self, fault: str) -> list[Row]:
        rows = [row for row in self.truth if row["fault"] == fault]
        assert rows, f"no {fault!r} was planted"
        return rows


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    return Corpora(tmp_path_factory.mktemp("corpora") / "one", seed=1)


def prompts(rows: list[Row]) -> list[str]:
    return [records.prompt_of(row["messages"]) for row in rows]


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


def test_a_seed_whose_chats_have_constraints_without_arguments(tmp_path: Path) -> None:
    """Parquet has no column of structs without a field, which the arguments of such constraints alone would make."""
    synthesize(Synthetic.model_validate(TINY["synthetic"]), 12, tmp_path)
    assert pq.read_schema(tmp_path / "chats.parquet").names == ["messages", "level"]


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_bytes(corpora: Corpora, tmp_path: Path) -> None:
    """In another process with another hash seed, as its rule runs it."""
    hashes = {}
    for seed in (1, 2):
        recipe = canonical_json({"settings": SIZES.model_dump(), "seed": seed})
        command = [sys.executable, "-m", "scripts.sources.synthesize", "--recipe", recipe]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)}
        subprocess.run([*command, "--out", f"{seed}/manifest.json"], cwd=tmp_path, env=environment, check=True)
        manifest = read_json(tmp_path / str(seed) / "manifest.json")
        hashes[seed] = {name: entry["sha256"] for name, entry in manifest["files"].items()}
        assert sum(manifest["counts"]["samples"].values()) == len(corpora.truth)
    assert hashes[1] == digests(corpora.folder)
    assert all(hashes[1][name] != hashes[2][name] for name in hashes[1])


def test_every_file_has_a_source_that_reads_all_its_rows(corpora: Corpora) -> None:
    files = {source["file"] for source in TINY["sources"].values() if source["kind"] == "synthetic"}
    assert files == {file.name for file in corpora.folder.iterdir() if file.name != "truth.parquet"}
    assert not corpora.dropped
    shapes = {(source["adapter"]["shape"], Path(source["file"]).suffix) for source in TINY["sources"].values()}
    assert {shape for shape, _ in shapes} == {"pair", "sharegpt", "instruction", "messages", "text"}
    assert {ending for _, ending in shapes} == {".jsonl", ".json", ".gz", ".txt", ".parquet"}


def test_sizes_are_the_configured_ones(corpora: Corpora) -> None:
    before = Counter(row["domain"] for row in corpora.truth if row["fault"] not in ADDED)
    assert before == SIZES.sft
    assert {name: len(rows) for name, rows in corpora.of_role("rl").items()} == {
        f"rl-{name}": 60 for name in VERIFIABLE
    }
    assert set(map(len, corpora.of_role("benchmark").values())) == {45}
    assert {name: len(corpora.records[name]) for name in ("texts", "dialogues", "textbook")} == {
        "texts": 450,
        "dialogues": 1050,
        "textbook": 400,
    }
    for rows in (*corpora.of_role("rl").values(), corpora.records["bench-math"]):
        levels = Counter(next(iter(json.loads(row["meta"]).values())) for row in rows)
        assert set(levels) == {1, 2, 3} and max(levels.values()) == min(levels.values())


def test_records_are_what_the_truth_says(corpora: Corpora) -> None:
    """Row by row through each source's raw shape: prompt, response and, if the source has one, the gold answer."""
    for name, rows in corpora.of_role("sft").items():
        truth = [row for row in corpora.truth if row["source"] == name]
        assert [row["row"] for row in truth] == list(range(len(rows)))
        for row, known in zip(rows, truth, strict=True):
            assert records.prompt_of(row["messages"]) == known["prompt"]
            assert records.response_of(row["messages"]) == known["response"]
            gold = TINY["sources"][name]["adapter"].get("answer", "none") == known["kind"] != "none"
            if gold:
                assert json.loads(row["answer"]["spec"]) == json.loads(known["spec"])


def test_faults_stand_at_their_stated_rates(corpora: Corpora) -> None:
    for name in SFT_SOURCES:
        rows = [row for row in corpora.truth if row["source"] == name]
        before = sum(row["fault"] not in ADDED for row in rows)
        planted = Counter(row["fault"] for row in rows if row["fault"])
        stated = {fault: round(rate * before) for fault, rate in SIZES.faults.items()}
        if not SFT_SOURCES[name].gold:  # no gold answers, so no wrong ones
            assert stated.pop("wrong") and not planted["wrong"]
        assert planted == stated
    everything = Counter(row["fault"] or "none" for row in corpora.truth)
    assert corpora.counts == everything


def test_every_fault_is_what_it_is_called(corpora: Corpora) -> None:
    clean = {(row["source"], row["prompt"]): row["response"] for row in corpora.truth if not row["fault"]}
    for row in corpora.faults("truncated"):
        assert row["response"] and row["response"][-1].isalpha()
    for row in corpora.faults("refusal"):
        assert row["response"] in REFUSALS
    for row in corpora.faults("loop"):
        assert Counter(row["response"].splitlines()).most_common(1)[0][1] > 12
    for row in corpora.faults("format"):
        opened, closed = row["response"].count("<think>"), row["response"].count("</think>")
        assert not row["response"] or opened != closed
    for row in corpora.faults("language"):
        assert any(row["prompt"].endswith(prompt) and row["response"] == response for prompt, response in FOREIGN)
    assert not {(row["source"], row["prompt"]) for row in corpora.faults("wrong")} & set(clean)


def test_wrong_answers_are_wrong_and_the_rest_is_right(corpora: Corpora) -> None:
    right = [row for row in corpora.truth if not row["fault"] and row["kind"] != "none"]
    wrong = corpora.faults("wrong")
    items = [
        (strip_thinking(row["response"]), Answer(row["kind"], json.loads(row["spec"]))) for row in [*right, *wrong]
    ]
    with VerifierPool(workers=2) as pool:
        verdicts = [verdict.correct for verdict in pool.verify_many(items)]
    assert verdicts == [True] * len(right) + [False] * len(wrong)


def test_copies_name_what_they_copy(corpora: Corpora) -> None:
    bench = {prompt for rows in corpora.of_role("benchmark").values() for prompt in prompts(rows)}
    samples = {(row["source"], row["prompt"]) for row in corpora.truth}
    for row in corpora.faults("exact"):
        assert row["prompt"] == row["of"] and (row["source"], row["of"]) in samples
        same = [other for other in corpora.truth if (other["source"], other["prompt"]) == (row["source"], row["of"])]
        assert len(same) > 1
    for row in corpora.faults("near"):
        assert row["prompt"] != row["of"] and row["prompt"].startswith(row["of"])
        assert (row["source"], row["of"]) in samples
    assert all(row["prompt"] == row["of"] in bench for row in corpora.faults("leak"))


def test_a_benchmarks_question_is_in_planted_leaks_alone(corpora: Corpora) -> None:
    bench = {question(prompt) for rows in corpora.of_role("benchmark").values() for prompt in prompts(rows)}
    assert len(bench) == 4 * 45
    others = {name: rows for name, rows in corpora.records.items() if TINY["sources"][name]["role"] != "benchmark"}
    for name, rows in others.items():
        leaks = {row["prompt"] for row in corpora.truth if row["source"] == name and row["fault"] == "leak"}
        held = {prompt for prompt in prompts(rows) if question(prompt) in bench}
        assert held <= leaks, f"{name} holds {sorted(held - leaks)[:3]}"


def test_samples_and_candidates_are_distinct_except_for_planted_copies(corpora: Corpora) -> None:
    distinct = [row["prompt"] for row in corpora.truth if row["fault"] not in ADDED]
    distinct += [prompt for rows in corpora.of_role("rl").values() for prompt in prompts(rows)]
    assert len(distinct) == len(set(distinct))


def test_thinking_has_its_stated_share(corpora: Corpora) -> None:
    for rows, share in ((corpora.records["dialogues"], SIZES.thinking), (corpora.records["textbook"], 0.5)):
        thinking = [records.response_of(row["messages"]).startswith("<think>\n") for row in rows]
        assert sum(thinking) / len(rows) == pytest.approx(share, abs=0.06)


def test_more_distinct_prompts_than_there_are_is_an_error_that_says_so(tmp_path: Path) -> None:
    greedy = SIZES.model_copy(update={"sft": {**SIZES.sft, "knowledge": 5000}})
    with pytest.raises(CorpusError, match=r"knowledge level \d has no more distinct prompts; ask for fewer items"):
        synthesize(greedy, 1, tmp_path)


def test_sources_without_gold_answers_are_those_whose_adapters_read_none() -> None:
    adapters = {name: TINY["sources"][name]["adapter"] for name in SFT_SOURCES}
    assert {name for name, source in SFT_SOURCES.items() if source.gold} == {
        name for name, adapter in adapters.items() if adapter.get("answer", "none") != "none"
    }


def test_a_fault_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"there is no fault 'wrnog': choose among wrong, truncated, .*language"):
        Synthetic.model_validate(TINY["synthetic"] | {"faults": {"wrnog": 0.1}})


def test_more_faults_than_samples_is_an_error_that_says_so(tmp_path: Path) -> None:
    damaged = SIZES.model_copy(update={"faults": {"wrong": 0.5, "truncated": 0.4, "refusal": 0.4}})
    with pytest.raises(ValueError, match="no sample is left for 'wrong'; lower the rates"):
        synthesize(damaged, 1, tmp_path)
