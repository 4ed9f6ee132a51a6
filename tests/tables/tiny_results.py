"""A small results folder as the other stages leave it, with lineage from raw sources to scores.

The numbers are set by hand: `SOLVED` is the number of a benchmark's 20 prompts that each model gets right. Cells,
tables, funnel, figures and report are made by their own steps, never by this file.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common import records
from scripts.common.artifacts import MANIFEST, RUN, run_path, sha256_file, write_json, write_manifest
from scripts.tables import cell, figures, funnel, table

PROMPTS = 20
R = Path("results/tiny")
SOLVED = {
    "base": {"ifeval": 4, "math": 6},
    "ins-sft-3": {"ifeval": 10, "math": 11},
    "ins-grpo": {"ifeval": 16, "math": 12},
}
REPORTED = {"ins-sft-3": {"average": 60.99}, "ins-grpo": {"average": 61.85}}
INSTRUCT: dict[str, Any] = {
    "title": "Instruct: three SFT stages, then GRPO",
    "kind": "main",
    "columns": ["ifeval", "math", "average"],
    "rows": [
        {"name": "base", "model": "base", "title": "Base", "reported": {}},
        {"name": "ins-sft-3", "model": "ins-sft-3", "title": "SFT stage 3", "reported": {"average": 60.99}},
        {"name": "ins-grpo", "model": "ins-grpo", "title": "+ GRPO", "reported": {"average": 61.85}},
    ],
    "claims": [
        {
            "text": "GRPO is above SFT",
            "better": "ins-grpo",
            "worse": "ins-sft-3",
            "column": "average",
            "reported": 0.86,
        },
        {
            "text": "SFT follows instructions better than the base",
            "better": "ins-sft-3",
            "worse": "base",
            "column": "ifeval",
            "reported": None,
        },
        {
            "text": "GRPO is above SFT in arithmetic",
            "better": "ins-grpo",
            "worse": "ins-sft-3",
            "column": "math",
            "reported": 1.5,
        },
    ],
}
STAGES: dict[str, Any] = {
    "title": "Stages: what each adds",
    "kind": "ablation",
    "columns": ["ifeval", "average"],
    "rows": [
        {"name": "one", "model": "base", "title": "None", "reported": {}},
        {"name": "three", "model": "ins-sft-3", "title": "Three", "reported": {}},
    ],
    "claims": [{"text": "none beats three", "better": "one", "worse": "three", "column": "ifeval", "reported": None}],
}
TABLES = {"instruct": INSTRUCT, "stages": STAGES}
TITLES = {"ifeval": "IFEval-style constraints", "math": "Arithmetic"}
HITS = {
    "benchmark": ["math"] * 4,
    "benchmark_id": [f"{i:016x}" for i in range(4)],
    "benchmark_text": ["prompt"] * 4,
    "matched": [f"what is {i} + {i}" for i in range(4)],
    "overlap": [1.0, 1.0, 0.9, 0.8],
}
STEPS = ("format", "exact-dedup", "decontaminate")


@dataclass
class Builder:
    """Writes artifacts into the current folder, as a step does."""

    started: int = 0

    def record(self, step: str, outputs: Iterable[Path], inputs: Iterable[Path], settings: Any) -> dict[str, Any]:
        self.started += 1
        return {
            "step": step,
            "outputs": [path.as_posix() for path in outputs],
            "recipe": {"settings": settings, "seed": 1, "code": "c0de", "environment": {"train.txt": "5e7"}},
            "code": "c0de",
            "files": {f"{step.replace('.', '/')}.py": "c0de"},
            "inputs": {path.as_posix(): sha256_file(path) for path in inputs},
            "command": f"python -m {step}",
            "commit": "c0ffee00c0ffee00",
            "dirty": False,
            "host": "node7",
            "hardware": {"machine": "x86_64", "cpu": "AMD EPYC", "flags": ["avx2"], "cpus": 2, "gpus": []},
            "started": f"2026-01-02T03:{self.started:02d}:00+00:00",
            "seconds": 12.5,
            "peak_bytes": 500_000_000,
            "notes": {},
        }

    def folder(
        self,
        name: str,
        step: str,
        inputs: Iterable[Path] = (),
        settings: Any = None,
        counts: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> Path:
        """A folder artifact with text files and Parquet tables; returns its manifest."""
        folder = R / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        for file, rows in (tables or {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            pq.write_table(rows, folder / file)
        write_manifest(folder, dict(counts or {}))
        manifest = folder / MANIFEST
        record = self.record(step, [manifest], inputs, settings or {})
        write_json(folder / RUN, record | {"output": sha256_file(manifest)})
        return manifest

    def files(self, paths: list[Path], step: str, inputs: Iterable[Path], settings: Any) -> None:
        """Write the records for files that already exist."""
        record = self.record(step, paths, inputs, settings)
        for path in paths:
            write_json(run_path(path), record | {"output": sha256_file(path)})


def record_rows(count: int, **columns: list[Any]) -> pa.Table:
    """Records in the common schema, with a step's own columns added."""
    rows = [
        records.make_record(
            ("chat", "textbook")[i % 3 == 0],
            ("math", "code", "instruction", "knowledge", "general")[i % 7 % 5],
            [{"role": "user", "content": f"What is {i} + {i}?"}, {"role": "assistant", "content": f"It is {2 * i}."}],
            ("math", {"target": str(2 * i)}),
            {},
        )
        for i in range(count)
    ]
    made = pa.Table.from_pylist(rows, schema=records.SCHEMA)
    for name, values in columns.items():
        made = made.append_column(name, pa.array(values))
    return made


def build_data(make: Builder) -> dict[str, Path]:
    """Make sources, a curated pool and a data set."""
    synthetic = make.folder("synthetic", "scripts.sources.synthesize", files={"chat.jsonl": "{}\n"})
    raw = [
        make.folder(
            f"raw/{name}",
            "scripts.sources.normalize",
            [synthetic],
            {"name": name},
            {"records": 60},
            tables={"records/00000.parquet": record_rows(60)},
        )
        for name in ("chat", "ifeval", "math")
    ]
    books = {"format": (60, 55, {"empty": 5}), "exact-dedup": (55, 48, {"duplicate": 7}), "decontaminate": (48, 44, {})}
    books["decontaminate"][2].update({"contaminated": 4})
    before, pools = raw[0], []
    for step, (total, kept, dropped) in books.items():
        gone = record_rows(
            total - kept,
            step=[step] * (total - kept),
            reason=[reason for reason, n in dropped.items() for _ in range(n)],
            **(HITS if step == "decontaminate" else {}),
        )
        before = make.folder(
            f"pools/sft/{step}",
            f"scripts.curate.{step.replace('-', '_')}",
            [before],
            {"step": step, "threshold": 0.8},
            {"in": total, "kept": kept, "dropped": dropped}
            | ({"hits": {"ifeval": 0, "math": 4}} if step == "decontaminate" else {}),
            tables={"records/00000.parquet": record_rows(kept), "dropped/00000.parquet": gone},
        )
        pools.append(before)
    dataset = make.folder(
        "datasets/ins-sft-3",
        "scripts.mix.build",
        [before],
        {"size": 40},
        {
            "records": 40,
            "source": {"chat": 40},
            "domain": {"math": 16, "instruction": 12, "code": 8, "knowledge": 4},
            "band": {},
        },
        tables={"records/00000.parquet": record_rows(40)},
    )
    return {"raw": raw[0], "ifeval": raw[1], "math": raw[2], "pool": before, "dataset": dataset}


def log(metric: str, start: float, end: float) -> str:
    """A training log that goes from `start` to `end`, not quite smoothly."""
    lines = []
    for step in range(1, 41):
        value = end + (start - end) * math.exp(-step / 12) + 0.03 * math.sin(step)
        lines.append(json.dumps({"step": step, "loss": 0.4, "learning_rate": 1e-4} | {metric: round(value, 5)}))
    return "\n".join(lines) + "\n"


def build_models(make: Builder, data: Mapping[str, Path]) -> dict[str, Path]:
    """Make the models of `SOLVED`, each trained from the last."""
    base = make.folder(
        "models/base",
        "scripts.train.pretrain",
        [data["dataset"]],
        {"max_steps": 40},
        files={"log.jsonl": log("loss", 6, 2)},
    )
    sft = make.folder(
        "models/ins-sft-3",
        "scripts.train.sft",
        [base, data["dataset"]],
        {"learning_rate": 1e-3, "max_steps": 40},
        files={"log.jsonl": log("loss", 2.5, 0.6)},
    )
    graded = make.folder(
        "graded/rl",
        "scripts.distill.grade",
        [data["pool"], sft],
        {"samples": 4},
        {"records": 44, "band": {"easy": 20, "medium": 14, "hard": 10}},
        tables={
            "records/00000.parquet": record_rows(
                44,
                passes=[4] * 20 + [2] * 8 + [1] * 6 + [0] * 10,
                samples=[4] * 44,
                pass_rate=[1.0] * 20 + [0.5] * 8 + [0.25] * 6 + [0.0] * 10,
                band=["easy"] * 20 + ["medium"] * 14 + ["hard"] * 10,
                degenerate=[True] * 20 + [False] * 14 + [True] * 10,
            )
        },
    )
    grpo = make.folder(
        "models/ins-grpo",
        "scripts.train.grpo",
        [sft, graded],
        {"learning_rate": 1e-4, "beta": 0.0, "rollout": {"temperature": 1.0}},
        files={"log.jsonl": log("reward", 0.3, 0.62)},
    )
    return {"base": base, "ins-sft-3": sft, "ins-grpo": grpo}


def build_scores(make: Builder, data: Mapping[str, Path], models: Mapping[str, Path], name: str) -> None:
    """Make one model's generations and scores on both benchmarks: two samples per prompt with the same verdict."""
    for benchmark, solved in SOLVED[name].items():
        generations = R / "generations" / name / f"{benchmark}.parquet"
        generations.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(generation_rows(name, benchmark, solved), generations)
        make.files([generations], "scripts.evaluate.generate", [models[name], data[benchmark]], {"model": name})
        share = solved / PROMPTS
        score = R / "scores" / name / f"{benchmark}.json"
        score.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "value": share,
            "n": PROMPTS,
            "samples_per_prompt": 2,
            "stderr": math.sqrt(share * (1 - share) / (PROMPTS - 1)),
            "metric": "pass@1",
            "model": name,
            "benchmark": benchmark,
            "unverifiable": {"timeout": 1},
            "truncated": 0,
            "tokens": 7.5,
            "items": score_items(solved),
        }
        write_json(score, content)
        make.files([score], "scripts.evaluate.score", [generations], {"model": name})


def score_items(solved: int) -> list[dict[str, Any]]:
    """One verdict per sample; the second sample of the last prompt could not be verified."""
    items = []
    for index in range(PROMPTS):
        right = index < solved
        verdicts = [{"correct": right, "reason": "ok" if right else "wrong answer"} for _ in range(2)]
        if index == PROMPTS - 1:
            verdicts[1] = {"correct": None, "reason": "timeout: 2 s"}
        items.append({"id": f"{index:016x}", "value": float(right), "verdicts": verdicts})
    return items


def generation_rows(model: str, benchmark: str, solved: int) -> pa.Table:
    """Two samples per prompt, with markup in the text that a page must not interpret."""
    rows = [
        {
            "id": f"{index:016x}",
            "sample": sample,
            "prompt": [{"role": "user", "content": f"[{benchmark} {index}] Is 1 < 2 & 3 > 2? Answer <b>yes</b>."}],
            "response": f"{model} says {'yes' if index < solved else 'no'} </script><script>alert(1)</script>",
            "finish_reason": "stop",
            "tokens": 7 + sample,
            "thinking": False,
            "answer": {"kind": "choice", "spec": '{"target": "yes"}'},
        }
        for index in range(PROMPTS)
        for sample in range(2)
    ]
    return pa.Table.from_pylist(rows)


def execute(module: ModuleType, settings: Any, out: Iterable[Path], seed: int = 1, **inputs: Iterable[Path]) -> None:
    """Run a step of this stage in this process, as its rule would."""
    recipe = json.dumps({"settings": settings, "seed": seed})
    options = [part for name, paths in inputs.items() for part in (f"--{name}", *map(str, paths))]
    before, sys.argv = sys.argv, ["step", "--recipe", recipe, *options, "--out", *map(str, out)]
    try:
        module.main()
    finally:
        sys.argv = before


def cell_settings(name: str, row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The settings that the rule passes to a cell."""
    return {
        "table": name,
        "row": row["name"],
        "column": column,
        "model": row["model"],
        "reported": row["reported"].get(column),
        "scale": "tiny",
    }


def cell_inputs(spec: Mapping[str, Any], row: Mapping[str, Any], column: str) -> list[Path]:
    """The score files that a cell reads."""
    columns = spec["columns"][:-1] if column == "average" else [column]
    return [R / "scores" / row["model"] / f"{name}.json" for name in columns]


def make_tables(seed: int = 1) -> None:
    """Make all cells, then the tables."""
    for name, spec in TABLES.items():
        made = []
        for row in spec["rows"]:
            for column in spec["columns"]:
                made.append(R / "cells" / name / row["name"] / f"{column}.json")
                scores = cell_inputs(spec, row, column)
                execute(cell, cell_settings(name, row, column), [made[-1]], seed, scores=scores)
        outputs = [R / "tables" / f"{name}.{ending}" for ending in ("json", "md", "csv", "tex")]
        settings = {"name": name, "table": spec, "titles": TITLES, "training_noise": None}
        execute(table, settings, outputs, seed, cells=made, scores=sorted((R / "scores").rglob("*.json")))


def make_figures() -> None:
    """Make the funnel, then the figures."""
    outputs = [R / "funnel.json", R / "funnel.md"]
    execute(funnel, {"pools": {"sft": STEPS}}, outputs, pools=[R / f"pools/sft/{name}/manifest.json" for name in STEPS])
    execute(
        figures,
        {"tables": TABLES, "kinds": {"base": "pretrain", "ins-sft-3": "sft", "ins-grpo": "grpo"}},
        [R / "figures/manifest.json"],
        models=[R / f"models/{name}/manifest.json" for name in SOLVED],
        datasets=[R / "datasets/ins-sft-3/manifest.json"],
        graded=[R / "graded/rl/manifest.json"],
        funnel=[outputs[0]],
    )


def report_inputs() -> dict[str, list[Path]]:
    """The inputs of the report."""
    return {
        "tables": [R / f"tables/{name}.json" for name in TABLES],
        "cells": sorted((R / "cells").rglob("*.json")),
        "scores": sorted((R / "scores").rglob("*.json")),
        "generations": sorted((R / "generations").rglob("*.parquet")),
        "figures": [R / "figures/manifest.json"],
        "funnel": [R / "funnel.json"],
        "pools": [R / "pools/sft/decontaminate/manifest.json"],
    }


def build() -> None:
    """Make results/tiny below the current folder, complete except for the report."""
    make = Builder()
    data = build_data(make)
    models = build_models(make, data)
    for name in SOLVED:
        build_scores(make, data, models, name)
    make_tables()
    make_figures()
