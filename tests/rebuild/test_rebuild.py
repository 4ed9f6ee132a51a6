"""What reruns after an edit, and what does not: real edits to a built checkout, the plan read back from Snakemake."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import MINI, Checkout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

CONE = {"make_cell", "score_benchmarks", "generate_benchmarks"}
"""What a changed model reaches."""


@contextmanager
def edited(checkout: Checkout, name: str, change: Callable[[str], str]) -> Iterator[None]:
    """The file with `change` applied; its content is put back afterwards."""
    path = checkout.root / name
    before = path.read_text()
    after = change(before)
    assert after != before, f"the edit changes nothing in {name}"
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text, f"{old!r} is not there to be edited"
        return text.replace(old, new, 1)

    return change


def test_a_second_run_has_nothing_to_do(built: Checkout) -> None:
    assert built.planned() == {}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.yaml", replaced("# --- Models.", "# --- Other words.")),
        ("Snakefile", replaced("from raw corpora to tables", "from corpora to tables")),
        ("scripts/tables/report.py", lambda text: text + "\n# nobody asked for the report\n"),
        ("scripts/plan.py", lambda text: text + "\n# no step imports this\n"),
        ("slurm/profile.yaml", lambda text: text + "\n# another partition\n"),
        ("scales/paper.yaml", lambda text: text + "\n# another scale\n"),
        ("config.yaml", replaced("title: Instruct branch", "title: Another title")),
    ],
)
def test_what_no_result_depends_on_reruns_nothing(built: Checkout, name: str, change: Callable[[str], str]) -> None:
    if not (built.root / name).exists():
        shutil.copytree(MINI.parents[2] / Path(name).parent, built.root / Path(name).parent, dirs_exist_ok=True)
    with edited(built, name, change):
        assert built.planned() == {}


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        # one model's hyperparameter: that model and what is made from it
        (
            "config.yaml",
            replaced("mopd:\n    kind: opd\n", "mopd:\n    kind: opd\n    training: {learning_rate: 1.0e-4}\n"),
            {"distill_model": 1, "generate_benchmarks": 1, "score_benchmarks": 1, "make_cell": 1},
        ),
        # two hyperparameters that swap their values: invisible to Snakemake's own comparison of parameters
        (
            "scales/tiny.yaml",
            replaced("epsilon: 0.2\n    epsilon_high: 0.28", "epsilon: 0.28\n    epsilon_high: 0.2"),
            {"reinforce_model": 1, "generate_benchmarks": 1, "score_benchmarks": 1, "make_cell": 1},
        ),
        # a metric: scores anew from the generations that are there
        (
            "scales/tiny.yaml",
            replaced("metric: strict-prompt", "metric: pass@1"),
            {"score_benchmarks": 3, "make_cell": 3},
        ),
        # a benchmark's sampling: generations, nothing that was trained
        (
            "scales/tiny.yaml",
            replaced(
                "instruct: &greedy {temperature: 0.0, max_tokens: 48}",
                "instruct: &greedy {temperature: 0.0, max_tokens: 40}",
            ),
            {"generate_benchmarks": 3, "score_benchmarks": 3, "make_cell": 3},
        ),
        # the code of one step
        ("scripts/evaluate/score.py", lambda text: text + "\n# edited\n", {"score_benchmarks": 3, "make_cell": 3}),
        (
            "scripts/train/opd.py",
            lambda text: text + "\n# edited\n",
            {"distill_model": 2, "generate_benchmarks": 2, "score_benchmarks": 2, "make_cell": 2},
        ),
        # a helper of one stage's steps
        ("scripts/tables/cells.py", lambda text: text + "\n# edited\n", {"make_cell": 3}),
    ],
)
def test_an_edit_reruns_exactly_what_depends_on_it(
    built: Checkout, name: str, change: Callable[[str], str], expected: dict[str, int]
) -> None:
    with edited(built, name, change):
        assert built.planned() == expected


def test_a_verifier_reruns_all_that_verified(built: Checkout) -> None:
    with edited(built, "scripts/verify/choice.py", lambda text: text + "\n# edited\n"):
        planned = set(built.planned())
    assert {"cross_verify_responses", "grade_prompts", "reinforce_model", "score_benchmarks"} <= planned
    assert not planned & {"synthesize_corpora", "normalize_source", "pretrain_model"}


def test_a_filter_threshold_reruns_its_pool_from_there_on(built: Checkout) -> None:
    with edited(built, "scales/tiny.yaml", replaced("similarity: 0.8}", "similarity: 0.9}")):
        planned = built.planned()
    assert planned["curate_near_dedup"] == 1 and "curate_exact_dedup" not in planned
    assert not set(planned) & {"synthesize_corpora", "normalize_source", "pretrain_model", "curate_truncation"}


def test_a_lock_reruns_what_runs_in_that_environment(built: Checkout) -> None:
    with edited(built, "envs/cpu.txt", lambda text: text + "# another package\n"):
        assert "synthesize_corpora" in built.planned()


def test_touching_everything_reruns_nothing(built: Checkout) -> None:
    for path in built.root.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts and "results" not in path.parts:
            os.utime(path)
    assert built.planned() == {}


def test_an_edit_with_an_old_time_stamp_is_seen(built: Checkout) -> None:
    path = built.root / "scripts" / "evaluate" / "score.py"
    before, times = path.read_text(), (path.stat().st_atime, path.stat().st_mtime)
    path.write_text(before + "\n# edited\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    try:
        assert built.planned() == {"score_benchmarks": 3, "make_cell": 3}
    finally:
        path.write_text(before)
        os.utime(path, times)


def test_threads_and_resources_rerun_nothing(built: Checkout, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("resources: {train.grpo: {gpus: 8}}\n")
    output = built.snakemake(*built.targets, "--dry-run", "--configfile", str(overlay)).stdout
    assert "Nothing to be done" in output or not re.search(r"^total", output, re.M)


def test_a_moved_checkout_reruns_nothing(built: Checkout, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(built.root, moved, symlinks=True)
    assert Checkout(moved).planned() == {}


def test_a_deleted_intermediate_comes_back_only_when_it_is_needed(built: Checkout, tmp_path: Path) -> None:
    folder, away = built.results / "pools" / "sft" / "refusal", tmp_path / "away"
    shutil.move(folder, away)
    try:
        assert built.planned() == {}
    finally:
        shutil.move(away, folder)


def test_a_corrupted_checkpoint_is_caught_by_the_job_that_reads_it(built: Checkout) -> None:
    weights = next((built.results / "models" / "opd").glob("*.safetensors"))
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        with edited(
            built,
            "scales/tiny.yaml",
            replaced("greedy {temperature: 0.0, max_tokens: 48}", "greedy {temperature: 0.0, max_tokens: 47}"),
        ):
            target = "results/tiny/generations/opd/ifeval.parquet"
            kept = (built.root / target).read_bytes()
            run = built.snakemake(target, check=False)
            log = (built.results / "logs" / "generations" / "opd" / "ifeval.log").read_text()
        assert run.returncode != 0 and "does not have the content its manifest states" in log
    finally:
        weights.write_bytes(before)
        built.snakemake(target)
        assert (built.root / target).read_bytes() == kept


def test_a_step_remade_to_the_same_bytes_reruns_nothing_after_it(built: Checkout) -> None:
    """Early cutoff: a comment in a curation step makes its pool's step again, and that is all."""
    weights = {path: path.stat().st_mtime_ns for path in built.results.glob("models/*/manifest.json")}
    with edited(built, "scripts/curate/refusal.py", lambda text: text + "\n# edited\n"):
        built.reproduce(*built.targets)
        assert built.planned() == {}
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    built.reproduce(*built.targets)


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("instrct/ins-grpo/ifeval", "no table named 'instrct': did you mean instruct"),
        ("instruct/ins-grp/ifeval", "no row of instruct named 'ins-grp': did you mean ins-grpo"),
        ("instruct/ins-grpo/ifevl", "no column of instruct named 'ifevl': did you mean ifeval"),
    ],
)
def test_a_misspelt_cell_lists_the_close_matches(built: Checkout, cell: str, match: str) -> None:
    run = built.snakemake(f"results/tiny/cells/{cell}.json", "--dry-run", check=False)
    assert run.returncode != 0 and match in run.stdout + run.stderr
