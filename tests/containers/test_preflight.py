"""Each problem that is known before the first job starts is one line that names the fix."""

from __future__ import annotations

import math
import socket
import subprocess

import pytest

from scripts.common.budget import Budget
from scripts.containers import preflight
from scripts.workflow.config import ConfigError, read


def request(rule, **options):
    options = {"partition": "gpu", "account": "nebula", "time": "60", **options}
    return preflight.JobRequest(rule, tuple(options.items()))


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """A function that replaces one of SLURM's commands by a script with a fixed output and exit status."""

    def answers(name, text, status=0):
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\ncat >&{2 if status else 1} <<'END'\n{text}\nEND\nexit {status}\n")
        command.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for cached in (preflight.partitions, preflight._refusal):
        cached.cache_clear()
    return answers


def test_no_sbatch_on_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = preflight.slurm_problems([request("finetune_model")], "sacct", tmp_path)
    assert problem.startswith("sbatch is not on PATH: start on a login node")


@pytest.mark.parametrize(
    ("printed", "minutes"),
    [("infinite", math.inf), ("30:00", 30), ("12:00:00", 720), ("2-12:30:00", 3630)],
)
def test_walltimes_as_slurm_prints_them(printed, minutes):
    assert preflight._minutes(printed) == minutes


def test_a_disk_of_this_machine_is_refused_if_jobs_run_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "LOCAL_FILESYSTEMS", {file_system(tmp_path)})
    (problem,) = preflight.sharing_problems([tmp_path / "results" / "paper"], {"node7.site", "node8"})
    assert problem.startswith(f"{tmp_path}/results/paper is on a disk of this machine (")
    assert "that node node7 does not see: move it to the file system that the nodes share" in problem


def test_a_shared_file_system_is_not_a_local_one(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "LOCAL_FILESYSTEMS", frozenset({"ext2/ext3", "tmpfs"}) - {file_system(tmp_path)})
    assert preflight.sharing_problems([tmp_path], {"node7"}) == []


def test_any_disk_will_do_if_jobs_run_on_this_machine(tmp_path):
    assert preflight.sharing_problems([tmp_path], {f"{socket.gethostname()}.site"}) == []


def file_system(folder):
    command = ["stat", "--file-system", "--format", "%T", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_jobs_with_images_but_without_apptainer():
    (problem,) = preflight.image_problems({"train"}, apptainer=False)
    assert "--software-deployment-method apptainer" in problem


def test_jobs_without_images_need_none():
    assert preflight.image_problems(set(), apptainer=False) == []


def test_an_attention_kernel_that_no_job_could_fetch_names_both_ways_out(monkeypatch, tmp_path):
    name = "kernels-community/flash-attn2"
    monkeypatch.setenv("LOCAL_KERNELS", f"other/kernel=/x:{name}={tmp_path}")
    assert preflight.kernel_problems(["sdpa"]) == []
    (problem,) = preflight.kernel_problems(["flash_attention_2", "sdpa", "flash_attention_2"])
    assert f"export LOCAL_KERNELS={name}=FOLDER" in problem and "attention: sdpa" in problem
    (tmp_path / "build").mkdir()
    assert preflight.kernel_problems(["flash_attention_2"]) == []
    monkeypatch.delenv("LOCAL_KERNELS")
    assert len(preflight.kernel_problems(["flash_attention_2", "flash_attention_3"])) == 2


def test_too_little_disk_names_the_setting(tmp_path):
    (problem,) = preflight.disk_problems(tmp_path / "results", needed_gb=10**9)
    assert problem.startswith(f"{tmp_path}/results has ") and "lower disk_gb" in problem


def test_enough_disk_is_no_problem(tmp_path):
    assert preflight.disk_problems(tmp_path / "results", needed_gb=0) == []


def test_artifacts_that_are_made_already_need_no_room(tmp_path, monkeypatch):
    """9 GB are free and 10 are needed: 1 GB is missing, unless artifacts of 1 GB are made already."""
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 9 * 10**9}))
    assert preflight.disk_problems(tmp_path, needed_gb=10)
    with (tmp_path / "made").open("wb") as file:
        file.truncate(10**9)
    assert preflight.disk_problems(tmp_path, needed_gb=10) == []


def test_cpu_jobs_ask_for_more_and_gpu_jobs_resume():
    assert Budget(memory_gb=4, minutes=30).of_attempt(3) == Budget(memory_gb=12, minutes=90)
    assert Budget(gpus=8, memory_gb=4, minutes=30).of_attempt(3) == Budget(gpus=8, memory_gb=4, minutes=30)


def test_a_step_has_its_own_budget_over_the_defaults():
    config = read(
        "tiny", {"resources": {"default": {"cpus": 2, "minutes": 5}, "train.sft": {"gpus": 2, "minutes": 90}}}
    )
    assert config.budget_of("train.sft") == Budget(cpus=2, gpus=2, minutes=90)
    assert config.budget_of("tables.cell") == Budget(cpus=2, minutes=5)


def test_gpus_that_do_not_divide_a_batch_are_named_before_a_job_gets_them():
    with pytest.raises(ConfigError, match=r"models\.ins-sft-1\.training\.batch_size: \d+ is not a multiple .* 30 GPUs"):
        read("tiny", {"resources": {"train.sft": {"gpus": 15, "nodes": 2}}})


def test_a_budget_of_an_unknown_step_is_an_error():
    with pytest.raises(ConfigError, match=r"resources: 'train.stf' is not defined; did you mean train\.sft"):
        read("tiny", {"resources": {"train.stf": {"gpus": 8}}})


def test_a_controller_that_does_not_answer_is_one_line(slurm):
    slurm("sinfo", "sinfo: error: first\nsinfo: fatal: no controller", status=1)
    with pytest.raises(SystemExit, match=r"^sinfo failed \(sinfo: fatal: no controller\): is slurmctld running\?$"):
        preflight.partitions()


@pytest.mark.parametrize("storage", ["accounting_storage/none", "(null)"])
def test_settings_that_need_accounting_on_a_cluster_without(slurm, storage):
    """The answers of SLURM 22.05 and of 23.11."""
    slurm(
        "scontrol", f"AccountingStorageHost   = localhost\nAccountingStorageType   = {storage}\nAuthType = auth/munge"
    )
    account, status = preflight.accounting_problems({"nebula"}, "sacct")
    assert "slurm_account 'nebula' cannot be charged" in account and "add slurm-no-account: true" in account
    assert "slurm-status-command: sacct would never see a job end" in status and "set squeue" in status
    assert preflight.accounting_problems((), "squeue") == []


def test_settings_that_need_accounting_on_a_cluster_that_keeps_it(slurm):
    slurm("scontrol", "AccountingStorageType   = accounting_storage/slurmdbd")
    assert preflight.accounting_problems({"nebula"}, "sacct") == []


def test_an_account_that_slurm_rejects_is_named_once(slurm):
    """A setting of the profile concerns every rule; the size of a step's job concerns that step alone."""
    slurm("sbatch", "allocation failure: Invalid account or account/partition combination specified", status=1)
    (problem,) = preflight.refusals([request("generate_ifeval"), request("finetune_model")])
    assert "Invalid account" in problem and "set slurm_account in slurm/profile.yaml" in problem


def test_steps_that_ask_for_more_than_a_node_has_are_all_named(slurm):
    slurm("sbatch", "allocation failure: Requested node configuration is not available", status=1)
    problems = preflight.refusals([request("generate_ifeval", gpus="9"), request("finetune_model", gpus="9")])
    assert [problem.partition(":")[0] for problem in problems] == ["generate_ifeval", "finetune_model"]


def test_nodes_that_are_down_or_busy_are_no_reason_to_refuse(slurm):
    slurm("sbatch", "allocation failure: Required node not available (down, drained or reserved)", status=1)
    assert preflight.refusals([request("finetune_model")]) == []


def test_a_job_that_slurm_takes_is_no_problem(slurm):
    slurm("sbatch", "Job 7 to start at 2026-11-28T14:00:00 using 8 processors on nodes gpu1 in partition gpu")
    assert preflight.refusals([request("finetune_model")]) == []
