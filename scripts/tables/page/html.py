"""Render a page as one HTML document: template, style, script, figures and data in one file that needs no network."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scripts.tables.charts import THEME
from scripts.tables.render import caption, claim_numbers, claims_heading, p_value, paper, score, signed
from scripts.tables.results import Result

DATA = Path(__file__).parent / "data"
FOREST_MARGIN = 0.06  # share of the range that is left free at each end of a forest plot


def render(template: str, **context: Any) -> str:
    """The document. A name that the template uses and `context` lacks is an error."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(DATA),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "asset": asset,
        "embed": embed,
        "forest": forest,
        "caption": caption,
        "claims_heading": claims_heading,
    }
    environment.filters |= {
        "score": score,
        "paper": paper,
        "signed": signed,
        "p_value": p_value,
        "claim_numbers": claim_numbers,
        "duration": duration,
        "bytes": human_bytes,
        "slug": slug,
    }
    return environment


def asset(name: str) -> Markup:
    """The text of a style sheet or script, unescaped."""
    return Markup((DATA / name).read_text())


def embed(data: Any) -> Markup:
    """Data as JSON, escaped so that it cannot end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def inline(svg: str, name: str, title: str) -> Markup:
    """A figure for the page: unique identifiers, the page's font, and colours that follow the light or dark theme."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font: (?:\w+ )*?([\d.]+)px 'DejaVu Sans'[^;\"]*", r"font-size: \1px", body)
    for colour, variable in THEME.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    label = Markup.escape(title)
    return Markup(body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))


def forest(result: Result, row: str, column: str) -> dict[str, float | None]:
    """Positions of a row's value, its error and the paper's figure, in % of the range of the column's rows."""
    entries = [item.cells[column] for item in result.rows]
    reported = [entry.reported for entry in entries if entry.reported is not None]
    low = min([entry.value - entry.stderr for entry in entries] + reported)
    high = max([entry.value + entry.stderr for entry in entries] + reported)
    margin = FOREST_MARGIN * (high - low) or 1.0

    def place(points: float) -> float:
        return round(100 * (points - low + margin) / (high - low + 2 * margin), 2)

    entry = result.row(row).cells[column]
    return {
        "value": place(entry.value),
        "low": place(entry.value - entry.stderr),
        "high": place(entry.value + entry.stderr),
        "reported": None if entry.reported is None else place(entry.reported),
    }


def duration(seconds: float) -> str:
    """`3 h 05 min`, `4 min 10 s`, `2.5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def human_bytes(number: float) -> str:
    """`512 MB`, `1.4 GB` (powers of ten)."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def slug(text: str) -> str:
    """A verdict as the name of a CSS class."""
    return text.replace(" ", "-")
