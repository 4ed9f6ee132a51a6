"""A finished table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from scripts.tables.measurement import AVERAGE
from scripts.tables.results import Entry, Result, ResultClaim
from scripts.tables.statistics import ALPHA

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
    """A difference in points with its sign; a negative one has a true minus sign."""
    return f"{number:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """A p value as papers print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def score(entry: Entry) -> str:
    """`61.85 ± 1.20`."""
    return f"{entry.value:.2f} ± {entry.stderr:.2f}"


def paper(entry: Entry) -> str:
    """`paper 61.85, +0.40`; empty if the paper gives no figure."""
    if entry.reported is None or entry.difference is None:
        return ""
    return f"paper {entry.reported:.2f}, {signed(entry.difference)}"


def claim_numbers(claim: ResultClaim) -> str:
    """`+0.86 ± 1.20, z = 0.72, p = 0.473`, followed by the paper's difference if it states one."""
    measured = f"{signed(claim.difference)} ± {claim.stderr:.2f}, {claim.test}, {p_value(claim.p)}"
    return measured if claim.reported is None else f"{measured}; paper {signed(claim.reported)}"


def caption(result: Result) -> str:
    """The unit, which noise the errors hold, and the number of prompts."""
    counted = [f"{title} {_prompts(result, name)}" for name, title in result.columns.items() if name != AVERAGE]
    return f"Points of 100; {error_note(result)}. Prompts (samples per prompt): {', '.join(counted)}."


def error_note(result: Result) -> str:
    """Which noise the errors of a table's values hold, and how large the noise is that they do not hold."""
    if len(result.seeds) > 1:
        return f"± is the {result.spread}, so it holds the noise of data, prompts, training and sampling"
    alone = f"± is the {result.spread} alone"
    if result.training_noise is None:
        return f"{alone}; how far training again would move a value is unknown at this scale"
    average, benchmark = (result.training_noise[column] for column in (AVERAGE, next(iter(result.columns))))
    return (
        f"{alone}; training again moves an average by {average:.2f} and a benchmark's value by {benchmark:.2f} "
        "(standard deviations)"
    )


def claims_heading(result: Result) -> str:
    """How many seeds the verdicts rest on, and which noise the errors of the differences hold."""
    if len(result.seeds) > 1:
        return f"Claims, tested over {len(result.seeds)} seeds"
    noise = "prompts alone: training noise is unknown" if result.training_noise is None else "prompts and training"
    return f"Claims, tested on one seed (± holds the noise of {noise})"


def verdict_note(result: Result) -> str:
    """What the verdicts of a table rest on, and what they do not say."""
    test = f"two-sided at the {ALPHA:.0%} level, not corrected for the number of claims"
    if len(result.seeds) > 1:
        return f"The t test of a block design over {len(result.seeds)} seeds is {test}."
    once = f"One seed: each model was trained once. The z test is {test}."
    if result.training_noise is None:
        return (
            f"{once} It compares the answers to each prompt, so a verdict holds for these checkpoints. Whether another "
            "training of the same recipe would show the same is unknown at this scale."
        )
    return (
        f"{once} A difference is seen if it exceeds the noise of the prompts and of two independent trainings. Rows "
        "that share a start vary less, so the test is strict; `make reproduce SEEDS=3` tests over seeds."
    )


def _prompts(result: Result, column: str) -> str:
    """`100 (2)`; all rows of a column answered the same prompts."""
    counts = dict.fromkeys((row.cells[column].n, row.cells[column].samples_per_prompt) for row in result.rows)
    return " or ".join(f"{n:,} ({samples})" for n, samples in counts)


def markdown(result: Result) -> str:
    """The table for readers: heading, grid, meaning of ±, claims with their verdicts."""

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
        claims = [f"- **{claim.verdict}**: {claim.text} ({claim_numbers(claim)})" for claim in result.claims]
        lines += ["", f"## {claims_heading(result)}", "", verdict_note(result), "", *claims]
    return "\n".join(lines) + "\n"


def pipe(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Text with `|` escaped, for a cell of a Markdown table."""
    return text.replace("|", r"\|")


def tidy_csv(result: Result) -> str:
    """One line per cell in full precision; a field is empty if there is no figure."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in result.rows:
        for column, entry in row.cells.items():
            writer.writerow({"row": row.name, "model": row.model, "column": column} | vars(entry))
    return out.getvalue()


def latex(result: Result) -> str:
    """A booktabs table, with the paper's figure in small type after the measured one."""

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
"""File ending to format; `.json` is the result itself."""
