"""Tables: assembly, verdicts by hand, the four forms, several seeds, the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from scripts.common.artifacts import check
from scripts.tables import seeds, table, terminal
from scripts.tables.cells import CellError
from scripts.tables.render import latex, markdown, p_value, signed, tidy_csv
from scripts.tables.results import Result, read_result
from scripts.tables.seeds import SeedsError, combine
from scripts.tables.settings import Table
from scripts.tables.statistics import mean_and_sd, paired_t_test, z_test
from tests.tables.tiny_results import INSTRUCT, make_tables

TABLES = Path("results/tiny/tables")


@pytest.fixture
def result(project: Path) -> Result:
    return read_result(TABLES / "instruct.json")


def test_z_by_hand() -> None:
    """60 ± 3 against 50 ± 4: z = 10 / 5 = 2, two-sided p = 0.0455."""
    found = z_test((60.0, 3.0), (50.0, 4.0))
    assert (found.difference, found.stderr, found.test, found.verdict) == (10.0, 5.0, "z = 2.00", "seen")
    assert found.p == pytest.approx(0.0455003, abs=1e-6)


@pytest.mark.parametrize(
    ("better", "worse", "verdict"),
    [
        ((59.7, 3.0), (50.0, 4.0), "within noise"),  # z = 1.94, p = 0.0524
        ((50.0, 3.0), (60.0, 4.0), "not seen"),
        ((50.0, 0.0), (50.0, 0.0), "within noise"),
        ((100.0, 0.0), (0.0, 0.0), "seen"),
    ],
)
def test_verdicts_of_one_seed(better, worse, verdict: str) -> None:
    assert z_test(better, worse).verdict == verdict


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, sd 1, t = 2 / (1 / sqrt 3) = 3.4641; p from the closed form for 2 df."""
    found = paired_t_test([11.0, 12.0, 13.0], [10.0, 10.0, 10.0])
    t = math.sqrt(12)
    assert found.stderr == pytest.approx(1 / math.sqrt(3))
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert (found.difference, found.test, found.verdict) == (2.0, "paired t(2) = 3.46", "within noise")


def test_paired_t_uses_the_pairs() -> None:
    """A steady gain of about 1 is seen although the seeds themselves spread over 40 points."""
    assert paired_t_test([11.0, 31.1, 51.0], [10.0, 30.0, 50.1]).verdict == "seen"
    assert paired_t_test([51.0, 11.0, 31.1], [10.0, 30.0, 50.1]).verdict == "within noise"


def test_mean_and_sd_by_hand() -> None:
    assert mean_and_sd([2.0, 4.0, 9.0]) == (5.0, pytest.approx(math.sqrt(13)))
    with pytest.raises(ValueError, match="at least two seeds"):
        mean_and_sd([1.0])


def test_table_of_one_seed(result: Result) -> None:
    assert result.columns == {"ifeval": "IFEval-style constraints", "math": "Arithmetic", "average": "average"}
    assert (result.seeds, result.spread) == ((1,), "standard error over prompts")
    entry = result.row("ins-grpo").cells["average"]
    assert (entry.value, entry.reported, entry.sd) == (70.0, 61.85, None)
    assert entry.difference == pytest.approx(8.15)
    assert result.row("base").cells["average"].reported is None


def test_claims_by_hand(result: Result) -> None:
    """70 ± 7.2548 against 52.5 ± 8.0907: 17.5 / 10.867 = 1.61. 50 ± 11.471 against 20 ± 9.1766: 30 / 14.690 = 2.04."""
    grpo, sft = result.claims
    assert (grpo.difference, grpo.test, grpo.verdict, grpo.reported) == (17.5, "z = 1.61", "within noise", 0.86)
    assert grpo.p == pytest.approx(0.1073, abs=2e-4)
    assert (sft.test, sft.verdict) == ("z = 2.04", "seen")
    (reverse,) = read_result(TABLES / "stages.json").claims
    assert (reverse.difference, reverse.verdict) == (-30.0, "not seen")


def test_all_four_forms_are_whole_artifacts(project: Path) -> None:
    for ending in ("json", "md", "csv", "tex"):
        assert check(TABLES / f"instruct.{ending}") == []


def test_markdown(project: Path) -> None:
    text = (TABLES / "instruct.md").read_text().splitlines()
    assert text[:4] == [
        "# Instruct: three SFT stages, then GRPO",
        "",
        "|  | IFEval-style constraints | Arithmetic | average |",
        "| :-- | --: | --: | --: |",
    ]
    assert text[6] == "| + GRPO | 80.00 ± 9.18 | 60.00 ± 11.24 | 70.00 ± 7.25 (paper 61.85, +8.15) |"
    assert "Points of 100; ± is the standard error over prompts." in text
    assert text[-2:] == [
        "- **within noise**: GRPO is above SFT (+17.50 ± 10.87, z = 1.61, p = 0.107; paper +0.86)",
        "- **seen**: SFT follows instructions better than the base (+30.00 ± 14.69, z = 2.04, p = 0.041)",
    ]


def test_csv_keeps_every_digit(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(tidy_csv(result))))
    assert len(rows) == 9
    last = rows[-1]
    assert (last["row"], last["column"], last["value"], last["sd"]) == ("ins-grpo", "average", "70.0", "")
    assert float(last["stderr"]) == result.row("ins-grpo").cells["average"].stderr


def test_latex_escapes_and_balances(result: Result) -> None:
    text = latex(replace(result, title="50% of A_B & C"))
    assert r"\caption{50\% of A\_B \& C. Points of 100; $\pm$ is the standard error over prompts.}" in text
    assert r"+ GRPO & 80.00 $\pm$ 9.18 & 60.00 $\pm$ 11.24 & 70.00 $\pm$ 7.25 {\scriptsize (paper 61.85)} \\" in text
    assert text.count("{") == text.count("}")


def test_pipes_do_not_break_the_markdown(result: Result) -> None:
    rows = tuple(replace(row, title="a|b") for row in result.rows)
    assert r"| a\|b |" in markdown(replace(result, rows=rows))


def test_numbers_as_printed() -> None:
    assert [signed(0.5), signed(-0.5)] == ["+0.50", "\N{MINUS SIGN}0.50"]
    assert [p_value(0.04), p_value(1e-9)] == ["p = 0.040", "p < 0.001"]


def tables_cells() -> list[Path]:
    return sorted(Path("results/tiny/cells/instruct").rglob("*.json"))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda cells: cells.pop(("base", "math")), "missing or not of this table: base/math"),
        (lambda cells: cells.update({("x", "y"): cells["base", "math"]}), "not of this table: x/y"),
        (
            lambda cells: cells.update({("base", "math"): replace(cells["base", "math"], value=31.0)}),
            "base/average is 25.0, but the row's other cells have the mean 25.5",
        ),
        (
            lambda cells: cells.update({("base", "math"): replace(cells["base", "math"], model="other")}),
            "base/math is of 'other', not of 'base'",
        ),
    ],
)
def test_cells_that_do_not_fit_make_no_table(project: Path, damage, word: str) -> None:
    cells = table.read_cells(tables_cells())
    damage(cells)
    settings = table.TableSettings.model_validate({"name": "instruct", "table": INSTRUCT})
    with pytest.raises(CellError, match=word):
        table.assemble(settings, cells, 1)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"columns": ["ifeval", "math"]}, "end with `average`"),
        ({"columns": ["ifeval", "ifeval", "average"]}, "must be distinct"),
        ({"claims": [{"text": "t", "better": "a", "worse": "a", "column": "average"}]}, "compares the row 'a' with"),
        ({"claims": [{"text": "t", "better": "z", "worse": "a", "column": "average"}]}, "names the row 'z'"),
        ({"claims": [{"text": "t", "better": "a", "worse": "b", "column": "mmlu"}]}, "names the column 'mmlu'"),
        ({"rows": [{"name": "a", "model": "m", "title": "A", "reported": {"mmlu": 1.0}}]}, "reports the column 'mmlu'"),
        ({"rows": [{"name": n, "model": "m", "title": "A"} for n in "aa"]}, "row names must be distinct"),
        ({"rows": [{"name": "A b", "model": "m", "title": "A"}]}, "should match pattern"),
    ],
)
def test_inconsistent_tables_are_refused(change: dict, word: str) -> None:
    rows = [{"name": name, "model": "m", "title": name.upper()} for name in "ab"]
    spec = {"title": "T", "kind": "main", "columns": ["ifeval", "math", "average"], "rows": rows}
    Table.model_validate(spec)
    with pytest.raises(ValueError, match=word):
        Table.model_validate(spec | change)


def shifted(result: Result, seed: int, by: dict[str, float]) -> Result:
    """The result of another seed: each row's numbers moved by so many points."""
    rows = tuple(
        replace(
            row,
            cells={
                column: replace(entry, value=entry.value + by.get(row.name, 0.0)) for column, entry in row.cells.items()
            },
        )
        for row in result.rows
    )
    return replace(result, seeds=(seed,), rows=rows)


def test_seeds_by_hand(result: Result) -> None:
    """GRPO averages 70, 73, 76 against 52.5, 56.5, 57.5: differences 17.5, 16.5, 18.5, so t(2) = 17.5 * sqrt 3."""
    others = [
        shifted(result, 2, {"ins-grpo": 3, "ins-sft-3": 4}),
        shifted(result, 3, {"ins-grpo": 6, "ins-sft-3": 5}),
    ]
    made = combine([result, *others])
    entry = made.row("ins-grpo").cells["average"]
    assert (entry.value, entry.sd, entry.stderr) == (73.0, pytest.approx(3.0), pytest.approx(3 / math.sqrt(3)))
    assert entry.difference == pytest.approx(73 - 61.85)
    assert (made.seeds, made.spread) == ((1, 2, 3), "standard deviation over 3 seeds")
    assert (made.claims[0].test, made.claims[0].verdict) == ("paired t(2) = 30.31", "seen")
    assert "73.00 ± 3.00 (paper 61.85, +11.15)" in markdown(made)
    assert "± is the standard deviation over 3 seeds" in latex(made).replace(r"$\pm$", "±")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (lambda r: [], "at least two results of distinct seeds"),
        (lambda r: [r], "at least two results of distinct seeds"),
        (lambda r: [replace(shifted(r, 2, {}), columns={"x": "X"})], "differ between seeds"),
        (lambda r: [replace(shifted(r, 2, {}), rows=r.rows[:2])], "differ between seeds"),
    ],
)
def test_what_is_not_the_same_table_of_other_seeds_is_refused(result: Result, other, word: str) -> None:
    with pytest.raises(SeedsError, match=word):
        combine([result, *other(result)])


def test_seeds_command(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copytree("results", "first")
    make_tables(seed=2)
    arguments = ["seeds", "results/tiny", "first/tiny", "--out", "combined"]
    monkeypatch.setattr("sys.argv", arguments)
    seeds.main()
    assert "Points of 100; ± is the standard deviation over 2 seeds." in capsys.readouterr().out
    assert sorted(path.name for path in Path("combined").iterdir()) == [
        f"{name}.{ending}" for name in ("instruct", "stages") for ending in ("csv", "json", "md", "tex")
    ]
    assert read_result(Path("combined/instruct.json")).seeds == (2, 1)
    Path("first/tiny/tables/stages.json").unlink()
    with pytest.raises(SeedsError, match="first/tiny/tables lacks stages"):
        seeds.main()


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.setattr("sys.argv", ["terminal", "results/tiny", *options])
    terminal.main()
    return capsys.readouterr().out


def test_terminal_plain(project: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(capsys, monkeypatch)
    assert "\x1b" not in text
    assert "70.00 ± 7.25" in text and "paper 61.85, +8.15" in text
    assert "within noise GRPO is above SFT  +17.50 ± 10.87, z = 1.61, p = 0.107; paper +0.86" in text
    assert "Stages" not in text
    assert "Stages: what each adds" in shown(capsys, monkeypatch, "--all")


def test_terminal_fits_a_narrow_window(project: Path) -> None:
    console = Console(width=80, force_terminal=True, record=True, file=io.StringIO())
    console.print(terminal.page(terminal.read_tables(Path("results/tiny"), every=False), plain=False))
    text = console.export_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "70.00 ± 7.25" in text


def test_terminal_shows_no_tampered_number(own_copy: Path) -> None:
    path = TABLES / "instruct.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"title": "Better"}))
    with pytest.raises(RuntimeError, match="does not have the content"):
        terminal.read_tables(Path("results/tiny"), every=False)
    with pytest.raises(FileNotFoundError, match="holds no table"):
        terminal.read_tables(Path("results/none"), every=False)
