"""How a training's processes are started: one process, one per GPU, or one per GPU on each node of an allocation.

A launch says how a job runs, not what it makes, so it is not part of a recipe. The training reads the number of its
processes from WORLD_SIZE.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from scripts.common.budget import Budget
from scripts.common.fingerprint import ROOT

SAVE_SECONDS = 170
"""Seconds that processes have to write a checkpoint after SIGTERM; a little less than --signal in the profile."""
ON_NODE = ROOT / "containers" / "on_node.sh"


@dataclass(frozen=True)
class Untracked:
    """Part of a rule's command that says how a job runs, not what it makes: Snakemake compares only plain values."""

    text: str

    def __str__(self) -> str:
        return self.text


def launch(budget: Budget, image: Path | None, apptainer_arguments: str) -> Untracked:
    """The launch of a training with the budget. On several nodes each node enters `image` with the arguments."""
    if budget.gpus * budget.nodes <= 1:
        return Untracked("python -m")
    if budget.nodes == 1:
        return Untracked(f"{_sharding(budget)}{_torchrun(budget)} --standalone -m")
    within = f"env {_sharding(budget)}{_torchrun(budget)} --nnodes {budget.nodes} -m"
    enter = f"bash {ON_NODE} {image or '-'} {shlex.quote(apptainer_arguments)}"
    tasks = f"--nodes {budget.nodes} --ntasks {budget.nodes} --ntasks-per-node 1 --cpus-per-task {budget.cpus}"
    return Untracked(f"srun {tasks} --kill-on-bad-exit=1 {enter} {within}")


def _torchrun(budget: Budget) -> str:
    return f"python -m torch.distributed.run --nproc-per-node {budget.gpus} --shutdown-timeout {SAVE_SECONDS}"


def _sharding(budget: Budget) -> str:
    if budget.deepspeed is None:
        return ""
    return f"ACCELERATE_USE_DEEPSPEED=true ACCELERATE_DEEPSPEED_CONFIG_FILE={ROOT / budget.deepspeed} "
