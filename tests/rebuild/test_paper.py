"""The plan of the paper's scale with the cluster's profile: what each job asks for."""

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
    r"(?: {4}.*\n)*? {4}resources: (?P<asked>.*)$",
    re.M,
)
HERE = {"fetch_hub_dataset", "fetch_hub_model", "make_cell", "make_table"}
"""Rules whose jobs are not submitted."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `snakemake --profile slurm -n` prints where nothing is made, on a site that says which GPUs it wants."""
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
    """What is not submitted asks for nothing, and no job for disk, whose default looks at every input's size."""
    config = read("paper")
    artifacts = Artifacts(config)
    jobs = list(JOB.finditer(plan))
    total = re.search(r"^total +(\d+)$", plan, re.M)
    assert total and len(jobs) == int(total[1]) - 1 > 800  # the target `all` makes nothing
    for job in jobs:
        asked = dict(item.split("=", 1) for item in job["asked"].split(", "))
        if job["rule"] in HERE:
            assert asked.keys() == {"tmpdir"}, job[0]
            continue
        budget = config.budget_of(artifacts.find(job["output"]).step)
        sizes = {name: int(asked[name]) for name in ("mem_mb", "runtime")}
        assert sizes == {"mem_mb": budget.memory_gb * 1000, "runtime": budget.minutes}, job[0]
        assert asked["slurm_partition"] == ("gpu" if budget.gpus else "cpu"), job[0]
        assert int(asked.get("gpu", 0)) == budget.gpus * budget.nodes, job[0]
        kind = (asked.get("gpu_model"), asked.get("constraint"))
        assert kind == (("h100", "ib") if budget.gpus else (None, None)), job[0]
        assert not {"disk_mb", "gpu_partition", "gpu_constraint"} & asked.keys(), job[0]
