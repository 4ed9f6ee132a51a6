"""The outputs that Snakemake reports as pending, read from `snakemake --summary`, its public report on every output."""

from __future__ import annotations


def pending(summary: str) -> list[str]:
    """The outputs that Snakemake would make, sorted: all whose plan in the summary is not `no update`."""
    header, *lines = [line for line in summary.splitlines() if "\t" in line]
    columns = header.split("\t")
    rows = (dict(zip(columns, line.split("\t"), strict=False)) for line in lines)
    return sorted({row["output_file"] for row in rows if row["plan"] != "no update"})
