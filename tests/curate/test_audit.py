"""The audit page: every benchmark counted, hits from the least overlap to the largest, nothing breaks the page."""

from __future__ import annotations

from pathlib import Path

from curation import chat, job, write

from scripts.common import records
from scripts.common.artifacts import open_artifact, write_manifest
from scripts.curate.audit import evenly_spaced, page
from scripts.curate.decontaminate import decontaminate
from scripts.curate.settings.audit import Audit
from scripts.curate.settings.decontaminate import Decontaminate

SETTINGS = Decontaminate(step="decontaminate", ngram=5, minimum_words=3, threshold=0.5, template_items=3)
FOX = "The quick brown fox jumps over the lazy dog near the old river bank"
SHOP = "In a small shop {} apples lie in a basket and {} pears beside it. How many pieces of fruit lie there in all?"


def test_evenly_spaced_takes_both_ends() -> None:
    assert evenly_spaced(list(range(9)), 3) == [0, 4, 8]
    assert evenly_spaced([1, 2], 3) == [1, 2] and evenly_spaced(list(range(9)), 1) == [0]


def test_the_page_counts_and_shows_hits_and_templates(tmp_path: Path) -> None:
    items = [chat(FOX, "`Yes`\n# no", source="bench")]
    items += [chat(SHOP.format(a, b), source="shop") for a, b in ("12", "34", "56", "78")]
    whole, half = chat(f"So: {FOX}", "Yes."), chat(" ".join(FOX.split()[:9]), "Hm.")
    raw = write(tmp_path / "raw" / "records", items)
    write_manifest(raw.parent, {})
    work = job(tmp_path / "pools" / "sft", "decontaminate", [whole, half, chat(SHOP.format(20, 30), "50")])
    write_manifest(work.out, decontaminate(work, SETTINGS, (raw,)))
    pool = open_artifact(work.out / "manifest.json")
    text = page([pool], [open_artifact(raw.parent / "manifest.json")], Audit())
    assert "| sft | bench | 1 | 2 | 0 |" in text and "| sft | shop | 4 | 0 | 1 |" in text
    assert text.index(f"bench {items[0]['id']}, prompt: 50%") < text.index(f"bench {items[0]['id']}, prompt: 100%")
    assert f"in a {half['id']}" in text and f"in a {whole['id']}" in text
    assert f"- matching: `{FOX.lower()}`" in text and f"- benchmark: `{FOX}`" in text
    assert "## sft: kept, only a template is shared" in text and "pears beside it how many" in text
    short = page([pool], [open_artifact(raw.parent / "manifest.json")], Audit(samples=1, characters=10))
    assert "prompt: 50%" in short and "prompt: 100%" not in short and "`The quick ` ... 57 characters more" in short


def test_no_hit_is_a_page_too(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw" / "records", [chat(FOX, source="bench")])
    write_manifest(raw.parent, {})
    work = job(tmp_path / "pools" / "sft", "decontaminate", [])
    write_manifest(work.out, decontaminate(work, SETTINGS, (raw,)))
    assert records.read(work.out / "whitelisted") == []
    text = page([open_artifact(work.out / "manifest.json")], [open_artifact(raw.parent / "manifest.json")], Audit())
    assert "| sft | bench | 1 | 0 | 0 |" in text and "##" not in text
