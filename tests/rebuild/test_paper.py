"""The plan of the paper's scale with the cluster's profile: the resources that each job requests."""

from __future__ import annotations

import re
import shutil

import planner
import pytest

from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read
from tests.conftest import ROOT, copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("plans")]

JOB = re.compile(
    r"^rule (?P<rule>\S+):\n(?: {4}.*\n)*? {4}output: (?P<output>[^,\n]+).*\n"
    r"(?: {4}.*\n)*? {4}resources: (?P<requested>.*)$",
    re.M,
)
HERE = {"fetch_hub_dataset", "fetch_hub_model", "make_cell", "make_table"}
"""Rules whose jobs are not submitted."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of `snakemake --profile slurm -n` without results, with a profile that selects GPUs."""
    checkout = copy_of_the_project(tmp_path_factory.mktemp("paper") / "checkout")
    shutil.copytree(ROOT / "slurm", checkout.root / "slurm")
    profile = checkout.root / "slurm" / "profile.yaml"
    text = profile.read_text()
    for setting in ("gpu_model: h100", "gpu_constraint: ib"):
        assert f"  # {setting} " in text
        text = text.replace(f"  # {setting} ", f"  {setting} ")
    profile.write_text(text)
    return planner.dry_run(checkout.root, "--profile", "slurm")


def test_every_job_asks_for_its_steps_budget_and_for_nothing_else(plan: str) -> None:
    """Jobs that are not submitted request nothing. No job requests disk, whose default looks at every input's size."""
    config = read("paper")
    artifacts = Artifacts(config)
    jobs = list(JOB.finditer(plan))
    total = re.search(r"^total +(\d+)$", plan, re.M)
    assert total and len(jobs) == int(total[1]) - 1 > 800  # the target `all` makes nothing
    for job in jobs:
        requested = dict(item.split("=", 1) for item in job["requested"].split(", "))
        if job["rule"] in HERE:
            assert requested.keys() == {"tmpdir"}, job[0]
            continue
        budget = config.budget_of(artifacts.find(job["output"]).step)
        sizes = {name: int(requested[name]) for name in ("mem_mb", "runtime")}
        assert sizes == {"mem_mb": budget.memory_gb * 1000, "runtime": budget.minutes}, job[0]
        assert requested["slurm_partition"] == ("gpu" if budget.gpus else "cpu"), job[0]
        assert int(requested.get("gpu", 0)) == budget.gpus * budget.nodes, job[0]
        kind = (requested.get("gpu_model"), requested.get("constraint"))
        assert kind == (("h100", "ib") if budget.gpus else (None, None)), job[0]
        assert not {"disk_mb", "gpu_partition", "gpu_constraint"} & requested.keys(), job[0]
