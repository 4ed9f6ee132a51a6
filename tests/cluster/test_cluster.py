"""The pipeline on a real SLURM in real Apptainer images: what runs where, what a failure costs, what a plan says.

The tests share one checkout and build on each other, in the order in which they stand.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import commands, slurm
from tests.cluster.conftest import IMAGE_OPTIONS, Site, jobs, wait_for

pytestmark = pytest.mark.cluster

CELL = "results/tiny/cells/cluster/opd/ifeval.json"
ON_GPUS = ("finetune_model", "reinforce_model", "distill_model", "generate_benchmarks")
PROBE_SECONDS = 300
SFT = "rule_finetune_model_wildcards_cluster-sft"


def artifact(path: str) -> str:
    return f"results/tiny/{path}/manifest.json"


def record(site: Site, model: str) -> dict[str, Any]:
    return json.loads((site.root / artifact(f"models/{model}")).with_name("run.json").read_text())


def text_of(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def states(rule: str) -> list[str]:
    """States of a rule's jobs, the oldest first."""
    return [job["state"] for job in jobs(rule)]


def ended(rule: str) -> list[str]:
    """States of a rule's jobs that have ended."""
    return [state for state in states(rule) if state in ("CANCELLED", "COMPLETED", "FAILED", "TIMEOUT")]


def running(rule: str) -> list[dict[str, str]]:
    return [job for job in jobs(rule) if job["state"] == "RUNNING"]


def refused(site: Site, profile: dict[str, str], settings: str, problems: list[str]) -> None:
    """Check that, with an edited profile and `settings` over the scale's, every problem is reported and no job runs."""
    overlay = site.root / "refused.yaml"
    overlay.write_text(settings)
    with site.edited_profile(profile):
        output = site.snakemake(CELL, check=False, overlay=overlay.name)
    for problem in problems:
        assert re.search(problem, output), output
    assert jobs() == []


def test_all_that_is_wrong_is_said_before_a_job_is_submitted(site: Site) -> None:
    """No images yet, an unknown partition, another that does not see the project, and a scale too large for both."""
    refused(
        site,
        {"slurm_partition: cpu ": "slurm_partition: far ", "gpu_partition: gpu ": "gpu_partition: gpus "},
        "disk_gb: 1000000\nresources: {default: {minutes: 100}}\n",
        [
            r"image \S+/containers/cpu\.sif is missing: build it with `snakemake --profile slurm containers`",
            r"partition 'gpus' does not exist here \(did you mean gpu or cpu\?\): set it in slurm/profile\.yaml",
            r"score_benchmarks asks for 100 minutes, but 'far' allows 60: lower its step's minutes in the scale's",
            r"is on a disk of this machine \(\S+\) that node elsewhere does not see",
            r"results/tiny has \d+ GB free and the scale needs 1000000: make room",
        ],
    )


def test_what_slurm_would_never_take_is_said_before_a_job_is_submitted(site: Site) -> None:
    """The profile as it comes, where there is no accounting: an account, `sacct`; a feature and memory no node has."""
    refused(
        site,
        {
            "slurm-status-command: squeue": "slurm-status-command: sacct",
            "  mem_mb:": "  slurm_account: nebula\n  gpu_constraint: fast\n  mem_mb:",
        },
        "resources: {evaluate.score: {memory_gb: 100000}}\n",
        [
            r"slurm_account 'nebula' cannot be charged, since this cluster keeps no accounting",
            r"slurm-status-command: sacct would never see a job end",
            r"Invalid feature specification: set gpu_constraint in slurm/profile\.yaml",
            r"score_benchmarks: .*: no node of the partition has that much: lower its step's gpus",
        ],
    )


def test_a_machine_without_slurm_is_named(site: Site, without_slurm: Path) -> None:
    output = site.snakemake(CELL, check=False, path=without_slurm)
    assert "sbatch is not on PATH: start on a login node of the cluster, or leave out --profile slurm" in output, output


def test_a_table_cell_is_made_by_jobs_of_the_cluster(site: Site, images: Path) -> None:
    """Its data are made on this machine in the same images, which changes no artifact; jobs make the rest."""
    sources = [artifact(f"raw/bench-{domain}") for domain in ("math", "code", "instruction", "knowledge")]
    site.run_locally(*sources, *map(artifact, ("models/base", "datasets/textbook", "datasets/cluster-rl")))
    site.snakemake(CELL)
    cell = json.loads((site.root / CELL).read_text())
    assert 0 <= cell["value"] <= 100 and cell["n"] == 20
    ran = {(job["rule"].partition("_wildcards")[0].removeprefix("rule_"), job["partition"]) for job in jobs()}
    assert ran == {(rule, "gpu") for rule in ON_GPUS} | {("score_benchmarks", "cpu")}
    assert {job["state"] for job in jobs()} == {"COMPLETED"}


def test_a_job_sees_its_gpus_and_nothing_of_the_host(site: Site, images: Path) -> None:
    run = record(site, "cluster-sft")
    assert run["hardware"]["gpus"] == ["0", "1"]
    assert run["image"] == json.loads((images / "cpu.sif.run").read_text())["output"]
    probe = "import os, sys; print(*sys.path, *os.environ, sep='\\n')"
    container = ["apptainer", "exec", "--home", str(site.root), *IMAGE_OPTIONS.split(), str(images / "cpu.sif")]
    environment = slurm.environment() | {"LEAK": "1", "PYTHONPATH": "/host"}
    seen = commands.run(*container, "python", "-c", probe, seconds=PROBE_SECONDS, **environment).splitlines()
    assert "/opt/env/lib/python3.11/site-packages" in seen
    assert not {"LEAK", "/host"} & set(seen)
    assert not [line for line in seen if "site-packages" in line and not line.startswith("/opt/env/")]


def test_a_job_verifies_programs(site: Site, images: Path) -> None:
    """The verifiers' sandbox makes its namespaces inside of an image's."""
    spec = {"tests": ["assert double(2) == 4"], "entry_point": "double"}
    programs = [f"```python\ndef double(x):\n    return {factor} * x\n```" for factor in (2, 3)]
    lines = [{"response": program, "answer": {"kind": "code", "spec": spec}} for program in programs]
    responses, verdicts = site.root / "programs.jsonl", site.root / "verdicts.jsonl"
    responses.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    container = ["apptainer", "exec", "--home", site.root, *IMAGE_OPTIONS.split(), images / "data.sif"]
    verify = [*container, "python", "-m", "scripts.verify", responses, verdicts]
    commands.run("srun", "--partition=cpu", *verify, seconds=PROBE_SECONDS, folder=site.root, **slurm.environment())
    assert [json.loads(line)["correct"] for line in verdicts.read_text().splitlines()] == [True, False]


def test_a_second_run_submits_nothing(site: Site) -> None:
    before = len(jobs())
    assert "Nothing to be done" in site.snakemake(CELL)
    assert len(jobs()) == before


def test_a_changed_lock_plans_the_rules_of_its_image_and_what_they_feed(site: Site) -> None:
    lock = site.root / "envs" / "cpu.txt"
    content = lock.read_text()
    lock.write_text(content + "# a comment\n")
    planned, output = site.planned(CELL), site.snakemake(CELL, check=False)
    lock.write_text(content)
    assert planned == {"pretrain_model", *ON_GPUS, "score_benchmarks", "make_cell"}
    assert "was built from another cpu.txt: rebuild it with `snakemake --profile slurm containers`" in output
    assert "Nothing to be done" in site.snakemake(CELL)


def test_a_cancelled_job_and_a_lost_node_cost_no_artifact(site: Site) -> None:
    """The model is made twice: by an undisturbed job, and by one that is cancelled, tried again and loses its node."""
    target = artifact("models/cluster-sft")
    undisturbed = (site.root / target).read_bytes()
    shutil.rmtree((site.root / target).parent)
    with site.started(target) as run:
        run.until("a checkpoint", site.reached)
        (cancelled,) = running(SFT)
        slurm.cancel(cancelled["id"])
        run.until("the next attempt", lambda: [job for job in running(SFT) if job["id"] != cancelled["id"]])
        resumed_at = site.reached()
        run.until("its first checkpoint", lambda: site.reached() > resumed_at)
        (lost,) = running(SFT)
        slurm.set_state(lost["nodes"], "down")
        (again,) = run.until("the same job's second start", lambda: running(SFT))
        slurm.set_state(lost["nodes"], "resume")
        run.finish()
    assert (again["id"], {again["nodes"], lost["nodes"]}) == (lost["id"], {"gpu1", "gpu2"})
    assert states(SFT)[-2:] == ["CANCELLED", "COMPLETED"]
    assert record(site, "cluster-sft")["notes"]["resumed_at"] > 0
    assert (site.root / target).read_bytes() == undisturbed


TROUBLE = """\
resources:
  train.sft: {gpus: 1}
  train.opd: {gpus: 1, nodes: 2}
  train.pretrain: {memory_gb: 1}
models:
  long:    # days of training
    {kind: sft, init: base, dataset: textbook, training: {max_steps: 100000, save_steps: 100000}}
  hungry:  # 40 million weights, 16 bytes each in training: needs 1.5 GB, not 1 and not 2
    kind: pretrain
    dataset: textbook
    training:
      {max_steps: 4, batch_size: 2, micro_batch_size: 2, architecture: {hidden_size: 1280, intermediate_size: 5120}}
  wide:    # over two nodes
    {kind: opd, init: cluster-sft, dataset: cluster-rl, teacher: cluster-grpo, training: {max_steps: 2}}
  fault:   # a length that no row has
    {kind: sft, init: base, dataset: textbook, training: {max_length: 2}}
"""
TROUBLED = ("long", "hungry", "wide", "fault")


@pytest.fixture(scope="module")
def trouble(site: Site, images: Path) -> str:
    """Snakemake's output of four trainings at once, most of which fail; each has one retry.

    The walltime of the long one is nearly over as soon as it trains; then it goes on until Ctrl-C cancels its job.
    """
    overlay, log = site.root / "trouble.yaml", site.root / "results/tiny/logs/models/long.log"
    overlay.write_text(TROUBLE)
    targets = [artifact(f"models/{name}") for name in TROUBLED]
    with site.started(*targets, "--retries", "1", overlay=overlay.name) as run:
        run.until("a step of the long training", lambda: re.search(r"^step \d+/100000", text_of(log), re.M))
        (job,) = running("wildcards_long")
        slurm.end_soon(job["id"])
        saved = run.until("its checkpoint", lambda: re.search(r"SIGTERM: saved at step (\d+)", text_of(log)))
        run.until("its next attempt", lambda: f"checkpoints/checkpoint-{saved[1]}\n" in text_of(log))
        run.until("the end of the others", lambda: len(ended("wildcards_(hungry|wide|fault)$")) == 5)
        run.interrupt()
    return run.output()


def test_a_training_saves_before_its_walltime_is_over_and_goes_on(site: Site, trouble: str) -> None:
    """And Ctrl-C cancels the job that runs."""
    wait_for("the job's end", lambda: len(ended("wildcards_long")) == 2)
    assert states("wildcards_long") == ["FAILED", "CANCELLED"]
    assert not (site.root / artifact("models/long")).exists()


def test_a_job_out_of_memory_is_tried_again_with_more_of_it(trouble: str) -> None:
    """On the CPU, whose partition allows 50 minutes, not twice 30."""
    assert "Exceeded job memory limit" in trouble  # in SLURM's log, which is shown; with cgroups the state says it too
    attempts = [(job["memory"], job["walltime"], job["state"]) for job in jobs("wildcards_hungry")]
    assert attempts == [("1000M", "30:00", "FAILED"), ("2000M", "50:00", "COMPLETED")]


def test_a_training_over_two_nodes_is_one_job(site: Site, trouble: str) -> None:
    """Two nodes, each with one process in an image, make one model."""
    (job,) = jobs("wildcards_wide")
    assert (job["state"], job["nodes"]) == ("COMPLETED", "gpu[1-2]")
    made = record(site, "wide")
    assert made["notes"]["processes"] == 2 and len(made["hardware"]["gpus"]) == 1


def test_a_fault_of_the_step_is_not_computed_again(site: Site, trouble: str) -> None:
    """The retry of the same run refuses to start, and shows the first attempt's traceback."""
    log = text_of(site.root / "results/tiny/logs/models/fault.log")
    assert re.search(r"(?s)DataError: none of .*Not repeated: the previous attempt failed with this error", log), log
    assert states("wildcards_fault") == ["FAILED", "FAILED"]
