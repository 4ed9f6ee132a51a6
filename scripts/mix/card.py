"""The card of a data set: what is in it, as the README.md that `datasets.load_dataset` reads its layout from."""

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
"""Names of licences that the Hub's cards know, of those that sources state; anything else makes the set `other`."""
GROUPS = {"source": "source", "domain": "domain", "band": "difficulty", "teacher": "teacher"}
"""Column -> what the card calls it; counted where the data set has it."""


class Tally:
    """Counts and lengths of the records of a data set, taken as they are written."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.groups = {name: Counter[str]() for name in GROUPS if name in columns}
        self.lengths: dict[str, list[int]] = {"prompt": [], "response": []}

    def add(self, record: Mapping[str, Any]) -> None:
        for name, counter in self.groups.items():
            counter[record[name] or "unknown"] += 1
        for name, text in (("prompt", prompt_of(record["messages"])), ("response", response_of(record["messages"]))):
            self.lengths[name].append(len(words(text)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Records by each group, for the manifest."""
        return {f"by_{name}": dict(sorted(counter.items())) for name, counter in self.groups.items()}

    def percentiles(self) -> dict[str, list[int]]:
        """Words of prompt and response at PERCENTILES; a part that no record has is left out."""
        return {
            name: [int(value) for value in np.percentile(found, PERCENTILES, method="lower")]
            for name, found in self.lengths.items()
            if any(found)
        }


def card(
    name: str,
    purpose: str,
    tally: Tally,
    licences: Mapping[str, str],
    left_out: Mapping[str, int],
    recipe: Mapping[str, Any],
) -> str:
    """The card's text. `licences` are the sources'; `left_out` has the rows of the origin that are not in the set."""
    sources = tally.groups["source"]
    head = {
        "pretty_name": name,
        "license": _licence(licences.get(source, "") for source in sources),
        "task_categories": ["text-generation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "records/*.parquet"}]}],
    }
    lengths = [[part, *map(str, row)] for part, row in tally.percentiles().items()]
    terms = [[source, f"{sources[source]:,}", licences.get(source, "not stated")] for source in sorted(sources)]
    absent = [[reason, f"{n:,}"] for reason, n in left_out.items()]
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# {name}\n\n{sources.total():,} records for {purpose}.\n",
        *(_counts(title, tally.groups[group]) for group, title in GROUPS.items() if group in tally.groups),
        _table("Words", ["", *(f"p{p}" if p < 100 else "max" for p in PERCENTILES)], lengths),
        _table("Licences", ["source", "records", "licence"], terms),
        _table("Left out", ["reason", "rows of the origin"], absent),
        f"## How it was made\n\n```yaml\n{yaml.safe_dump(dict(recipe), sort_keys=False)}```\n",
    ]
    return "\n".join(parts)


def _licence(stated: Iterable[str]) -> str | list[str]:
    """The licences of all sources as the Hub names them; `other` where it has no name for one of them."""
    names = sorted({licence.casefold() for licence in stated})
    if not HUB_LICENCES.issuperset(names):
        return "other"
    return names if len(names) > 1 else names[0]


def _counts(title: str, counter: Counter[str]) -> str:
    rows = [[name, f"{n:,}", f"{n / counter.total():.1%}"] for name, n in sorted(counter.items())]
    return _table(f"By {title}", [title, "records", "share"], rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
