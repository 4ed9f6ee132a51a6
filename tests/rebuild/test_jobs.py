"""Behaviour that a plan cannot show: jobs that read a corrupted artifact, and steps that write the same bytes again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import OVERLAY, Checkout, copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


def flip_last_bit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_second_run_has_nothing_to_do(built: Checkout) -> None:
    assert built.planned(*built.targets) == {}


def test_a_corrupted_checkpoint_is_caught_by_the_job_that_reads_it(copy: Checkout) -> None:
    """A plan reads only the manifest and does not notice. The job that reads the file notices and makes nothing."""
    flip_last_bit(next((copy.results / "models" / "opd").glob("*.safetensors")))
    target = "results/tiny/generations/opd/ifeval.parquet"
    (copy.root / target).unlink()
    run = copy.snakemake(target, check=False)
    log = (copy.results / "logs" / "generations" / "opd" / "ifeval.log").read_text()
    assert run.returncode != 0 and "does not have the content its manifest states" in log
    assert not (copy.root / target).exists()


def test_a_changed_manifest_reruns_what_was_made_of_it(copy: Checkout) -> None:
    manifest = copy.results / "models" / "opd" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"counts": {', '"counts": {"more": 1,', 1))
    assert copy.planned(*copy.targets) == {"generate_benchmarks": 1, "score_benchmarks": 1, "make_cell": 1}


def test_a_step_remade_to_the_same_bytes_reruns_nothing_after_it(copy: Checkout) -> None:
    """Early cutoff: a comment in a curation step reruns that step of the pool and nothing else."""
    manifests = {path: path.stat().st_mtime_ns for path in copy.results.rglob("manifest.json")}
    code = copy.root / "scripts" / "curate" / "refusal.py"
    code.write_text(code.read_text() + "\n# edited\n")
    copy.reproduce(*copy.targets)
    assert copy.planned(*copy.targets) == {}
    remade = [path for path, made in manifests.items() if path.stat().st_mtime_ns != made]
    assert remade == [copy.results / "pools" / "sft" / "refusal" / "manifest.json"]


def test_a_checkout_may_lie_anywhere_and_be_run_from_anywhere(tmp_path: Path) -> None:
    """The path may also contain spaces; results are written into the working directory."""
    checkout = copy_of_the_project(tmp_path / "my folder" / "checkout")
    elsewhere = Checkout(tmp_path / "else where")
    elsewhere.root.mkdir()
    shutil.copy2(checkout.root / OVERLAY, elsewhere.root)
    manifest = "results/tiny/synthetic/manifest.json"
    elsewhere.snakemake("--snakefile", str(checkout.root / "Snakefile"), manifest)
    assert (elsewhere.root / manifest).is_file() and not checkout.results.exists()
