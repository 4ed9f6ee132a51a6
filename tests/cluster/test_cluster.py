"""The pipeline on a real SLURM in real Apptainer images: what runs where, what a failure costs, what a plan says.

The tests share one checkout and build on each other, in the order in which they stand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import IMAGE_OPTIONS, Site, jobs, wait_for

pytestmark = pytest.mark.cluster

CELL = "results/tiny/cells/opd/opd/ifeval.json"
STUDENT = "results/tiny/models/ins-sft-3/manifest.json"
ON_GPUS = ("finetune_model", "reinforce_model", "distill_model", "generate_benchmarks")
JOB_SECONDS = 180
"""From submission to the first sign of a job: scheduling, two starts of Snakemake, imports in the container."""


def model(name: str) -> str:
    return f"results/tiny/models/{name}/manifest.json"


def record(site: Site, name: str) -> dict:
    return json.loads((site.results / "models" / name / "run.json").read_text())


def test_a_missing_image_stops_everything_before_a_job_is_submitted(site: Site):
    said = site.snakemake(CELL, check=False)
    assert re.search(r"image \S+/containers/cpu\.sif is missing: build it with `snakemake containers`", said)
    assert jobs() == []


def test_an_unknown_partition_is_named_with_the_known_ones(site: Site, images):
    profile = site.profile.read_text()
    site.profile.write_text(profile.replace("gpu_partition: gpu", "gpu_partition: gpus"))
    said = site.snakemake(CELL, check=False)
    site.profile.write_text(profile)
    assert "partition 'gpus' does not exist here (did you mean gpu?): set it in slurm/profile.yaml" in said
    assert jobs() == []


def test_a_table_cell_is_made_by_jobs_of_the_cluster(site: Site, images):
    """Data is made on this machine in the same images, which is no difference to the artifacts; then the cluster."""
    site.run_locally(model("ins-sft-2"), "results/tiny/datasets/ins-stage-3/manifest.json")
    site.snakemake(CELL, model("ins-grpo"))
    cell = json.loads((site.root / CELL).read_text())
    assert 0 <= cell["value"] <= 100 and cell["n"] > 0
    ran = {(job["rule"].split("_wildcards")[0].removeprefix("rule_"), job["partition"], job["state"]) for job in jobs()}
    assert {(rule, "gpu", "COMPLETED") for rule in ON_GPUS} <= ran
    assert ("score_benchmarks", "cpu", "COMPLETED") in ran


def test_a_job_sees_its_gpus_and_nothing_of_the_host(site: Site, images):
    run = record(site, "ins-sft-3")
    assert run["hardware"]["gpus"] == [str(number) for number in range(8)]
    assert run["image"] == json.loads((site.root / "containers" / "cpu.sif.run").read_text())["output"]
    probe = "import os, sys; print(*sys.path, *os.environ, sep='\\n')"
    container = ["apptainer", "exec", "--home", str(site.root), *IMAGE_OPTIONS.split(), str(images / "cpu.sif")]
    environment = slurm.environment() | {"LEAK": "1"}
    seen = subprocess.run(
        [*container, "python", "-c", probe], env=environment, text=True, capture_output=True, timeout=60
    ).stdout.splitlines()
    assert "/opt/env/lib/python3.11/site-packages" in seen
    assert "LEAK" not in seen
    assert not any("site-packages" in line and not line.startswith("/opt/env/") for line in seen)


def test_a_second_run_submits_nothing(site: Site):
    before = len(jobs())
    assert "Nothing to be done" in site.snakemake(CELL, model("ins-grpo"))
    assert len(jobs()) == before


def test_a_cancelled_job_is_resumed_and_gives_the_same_artifact(site: Site):
    """The artifact is made twice: by an undisturbed job, and by one that is cancelled half way and tried again."""
    target = model("ins-sft-3")
    undisturbed = (site.root / target).read_bytes()
    shutil.rmtree((site.root / target).parent)
    run = site.start(target)
    job = wait_for("a checkpoint", JOB_SECONDS, lambda: site.checkpoints() and jobs("finetune_model")[-1:])[0]
    slurm.run("scancel", job["id"], seconds=slurm.COMMAND_SECONDS)
    assert run.wait(timeout=JOB_SECONDS) == 0
    assert [job["state"] for job in jobs("finetune_model")][-2:] == ["CANCELLED", "COMPLETED"]
    assert record(site, "ins-sft-3")["notes"]["resumed_at"] > 0
    assert (site.root / target).read_bytes() == undisturbed


def test_a_job_out_of_walltime_is_tried_again_and_goes_on(site: Site):
    """A training that would take hours, with a minute of walltime; ended by Ctrl-C, which cancels the job that runs."""
    (site.root / "long.yaml").write_text(
        "resources: {train.sft: {minutes: 1}}\nmodels: {opd-sft: {training: {max_steps: 1000000, save_steps: 5}}}\n"
    )
    run = site.start(model("opd-sft"), overlay="long.yaml")
    log = site.results / "logs" / "models" / "opd-sft.log"
    wait_for("the time limit", JOB_SECONDS, lambda: "TIMEOUT" in [job["state"] for job in jobs("opd-sft")])
    wait_for("the second attempt", JOB_SECONDS, lambda: log.exists() and "resuming from" in log.read_text())
    os.kill(run.pid, signal.SIGINT)
    run.wait(timeout=JOB_SECONDS)
    assert jobs("opd-sft")[-1]["state"] == "CANCELLED"
    assert not (site.root / model("opd-sft")).exists()


def test_a_fault_of_the_step_is_not_computed_again(site: Site):
    """An impossible setting: the retries of the same run refuse to start."""
    (site.root / "fault.yaml").write_text("models: {opd-sft: {training: {micro_batch_size: 7}}}\n")
    said = site.snakemake(model("opd-sft"), "--retries", "1", check=False, overlay="fault.yaml")
    assert "Not repeated: the attempt before failed by this fault" in said
    assert [job["state"] for job in jobs("opd-sft")][-2:] == ["FAILED", "FAILED"]


@pytest.mark.parametrize(
    ("environment", "changed"),
    [("data", {"score_benchmarks", "make_cell"}), ("cpu", {"pretrain_model", "finetune_model", "reinforce_model"})],
)
def test_a_changed_lock_plans_the_rules_of_its_image(site: Site, environment, changed):
    lock = site.root / "envs" / f"{environment}.txt"
    content = lock.read_text()
    lock.write_text(content + "# a comment\n")
    by_params = site.changed(CELL, model("ins-grpo"))
    said = site.snakemake(CELL, check=False)
    lock.write_text(content)
    assert changed <= by_params
    assert f"was built from another {environment}.txt: rebuild it with `snakemake containers`" in said
