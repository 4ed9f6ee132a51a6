"""The documents' tables: made from the reference, the same on a second run, and those in the repository are current."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.results import readme
from scripts.results.readme import DOCUMENTS, UnknownBlock, over_seeds, rendered
from scripts.results.reference_file import Reference, path_of, read_reference
from scripts.results.snapshot import Number
from scripts.workflow.config import read

TINY = path_of("tiny")


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Every cell of the tiny scale over three seeds: row i of a table is at 40 + 10 i, and one row scatters."""
    cells: dict[int, dict[str, Number]] = {1: {}, 2: {}, 3: {}}
    for name, table in read("tiny").tables.items():
        for seed, values in cells.items():
            for position, row in enumerate(table.rows):
                value = 40.0 + 10 * position + seed + (1.5 * (seed == 2) if position == 1 else 0)
                values |= {f"{name}/{row.name}/{column}": Number(value, 2.0, 100) for column in table.columns}
    return Reference("tiny", {1: "c0ffee", 2: "c0ffee", 3: "beef"}, {}, cells)


def block(name: str, body: str = "") -> str:
    return f"Before.\n\n<!-- reference: {name} -->\n{body}<!-- end of {name} -->\n\nAfter.\n"


def test_a_block_is_replaced_and_the_rest_kept(reference: Reference) -> None:
    text = rendered(block("table opd", "| old |\n"), reference)
    assert text.startswith("Before.\n\n<!-- reference: table opd -->\n|  | IFEval strict | Math")
    assert text.endswith("<!-- end of table opd -->\n\nAfter.\n") and "old" not in text
    assert rendered(text, reference) == text


def test_values_errors_and_the_papers_figures(reference: Reference) -> None:
    lines = rendered(block("table instruct"), reference).splitlines()
    assert lines[5] == "| Baseline |" + " 41.00 ± 2.00 |" * 4 + " 41.00 ± 2.00 (paper 55.01, \N{MINUS SIGN}14.01) |"
    assert lines[-4].startswith(
        "Seed 1. Points of 100; ± is the standard error over prompts alone; training again moves"
    )


def test_claims_over_seeds_by_hand(reference: Reference) -> None:
    """opd has four rows and three seeds; the row OPD-Instruct's first teacher scatters by 1.5 in one seed. Residuals of
    a block design with one value x off: x (1 - 1/4)(1 - 1/3) = x/2 of its own; their squares add up to x^2 / 2 = 1.125,
    so by 6 degrees of freedom the error of a difference is sqrt(2 * 0.1875 / 3) = 0.3536."""
    text = rendered(block("claims by seed"), reference)
    (line,) = [line for line in text.splitlines() if "OPD is above RL on average" in line]
    assert "± 0.35 |" in line and "t(6) = " in line
    assert "over the seeds 1, 2, 3 ±" in text and "Made at commit beef, c0ffee." in text
    short = rendered(block("claims"), reference)
    assert "| measured, 3 seeds | verdict |" in short
    assert len(re.findall(r"^\| `", short, re.M)) == sum(len(table.claims) for table in read("tiny").tables.values())


def test_spread_between_seeds_by_hand(reference: Reference) -> None:
    """As above: sqrt(1.125 / 6) = 0.43 for opd, and the squares of all tables by all degrees of freedom."""
    lines = rendered(block("spread"), reference).splitlines()
    assert "| `opd` | 4 | 0.43 | 6 |" in lines
    rows = [len(table.rows) for table in read("tiny").tables.values()]
    squares = sum(1.5**2 * (1 - 1 / count) * 2 / 3 for count in rows)
    freedom = sum(2 * (count - 1) for count in rows)
    assert f"| all |  | **{(squares / freedom) ** 0.5:.2f}** | {freedom} |" in lines


def test_main_tables_come_first(reference: Reference) -> None:
    kinds = [result.kind for result in over_seeds(reference)[1]]
    assert kinds == sorted(kinds, key=lambda kind: kind != "main")


@pytest.mark.parametrize("name", ["claims", "claims by seed", "spread"])
def test_one_seed_says_what_is_missing(reference: Reference, name: str) -> None:
    alone = replace(reference, cells={1: reference.cells[1]})
    assert "The reference has one seed: `make reproduce SEEDS=3`" in rendered(block(name), alone)


def test_an_unknown_block_is_refused(reference: Reference) -> None:
    with pytest.raises(UnknownBlock, match=r"no block 'table instuct' .* there are: claims, .*table instruct"):
        rendered(block("table instuct"), reference)


def test_documents_are_written(reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    document = tmp_path / "doc.md"
    document.write_text(block("table opd", "| old |\n"))
    monkeypatch.setattr(readme, "DOCUMENTS", (document,))
    readme.update(reference)
    assert "tables written anew" in capsys.readouterr().out and "| old |" not in document.read_text()
    readme.update(reference)
    assert "unchanged" in capsys.readouterr().out


def test_every_mark_of_a_block_is_closed() -> None:
    for path in DOCUMENTS:
        text = path.read_text()
        assert len(readme.BLOCK.findall(text)) == text.count("<!-- reference:") == text.count("<!-- end of") > 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_hold_to_the_reference(path: Path) -> None:
    assert path.read_text() == rendered(path.read_text(), read_reference(TINY)), f"{path}: run `make readme`"
