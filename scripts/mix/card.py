"""The card of a data set: its README.md, from which `datasets.load_dataset` also reads the layout of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from scripts.common.records import prompt_of, response_of
from scripts.curate.words import words

PERCENTILES = (5, 25, 50, 75, 95, 100)
HUB_LICENCES = frozenset(
    {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "odc-by"}
)
"""Licences of the sources under the names that the Hub knows; a source with another licence makes the set `other`."""
GROUPS = {"source": "source", "domain": "domain", "band": "difficulty", "teacher": "teacher"}
"""Column -> its title in the card; columns that the data set does not have are left out."""


class Tally:
    """Counts and lengths of a data set's records, collected while they are written."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.groups = {name: Counter[str]() for name in GROUPS if name in columns}
        self.lengths: dict[str, list[int]] = {"prompt": [], "response": []}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        for name, counter in self.groups.items():
            counter[record[name] or "unknown"] += 1
        for name, text in (("prompt", prompt_of(record["messages"])), ("response", response_of(record["messages"]))):
            self.lengths[name].append(len(words(text)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of records by source, domain, ..., for the manifest."""
        return {f"by_{name}": dict(sorted(counter.items())) for name, counter in self.groups.items()}

    def percentiles(self) -> dict[str, list[int]]:
        """Words of prompt and response at PERCENTILES; a part that is empty in every record is left out."""
        return {
            name: [int(value) for value in np.percentile(lengths, PERCENTILES, method="lower")]
            for name, lengths in self.lengths.items()
            if any(lengths)
        }


def card(
    name: str,
    purpose: str,
    tally: Tally,
    licences: Mapping[str, str],
    left_out: Mapping[str, int],
    recipe: Mapping[str, Any],
) -> str:
    """The card's text.

    `licences` maps each source to its licence. `left_out` maps each reason to the number of the origin's rows that are
    not in the set. `recipe` is printed as YAML.
    """
    sources = tally.groups["source"]
    head = {
        "pretty_name": name,
        "license": _licence(licences.get(source, "") for source in sources),
        "task_categories": ["text-generation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "records/*.parquet"}]}],
    }
    lengths = [[part, *map(str, row)] for part, row in tally.percentiles().items()]
    terms = [[source, f"{sources[source]:,}", licences.get(source, "not stated")] for source in sorted(sources)]
    omitted = [[reason, f"{n:,}"] for reason, n in left_out.items()]
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# {name}\n\n{sources.total():,} records for {purpose}.\n",
        *(_counts(title, tally.groups[group]) for group, title in GROUPS.items() if group in tally.groups),
        _table("Words", ["", *(f"p{p}" if p < 100 else "max" for p in PERCENTILES)], lengths),
        _table("Licences", ["source", "records", "licence"], terms),
        _table("Left out", ["reason", "rows of the origin"], omitted),
        f"## How it was made\n\n```yaml\n{yaml.safe_dump(dict(recipe), sort_keys=False)}```\n",
    ]
    return "\n".join(parts)


def _licence(licences: Iterable[str]) -> str | list[str]:
    """The licences of all sources as the Hub names them; `other` if it has no name for one of them."""
    names = sorted({licence.casefold() for licence in licences})
    if not HUB_LICENCES.issuperset(names):
        return "other"
    return names if len(names) > 1 else names[0]


def _counts(title: str, counter: Counter[str]) -> str:
    rows = [[name, f"{n:,}", f"{n / counter.total():.1%}"] for name, n in sorted(counter.items())]
    return _table(f"By {title}", [title, "records", "share"], rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
