"""The card of a data set: what is in it, as the README.md that `datasets.load_dataset` reads its layout from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from scripts.common.records import prompt_of, response_of
from scripts.curate.words import words

PERCENTILES = (5, 25, 50, 75, 95, 100)
GROUPS = {"source": "source", "domain": "domain", "band": "difficulty", "teacher": "response by"}
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


def card(name: str, purpose: str, tally: Tally, licences: Mapping[str, str], recipe: Mapping[str, Any]) -> str:
    """The card's text."""
    sources = tally.groups["source"]
    head = {
        "pretty_name": name,
        "license": "other",
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "records/*.parquet"}]}],
    }
    lengths = [[part, *map(str, row)] for part, row in tally.percentiles().items()]
    terms = [[source, licences.get(source, "not stated")] for source in sorted(sources)]
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# {name}\n\n{sources.total():,} records for {purpose}.\n",
        *(_counts(title, tally.groups[group]) for group, title in GROUPS.items() if group in tally.groups),
        _table("Words", ["", *(f"p{p}" if p < 100 else "max" for p in PERCENTILES)], lengths),
        _table("Licences", ["source", "licence"], terms),
        f"## How it was made\n\n```yaml\n{yaml.safe_dump(dict(recipe), sort_keys=False)}```\n",
    ]
    return "\n".join(parts)


def _counts(title: str, counter: Counter[str]) -> str:
    rows = [[name, f"{n:,}", f"{n / counter.total():.1%}"] for name, n in sorted(counter.items())]
    return _table(f"By {title}", [title, "records", "share"], rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
