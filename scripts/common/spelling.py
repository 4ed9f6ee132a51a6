"""A hint for error messages about a misspelt name: the close matches, or all known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def close_matches(name: str, known: Iterable[str]) -> str:
    """`did you mean ...` for a misspelt name, or the list of known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
