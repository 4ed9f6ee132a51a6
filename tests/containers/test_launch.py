"""A training starts as many processes as it has GPUs, and their number is not part of its recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.common.budget import Budget
from scripts.containers.launch import ON_NODE, launch
from scripts.workflow.config import ConfigError, read

IMAGE = Path("/project/containers/train.sif")


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_process_needs_no_launcher(gpus):
    assert str(launch(Budget(gpus=gpus), IMAGE, "--nv")) == "python -m"


def test_one_process_per_gpu_on_one_node():
    started = str(launch(Budget(gpus=8), IMAGE, "--nv"))
    assert started == "python -m torch.distributed.run --nproc-per-node 8 --shutdown-timeout 170 --standalone -m"


def test_sharded_by_deepspeed_if_the_scale_says_so():
    started = str(launch(Budget(gpus=8, deepspeed="scales/zero-3.json"), IMAGE, "--nv"))
    assert started.startswith("ACCELERATE_USE_DEEPSPEED=true ACCELERATE_DEEPSPEED_CONFIG_FILE=")
    assert "/scales/zero-3.json python -m torch" in started


def test_a_launcher_on_each_node_inside_the_image():
    started = str(launch(Budget(gpus=8, nodes=2, cpus=64), IMAGE, "--nv --bind /tmp"))
    tasks = "srun --nodes 2 --ntasks 2 --ntasks-per-node 1 --cpus-per-task 64 --kill-on-bad-exit=1"
    entered = f"bash {ON_NODE} {IMAGE} '--nv --bind /tmp' env python -m torch.distributed.run --nproc-per-node 8"
    assert started.startswith(f"{tasks} {entered}")
    assert started.endswith("--nnodes 2 -m")


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"evaluate.generate": {"nodes": 2}}, r"resources\.evaluate\.generate\.nodes: 2, but only trainings"),
        ({"train.sft": {"deepspeed": "zero.json"}}, r"resources\.train\.sft\.deepspeed: zero\.json does not exist"),
    ],
)
def test_impossible_budgets_are_refused(resources, problem):
    with pytest.raises(ConfigError, match=problem):
        read("tiny", {"resources": resources})
