"""What Snakemake says is pending, from `snakemake --summary`, which is its public word on the state of each output."""

from __future__ import annotations


def pending(summary: str) -> list[str]:
    """The outputs that Snakemake would make, sorted: those that the summary does not call up to date."""
    header, *lines = [line for line in summary.splitlines() if "\t" in line]
    columns = header.split("\t")
    rows = (dict(zip(columns, line.split("\t"), strict=False)) for line in lines)
    return sorted({row["output_file"] for row in rows if row["plan"] != "no update"})
