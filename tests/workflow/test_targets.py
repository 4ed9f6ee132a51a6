"""Names of cells and tables: known names are accepted, unknown ones raise an error with the close matches."""

from __future__ import annotations

import pytest

from scripts.workflow.config import Config, read
from scripts.workflow.targets import UnknownTarget, check


@pytest.fixture(scope="module")
def tiny() -> Config:
    return read("tiny")


def test_every_cell_and_table_of_a_scale_is_a_target(tiny: Config) -> None:
    for name, table in tiny.tables.items():
        for kind in ("json", "md", "csv", "tex"):
            check(tiny, f"results/tiny/tables/{name}.{kind}")
        for row in table.rows:
            for column in table.columns:
                check(tiny, f"results/tiny/cells/{name}/{row.name}/{column}.json")


@pytest.mark.parametrize("target", ["all", "instruct", "results/tiny/report.html", "results/tiny", "/elsewhere/x.json"])
def test_other_targets_are_left_to_snakemake(tiny: Config, target: str) -> None:
    check(tiny, target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("cells/instrct/ins-grpo/ifeval.json", "no table named 'instrct': did you mean instruct"),
        ("cells/instruct/ins-grp/ifeval.json", "no row of instruct named 'ins-grp': did you mean ins-grpo"),
        ("cells/instruct/ins-grpo/ifevl.json", "no column of instruct named 'ifevl': did you mean ifeval"),
        ("cells/instruct/ins-grpo.json", "'instruct/ins-grpo' is not a cell: a cell's name is TABLE/ROW/COLUMN"),
        ("cells/.json", "a cell's name is TABLE/ROW/COLUMN"),
        ("tables/instrct.json", "no table named 'instrct': did you mean instruct"),
    ],
)
def test_a_wrong_name_is_reported_with_the_close_matches(tiny: Config, target: str, message: str) -> None:
    with pytest.raises(UnknownTarget, match=message):
        check(tiny, f"results/tiny/{target}")
