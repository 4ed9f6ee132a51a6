"""The file of generations: what `scripts.evaluate.generate` writes and `scripts.evaluate.score` reads."""

from __future__ import annotations

import pyarrow as pa

from scripts.common.records import MESSAGE, SCHEMA

GENERATION = pa.schema(
    [
        ("id", pa.string()),
        ("sample", pa.int32()),
        ("prompt", pa.list_(MESSAGE)),
        ("response", pa.string()),
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),
        ("thinking", pa.bool_()),
        ("answer", SCHEMA.field("answer").type),
    ]
)
GROUP = 64
"""Rows written and read at once: the tests of LiveCodeBench's answers are megabytes each, in each sample's row."""
