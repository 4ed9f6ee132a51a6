"""Tables: assembly, verdicts computed by hand, the four formats, several seeds, the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from scripts.common.artifacts import check
from scripts.tables import seeds, table, terminal
from scripts.tables.measurement import CellError
from scripts.tables.render import latex, markdown, p_value, signed, tidy_csv
from scripts.tables.results import Result, read_result
from scripts.tables.seeds import SeedsError, combine
from scripts.tables.settings import Table
from scripts.tables.statistics import block_t_test, interaction, mean_and_sd, paired_z_test
from tests.tables.tiny_results import INSTRUCT, make_tables

TABLES = Path("results/tiny/tables")


@pytest.fixture
def result(project: Path) -> Result:
    return read_result(TABLES / "instruct.json")


def test_paired_z_by_hand() -> None:
    """Differences 100, 0, 0, 100 and 0, 0, 0, 100: means 50 and 25, so 37.5; variances 10000/3 and 2500, each by 4
    prompts, so sqrt(2500/3 + 625) / 2 = 19.0941; z = 1.9640, two-sided p = 0.0495."""
    comparison = paired_z_test([[100, 0, 0, 100], [0, 0, 0, 100]])
    assert (comparison.difference, comparison.test, comparison.verdict) == (37.5, "paired z = 1.96", "seen")
    assert comparison.stderr == pytest.approx(math.sqrt(2500 / 3 + 625) / 2)
    assert comparison.p == pytest.approx(0.04953, abs=1e-5)


def test_pairing_removes_what_prompts_share() -> None:
    """Two rows that solve the same prompts do not differ, whatever the prompts' spread; 1 of 40 is within noise."""
    assert paired_z_test([[0.0] * 40]).p == 1.0
    assert paired_z_test([[0.0] * 39 + [100.0]]).verdict == "within noise"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([100, 100, 0, -100, 0, 0, 0, 0], "within noise"),
        ([-100, -100, -100, 0, -100, -100, 0, -100], "not seen"),
        ([0, 0], "within noise"),
        ([100, 100], "seen"),  # no error at all: certain
    ],
)
def test_verdicts_of_one_seed(differences: list[float], verdict: str) -> None:
    assert paired_z_test([differences]).verdict == verdict


def test_training_noise_by_hand() -> None:
    """The differences of `test_paired_z_by_hand`, whose error over prompts squared is 364.583. Trainings that spread
    by 10 points add 2 * 100: 37.5 / sqrt(564.583) = 1.5782, two-sided p = 0.1145."""
    comparison = paired_z_test([[100, 0, 0, 100], [0, 0, 0, 100]], training_sd=10)
    assert (comparison.difference, comparison.test, comparison.verdict) == (37.5, "z = 1.58", "within noise")
    assert comparison.stderr == pytest.approx(math.sqrt(364.58333 + 200))
    assert comparison.p == pytest.approx(0.11452, abs=1e-5)


def test_training_noise_holds_its_level() -> None:
    """Two recipes of equal merit, each trained once: 5 % of 4,000 comparisons are significant (1.4 % is 4 standard
    errors); the test over prompts alone finds a difference in most of them."""
    rng = np.random.default_rng(11)
    trained = rng.normal(scale=5, size=(4000, 2))  # what this training makes of each recipe
    prompts = rng.normal(scale=20, size=(4000, 100)) + (trained[:, :1] - trained[:, 1:])
    verdicts = [[paired_z_test([row], sd).verdict for row in prompts.tolist()] for sd in (5, None)]
    with_training, prompts_alone = (sum(verdict != "within noise" for verdict in each) / 4000 for each in verdicts)
    assert with_training == pytest.approx(0.05, abs=0.014)
    assert prompts_alone > 0.5


def test_block_t_by_hand() -> None:
    """Rows 10 12 14, 11 13 18, 12 17 19 over three seeds: row means 12, 14, 16, seed means 11, 14, 17, residuals
    1 0 -1 / 0 -1 1 / -1 1 0, so 6 over 4 degrees of freedom; 16 - 12 = 4 by sqrt(2 * 1.5 / 3) = 1 is t(4) = 4."""
    rows = [[10.0, 12.0, 14.0], [11.0, 13.0, 18.0], [12.0, 17.0, 19.0]]
    assert interaction(rows) == pytest.approx(6.0)
    comparison = block_t_test(rows, better=2, worse=0)
    assert (comparison.difference, comparison.stderr) == (4.0, pytest.approx(1.0))
    assert comparison.test == "t(4) = 4.00"
    assert comparison.p == pytest.approx(1 - 4 / math.sqrt(20) * (1 + 2 / 20), abs=1e-12)  # closed form for 4 df
    assert (comparison.verdict, block_t_test(rows, better=0, worse=2).verdict) == ("seen", "not seen")


def test_block_t_of_two_rows_is_the_paired_t() -> None:
    """Differences 1, 2, 3: mean 2, sd 1, t = 2 / (1 / sqrt 3) = 3.4641; p from the closed form for 2 df."""
    comparison = block_t_test([[11.0, 12.0, 13.0], [10.0, 10.0, 10.0]], 0, 1)
    t = math.sqrt(12)
    assert comparison.stderr == pytest.approx(1 / math.sqrt(3))
    assert comparison.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert (comparison.difference, comparison.test, comparison.verdict) == (2.0, "t(2) = 3.46", "within noise")


def test_seeds_are_blocks() -> None:
    """A steady gain of about 1 is seen although the seeds are 40 points apart."""
    worse = [10.0, 30.0, 50.1]
    assert block_t_test([[11.0, 31.1, 51.0], worse], 0, 1).verdict == "seen"
    assert block_t_test([[51.0, 11.0, 31.1], worse], 0, 1).verdict == "within noise"


def test_the_other_rows_count_for_the_noise() -> None:
    """Two rows that agree by luck are not certain if the table's other rows scatter by ten points."""
    pair = [[11.0, 11.1, 11.0], [10.0, 10.0, 10.1]]
    assert block_t_test(pair, 0, 1).verdict == "seen"
    assert block_t_test([*pair, [0.0, 20.0, 5.0], [20.0, 3.0, 9.0]], 0, 1).verdict == "within noise"


def test_block_t_holds_its_level() -> None:
    """Without effects, 5 % of 2,000 tables of five rows and three seeds are significant (2 % is 4 standard errors)."""
    rng = np.random.default_rng(7)
    tables = rng.normal(size=(2000, 5, 3)) + rng.normal(scale=10, size=(2000, 1, 3))
    share = sum(block_t_test(table.tolist(), 0, 1).p < 0.05 for table in tables) / 2000
    assert share == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0], [2.0]]])
def test_a_block_design_needs_rows_and_seeds(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="at least two rows and two seeds"):
        block_t_test(rows, 0, -1)


def test_mean_and_sd_by_hand() -> None:
    assert mean_and_sd([2.0, 4.0, 9.0]) == (5.0, pytest.approx(math.sqrt(13)))
    with pytest.raises(ValueError, match="at least two values"):
        mean_and_sd([1.0])


def test_table_of_one_seed(result: Result) -> None:
    assert result.columns == {"ifeval": "IFEval-style constraints", "math": "Arithmetic", "average": "average"}
    assert (result.seeds, result.spread) == ((1,), "standard error over prompts")
    entry = result.row("ins-grpo").cells["average"]
    assert (entry.value, entry.reported, entry.sd) == (70.0, 61.85, None)
    assert entry.difference == pytest.approx(8.15)
    assert result.row("base").cells["average"].reported is None


def test_claims_by_hand(result: Result) -> None:
    """Of 20 prompts GRPO solves 6 and 1 more than SFT: (30 + 5) / 2 = 17.5; variances 20/19 * 0.3 * 0.7 and
    20/19 * 0.05 * 0.95 by 20 prompts give sqrt(110.526 + 25) / 2 = 5.8208, z = 3.01. Alone, 30 / 10.513 = 2.85 and
    5 / 5 = 1."""
    grpo, sft, arithmetic = result.claims
    assert (grpo.difference, grpo.test, grpo.verdict, grpo.reported) == (17.5, "paired z = 3.01", "seen", 0.86)
    assert (grpo.stderr, grpo.p) == (pytest.approx(5.82079, abs=1e-5), pytest.approx(0.002643, abs=1e-6))
    assert (sft.test, sft.verdict) == ("paired z = 2.85", "seen")
    assert (arithmetic.test, arithmetic.verdict) == ("paired z = 1.00", "within noise")
    (reverse,) = read_result(TABLES / "stages.json").claims
    assert (reverse.difference, reverse.verdict) == (-30.0, "not seen")


def test_claims_with_training_noise_by_hand(project: Path) -> None:
    """5 points between trainings of an average: 17.5 / sqrt(33.8816 + 50) = 1.91, no longer seen; 4 points for a
    benchmark: 30 / sqrt(110.526 + 32) = 2.51."""
    noise = {"benchmark": 4.0, "average": 5.0}
    result = table.assemble(instruct(noise), table.read_cells(tables_cells()), table.read_prompts(scores()), 1)
    grpo, sft, _ = result.claims
    assert (grpo.test, grpo.verdict, grpo.stderr) == ("z = 1.91", "within noise", pytest.approx(9.1587, abs=1e-4))
    assert (sft.test, sft.verdict, sft.stderr) == ("z = 2.51", "seen", pytest.approx(11.9384, abs=1e-4))
    text = markdown(result)
    assert "training again moves an average by 5.00 and a benchmark's value by 4.00 (standard deviations)." in text
    assert (
        "## Claims, tested on one seed (± holds the noise of prompts and training)\n\nOne seed: each model was" in text
    )
    assert "- **within noise**: GRPO is above SFT (+17.50 ± 9.16, z = 1.91, p = 0.056; paper +0.86)" in text


def test_all_four_formats_are_whole_artifacts(project: Path) -> None:
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
    assert (
        "Points of 100; ± is the standard error over prompts alone; how far training again would move a value is "
        "unknown at this scale. Prompts (samples per prompt): IFEval-style constraints 20 (2), Arithmetic 20 (2)."
        in text
    )
    assert "## Claims, tested on one seed (± holds the noise of prompts alone: training noise is unknown)" in text
    assert any("a verdict holds for these checkpoints" in line for line in text)
    assert text[-3:] == [
        "- **seen**: GRPO is above SFT (+17.50 ± 5.82, paired z = 3.01, p = 0.003; paper +0.86)",
        "- **seen**: SFT follows instructions better than the base (+30.00 ± 10.51, paired z = 2.85, p = 0.004)",
        "- **within noise**: GRPO is above SFT in arithmetic (+5.00 ± 5.00, paired z = 1.00, p = 0.317; paper +1.50)",
    ]


def test_csv_keeps_every_digit(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(tidy_csv(result))))
    assert len(rows) == 9
    last = rows[-1]
    assert (last["row"], last["column"], last["value"], last["sd"]) == ("ins-grpo", "average", "70.0", "")
    assert float(last["stderr"]) == result.row("ins-grpo").cells["average"].stderr


def test_latex_escapes_and_balances(result: Result) -> None:
    text = latex(replace(result, title="50% of A_B & C < D"))
    assert (
        r"\caption{50\% of A\_B \& C \textless{} D. Points of 100; $\pm$ is the standard error over prompts alone;"
        in text
    )
    assert "Arithmetic 20 (2).}" in text
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
        (lambda cells: cells.pop(("base", "math")), "cells are missing or not of this table: base/math"),
        (lambda cells: cells.update({("x", "y"): cells["base", "math"]}), "not of this table: x/y"),
        (
            lambda cells: cells.update({("base", "math"): replace(cells["base", "math"], value=31.0)}),
            "base/average is 25.0, but the mean of the row's other cells is 25.5",
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
    with pytest.raises(CellError, match=word):
        table.assemble(instruct(), cells, table.read_prompts(scores()), 1)


def instruct(noise: dict[str, float] | None = None) -> table.TableSettings:
    return table.TableSettings.model_validate({"name": "instruct", "table": INSTRUCT, "training_noise": noise})


def scores() -> list[Path]:
    return sorted(Path("results/tiny/scores").rglob("*.json"))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda p: p.pop(("ins-sft-3", "math")), "scores are missing: ins-sft-3/math: give --scores"),
        (lambda p: p["ins-grpo", "ifeval"].pop(f"{7:016x}"), "answered different prompts, such as 0000000000000007"),
        (lambda p: p["ins-grpo", "ifeval"].update({f"{7:016x}": 0.0}), "by 17.5 in the cells but by 15.0 in the sc"),
    ],
)
def test_scores_that_do_not_fit_make_no_table(project: Path, damage, word: str) -> None:
    prompts = table.read_prompts(scores())
    damage(prompts)
    with pytest.raises(CellError, match=word):
        table.assemble(instruct(), table.read_cells(tables_cells()), prompts, 1)


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
    """The result of another seed: the values of the rows in `by` are moved by that many points."""
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


def seeds_of(result: Result) -> list[Result]:
    """Averages over three seeds: base 25, 25, 25; SFT 52.5, 56.5, 57.5; GRPO 70, 73, 76."""
    return [
        result,
        shifted(result, 2, {"ins-grpo": 3, "ins-sft-3": 4}),
        shifted(result, 3, {"ins-grpo": 6, "ins-sft-3": 5}),
    ]


def test_seeds_by_hand(result: Result) -> None:
    """GRPO 70, 73, 76: mean 73, sd 3. The interaction's squares add up to 34/3 with 4 degrees of freedom, so
    the difference 17.5 has the error sqrt(2 * 17/6 / 3) = 1.3744 and t(4) = 12.73."""
    combined = combine(seeds_of(result))
    entry = combined.row("ins-grpo").cells["average"]
    assert (entry.value, entry.sd, entry.stderr) == (73.0, pytest.approx(3.0), pytest.approx(3 / math.sqrt(3)))
    assert entry.difference == pytest.approx(73 - 61.85)
    assert (combined.seeds, combined.spread) == ((1, 2, 3), "standard error over 3 seeds")
    assert (combined.claims[0].test, combined.claims[0].verdict) == ("t(4) = 12.73", "seen")
    assert combined.claims[0].stderr == pytest.approx(math.sqrt(17 / 9))
    assert "73.00 ± 1.73 (paper 61.85, +11.15)" in markdown(combined)
    assert "± is the standard error over 3 seeds" in latex(combined).replace(r"$\pm$", "±")


def test_claims_of_all_tables_over_seeds(result: Result) -> None:
    results = seeds_of(result)
    claims = seeds.all_claims([results], [combine(results)])
    lines = seeds.claims_markdown(claims, (1, 2, 3), "c0ffee+").splitlines()
    assert lines[2] == (
        "| `instruct` | GRPO is above SFT | average | +0.86 | +17.50 ± 1.37 | +17.50, +16.50, +18.50 "
        "| t(4) = 12.73, p < 0.001 | **seen** |"
    )
    assert "the seeds 1, 2, 3 ±" in lines[-1]
    assert lines[-1].endswith("seen 3. Made at commit c0ffee+.")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (lambda r: [], "at least two results of distinct seeds"),
        (lambda r: [r], "at least two results of distinct seeds"),
        (lambda r: [replace(shifted(r, 2, {}), columns={"x": "X"})], "differ between seeds"),
        (lambda r: [replace(shifted(r, 2, {}), rows=r.rows[:2])], "differ between seeds"),
    ],
)
def test_other_tables_or_the_same_seed_are_refused(result: Result, other, word: str) -> None:
    with pytest.raises(SeedsError, match=word):
        combine([result, *other(result)])


def test_seeds_command(own_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    shutil.copytree("results", "first")
    make_tables(seed=2)
    arguments = ["seeds", "results/tiny", "first/tiny", "--out", "combined"]
    monkeypatch.setattr("sys.argv", arguments)
    seeds.main()
    assert "Points of 100; ± is the standard error over 2 seeds, so it holds" in capsys.readouterr().out
    assert "Made at commit c0ffee00c0+, unknown" in Path("combined/claims.md").read_text()
    assert sorted(path.name for path in Path("combined").iterdir()) == sorted(
        ["claims.md", "report.html"]
        + [f"{name}.{ending}" for name in ("instruct", "stages") for ending in ("csv", "json", "md", "tex")]
    )
    assert read_result(Path("combined/instruct.json")).seeds == (2, 1)
    page = Path("combined/report.html").read_text()
    assert '<a href="../results/tiny/report.html">2</a> <a href="../first/tiny/report.html">1</a>' in page
    assert page.count('<tr><th scope="row">') == 4 and "+17.50, +17.50" in page
    assert "#cell/" not in page and not re.search(r'(?:src|href)="(?:https?:)?//', page)
    Path("first/tiny/tables/stages.json").unlink()
    with pytest.raises(SystemExit, match="first/tiny/tables lacks stages"):
        seeds.main()


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.setattr("sys.argv", ["terminal", "results/tiny", *options])
    terminal.main()
    return capsys.readouterr().out


def test_terminal_plain(project: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(capsys, monkeypatch)
    assert "\x1b" not in text
    assert "70.00 ± 7.25" in text and "paper 61.85, +8.15" in text
    assert "within noise GRPO is above SFT in arithmetic  +5.00 ± 5.00, paired z = 1.00, p = 0.317; paper +1.50" in text
    assert "Stages" not in text
    assert "Stages: what each adds" in shown(capsys, monkeypatch, "--all")


def printed(result: Result, width: int) -> str:
    console = Console(width=width, force_terminal=True, record=True, file=io.StringIO())
    console.print(terminal.page([result], console))
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_terminal_cuts_nothing_short(result: Result, width: int) -> None:
    """A table as wide as the recipe's, at common widths of a terminal: no line is too long, nothing is left out."""
    titles = dict(zip("abcd", ("IFEval strict", "Math", "Code", "Knowledge"), strict=True))
    rows = tuple(
        replace(row, cells={**dict.fromkeys(titles, row.cells["math"]), "average": row.cells["average"]})
        for row in result.rows
    )
    text = printed(replace(result, columns={**titles, "average": "average"}, rows=rows), width)
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    for row in rows:
        assert row.title.split()[-1] in text
        for entry in row.cells.values():
            assert text.count(f"{entry.value:.2f}") >= 1 and f"± {entry.stderr:.2f}" in text
    assert text.count("60.00") == text.count("± 11.24") == 4
    assert "61.85" in text and "+8.15" in text
    assert ("70.00 ± 7.25" in text) == (width >= 100), "one line per cell if there is room"


def test_terminal_shows_no_tampered_number(own_copy: Path) -> None:
    path = TABLES / "instruct.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"title": "Better"}))
    with pytest.raises(RuntimeError, match="does not have the content"):
        terminal.read_tables(Path("results/tiny"), every=False)
    with pytest.raises(FileNotFoundError, match="holds no table"):
        terminal.read_tables(Path("results/none"), every=False)
