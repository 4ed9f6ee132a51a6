"""A finished table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from scripts.tables.measurement import AVERAGE
from scripts.tables.results import Entry, Result, ResultClaim

CSV_FIELDS = ("row", "model", "column", "value", "stderr", "sd", "n", "samples_per_prompt", "reported", "difference")
LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def signed(number: float) -> str:
    """A difference in points with its sign, a true minus sign below 0."""
    return f"{number:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """A p value as papers print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def score(entry: Entry) -> str:
    """`61.85 ± 1.20`."""
    return f"{entry.value:.2f} ± {entry.stderr:.2f}"


def paper(entry: Entry) -> str:
    """`paper 61.85, +0.40`, empty where the paper gives no figure."""
    if entry.reported is None or entry.difference is None:
        return ""
    return f"paper {entry.reported:.2f}, {signed(entry.difference)}"


def claim_numbers(claim: ResultClaim) -> str:
    """`+0.86 ± 1.20, z = 0.72, p = 0.473`, with the paper's difference where it states one."""
    measured = f"{signed(claim.difference)} ± {claim.stderr:.2f}, {claim.test}, {p_value(claim.p)}"
    return measured if claim.reported is None else f"{measured}; paper {signed(claim.reported)}"


def caption(result: Result) -> str:
    """What the numbers are and how many stand behind them."""
    counted = [f"{title} {_prompts(result, name)}" for name, title in result.columns.items() if name != AVERAGE]
    return f"Points of 100; ± is the {result.spread}. Prompts (samples of each): {', '.join(counted)}."


def _prompts(result: Result, column: str) -> str:
    """`100 (2)`; every row of a column answered the same prompts."""
    counts = dict.fromkeys((row.cells[column].n, row.cells[column].samples_per_prompt) for row in result.rows)
    return " or ".join(f"{n:,} ({samples})" for n, samples in counts)


def markdown(result: Result) -> str:
    """The table for people: heading, grid, what ± means, claims with their verdicts."""

    def cell(entry: Entry) -> str:
        return score(entry) + (f" ({paper(entry)})" if paper(entry) else "")

    heading = ["", *result.columns.values()]
    lines = [
        f"# {result.title}",
        "",
        pipe(heading),
        pipe([":--", *("--:" for _ in result.columns)]),
        *(pipe([plain(row.title), *(cell(row.cells[column]) for column in result.columns)]) for row in result.rows),
        "",
        caption(result),
    ]
    if result.claims:
        lines += ["", "## Claims", "", *(f"- **{c.verdict}**: {c.text} ({claim_numbers(c)})" for c in result.claims)]
    return "\n".join(lines) + "\n"


def pipe(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Text that does not end a Markdown table's cell."""
    return text.replace("|", r"\|")


def tidy_csv(result: Result) -> str:
    """One line a cell, full precision, empty where there is no figure."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in result.rows:
        for column, entry in row.cells.items():
            writer.writerow({"row": row.name, "model": row.model, "column": column} | vars(entry))
    return out.getvalue()


def latex(result: Result) -> str:
    """A booktabs table, the paper's figure in small type behind the measured one."""

    def cell(entry: Entry) -> str:
        number = f"{entry.value:.2f} $\\pm$ {entry.stderr:.2f}"
        return number if entry.reported is None else f"{number} {{\\scriptsize (paper {entry.reported:.2f})}}"

    def line(cells: Iterable[str]) -> str:
        return " & ".join(cells) + r" \\"

    rows = [line([tex(row.title), *(cell(row.cells[column]) for column in result.columns)]) for row in result.rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{tex(result.title)}. {tex(caption(result))}}}",
            rf"\label{{tab:{result.name}}}",
            rf"\begin{{tabular}}{{l{'r' * len(result.columns)}}}",
            r"\toprule",
            line(["", *map(tex, result.columns.values())]),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def tex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return text.translate(LATEX_ESCAPES)


RENDERERS: dict[str, Callable[[Result], str]] = {".md": markdown, ".csv": tidy_csv, ".tex": latex}
"""By file ending; `.json` is the result itself."""
