"""Cells: values in points, averages and errors computed by hand, lineage back to the sources, refused inputs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common.artifacts import ArtifactError, check, read_json
from scripts.common.fingerprint import ROOT
from scripts.tables import cell
from scripts.tables.measurement import Cell, CellError, Measurement, average, measurement

INS = Path("results/tiny/cells/instruct/ins-grpo")
SETTINGS = {
    "table": "instruct",
    "row": "ins-grpo",
    "column": "ifeval",
    "model": "ins-grpo",
    "reported": None,
    "scale": "tiny",
}
SCORE = {
    "value": 0.25,
    "n": 4,
    "samples_per_prompt": 2,
    "stderr": 0.125,
    "model": "m",
    "benchmark": "ifeval",
    "metric": "pass@1",
}


def part(value: float, stderr: float, benchmark: str, n: int = 10, samples: int = 1) -> Measurement:
    return Measurement(value, stderr, n, samples, "m", benchmark, "pass@1")


def test_points_of_a_hundred() -> None:
    assert measurement(SCORE) == Measurement(25.0, 12.5, 4, 2, "m", "ifeval", "pass@1")


def test_average_by_hand() -> None:
    """Mean of 10, 20, 60 is 30; errors 1, 2, 2 give sqrt(1 + 4 + 4) / 3 = 1."""
    made = average([part(10, 1, "a", 5), part(20, 2, "b", 7), part(60, 2, "c", 8)])
    assert made == Measurement(30.0, 1.0, 20, 1, "m", "average", "mean")


def test_average_states_samples_only_if_they_agree() -> None:
    assert average([part(1, 1, "a", samples=4), part(2, 1, "b", samples=1)]).samples_per_prompt is None


@pytest.mark.parametrize("parts", [[], [part(1, 1, "a"), part(1, 1, "a")]])
def test_average_of_no_or_repeated_benchmarks_is_refused(parts: list[Measurement]) -> None:
    with pytest.raises(CellError, match="distinct benchmarks of one model"):
        average(parts)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n": 1, "stderr": None}, "at least two prompts"),
        ({"value": None}, "value is None"),
        ({"value": 25.0}, "must be a share between 0 and 1"),
        ({"stderr": float("nan")}, "stderr is nan"),
        ({"stderr": None}, "stderr is None"),
    ],
)
def test_scores_without_a_usable_number_are_refused(change: dict, word: str) -> None:
    with pytest.raises(CellError, match=word):
        measurement(SCORE | change)


def test_cell_of_a_benchmark(project: Path) -> None:
    """16 of 20 prompts: 80 points, standard error 100 * sqrt(0.8 * 0.2 / 19) = 9.1766."""
    made = Cell.read(INS / "ifeval.json")
    assert (made.value, made.n, made.samples_per_prompt, made.reported) == (80.0, 20, 2, None)
    assert made.stderr == pytest.approx(9.176629)
    assert (made.model, made.benchmark, made.metric) == ("ins-grpo", "ifeval", "pass@1")
    assert (made.commit, made.dirty) == ("c0ffee00c0ffee00", True)
    assert made.command == f"snakemake {INS}/ifeval.json --config scale=tiny seed=1"


def test_cell_of_the_average(project: Path) -> None:
    """(80 + 60) / 2 = 70; sqrt(0.16 / 19 + 0.24 / 19) * 100 / 2 = 7.2548."""
    made = Cell.read(INS / "average.json")
    assert (made.value, made.n, made.reported, made.benchmark) == (70.0, 40, 61.85, "average")
    assert made.stderr == pytest.approx(7.254763)


def test_lineage_reaches_the_raw_sources(project: Path) -> None:
    made = Cell.read(INS / "ifeval.json").lineage
    assert list(made) == sorted(made)
    assert [path.removeprefix("results/tiny/") for path in made] == [
        "datasets/ins-sft-3/manifest.json",
        "generations/ins-grpo/ifeval.parquet",
        "graded/rl/manifest.json",
        "models/base/manifest.json",
        "models/ins-grpo/manifest.json",
        "models/ins-sft-3/manifest.json",
        "pools/sft/decontaminate/manifest.json",
        "pools/sft/exact-dedup/manifest.json",
        "pools/sft/format/manifest.json",
        "raw/chat/manifest.json",
        "raw/ifeval/manifest.json",
        "scores/ins-grpo/ifeval.json",
        "synthetic/manifest.json",
    ]
    for path, digest in made.items():
        assert (
            read_json(Path(path).with_name("run.json") if path.endswith("manifest.json") else Path(f"{path}.run"))[
                "output"
            ]
            == digest
        )


def test_order_of_the_keys(project: Path) -> None:
    assert list(read_json(INS / "ifeval.json")) == [
        "value",
        "n",
        "samples_per_prompt",
        "stderr",
        "reported",
        "model",
        "benchmark",
        "metric",
        "lineage",
        "commit",
        "dirty",
        "command",
    ]


@pytest.mark.parametrize(
    ("settings", "scores", "error", "word"),
    [
        ({"model": "base"}, ["ins-grpo/ifeval"], CellError, "is of the model 'ins-grpo'; the row 'ins-grpo' shows"),
        ({}, ["ins-grpo/math"], CellError, "takes that benchmark's score alone"),
        ({}, ["ins-grpo/ifeval", "ins-grpo/math"], CellError, "takes that benchmark's score alone"),
        ({"column": "average"}, [], CellError, "distinct benchmarks"),
        ({"colour": 1}, ["ins-grpo/ifeval"], ValueError, r"\['colour'\] missing or unknown"),
    ],
)
def test_wrong_scores_make_no_cell(own_copy: Path, run_step, settings, scores, error, word: str) -> None:
    out = Path("results/tiny/cells/instruct/new/ifeval.json")
    with pytest.raises(error, match=word):
        run_step(cell, SETTINGS | settings, [out], scores=[f"results/tiny/scores/{name}.json" for name in scores])
    assert not out.exists()


def test_cell_of_a_remade_model_is_refused(own_copy: Path, run_step) -> None:
    """The score is unchanged, but the model behind it was made again: the lineage would be false."""
    record = Path("results/tiny/models/ins-sft-3/run.json")
    record.write_text(json.dumps(read_json(record) | {"output": "0" * 64}))
    with pytest.raises(ArtifactError, match=r"ins-grpo/manifest\.json was made from .*ins-sft-3/manifest\.json"):
        run_step(cell, SETTINGS, [INS / "ifeval.json"], scores=["results/tiny/scores/ins-grpo/ifeval.json"])


def test_cell_is_byte_identical_on_a_rerun(own_copy: Path, run_step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEBULA_COMMIT", "c0ffee00c0ffee00")
    monkeypatch.setenv("NEBULA_DIRTY", "true")
    before = (INS / "ifeval.json").read_bytes()
    run_step(cell, SETTINGS, [INS / "ifeval.json"], scores=["results/tiny/scores/ins-grpo/ifeval.json"])
    assert (INS / "ifeval.json").read_bytes() == before


def test_as_its_own_process(own_copy: Path) -> None:
    """The command that the log prints, run without the rules. It must stay quick: there are hundreds of cells."""
    command = [sys.executable, "-m", "scripts.tables.cell", "--recipe", json.dumps({"settings": SETTINGS, "seed": 1})]
    command += ["--scores", "results/tiny/scores/ins-grpo/ifeval.json", "--out", f"{INS}/ifeval.json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert check(INS / "ifeval.json") == []
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0  # seconds of CPU: others may run
