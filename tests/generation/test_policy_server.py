"""Rollouts by a server: the plan, and again the job, report what is missing and which setting to change.

The weights go to the server by NCCL, so the way there and back needs GPUs: nothing here starts one.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from accelerate import Accelerator
from trl.generation.vllm_generation import VLLMGeneration

from scripts.generation.serving import VARIABLE, Serving
from scripts.train.policy import engine_arguments
from scripts.train.settings.on_policy import Rollout
from scripts.train.trainer import TrainingError
from scripts.workflow.config import ConfigError, read

URL = "http://node7:8000"


def planned(**overlay: Any) -> Any:
    """The paper's scale with the GRPO of the Instruct branch sampled by a server."""
    model = {"training": {"rollout": {"engine": "vllm-server"}}}
    return read("paper", {"models": {"ins-grpo": model}, **overlay})


def test_a_plan_needs_the_servers_url() -> None:
    with pytest.raises(ConfigError, match=r"models.ins-grpo.training.rollout.engine: .*serving.urls.ins-grpo: start"):
        planned()
    with pytest.raises(ConfigError, match=r"needs one server"):
        planned(serving={"urls": {"ins-grpo": [URL, "http://node8:8000"]}})
    config = planned(serving={"urls": {"ins-grpo": [URL]}})
    assert config.training_of("ins-grpo").rollout.engine == "vllm-server"


def test_a_plan_needs_gpus() -> None:
    without = {"train.grpo": {"gpus": 0}}
    with pytest.raises(
        ConfigError, match=r"over NCCL from a GPU of the training: set resources.train.grpo.gpus, or the engine transf"
    ):
        planned(serving={"urls": {"ins-grpo": [URL]}}, resources=without)


def test_a_colocated_engine_needs_gpus() -> None:
    """As the paper's scale has it, without its GPUs."""
    with pytest.raises(
        ConfigError,
        match=r"ins-grpo.training.rollout.engine: vllm-colocate shares the GPU of the training: set resources",
    ):
        read("paper", {"resources": {"train.grpo": {"gpus": 0}}})


def test_a_server_of_an_unknown_model_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"serving.urls: 'ins-gprp' is not defined; did you mean ins-grpo"):
        read("paper", {"serving": {"urls": {"ins-gprp": [URL]}}})


def rollout(kind: str) -> Rollout:
    return Rollout(temperature=1.0, max_prompt_tokens=64, max_completion_tokens=32, engine=kind)  # type: ignore[arg-type]


def test_a_job_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        TrainingError, match=r"by NCCL, and this machine has no GPU: set rollout.engine to transformers"
    ):
        engine_arguments(rollout("vllm-server"), "m")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(TrainingError, match=r"one server in serving.urls.m, not \[\]: start it .*vllm serve <init>"):
        engine_arguments(rollout("vllm-server"), "m")
    monkeypatch.setenv(VARIABLE, Serving(urls={"m": (URL,)}, start_minutes=2.0).model_dump_json())
    stated = engine_arguments(rollout("vllm-server"), "m")
    assert stated == {
        "use_vllm": True,
        "vllm_mode": "server",
        "vllm_server_base_url": URL,
        "vllm_server_timeout": 120.0,
    }


def test_a_request_states_all_that_vllm_would_take_from_the_checkpoint() -> None:
    """vLLM's `get_diff_sampling_param` reads these six settings from generation_config.json if a request omits them."""
    sent: dict[str, Any] = {}

    def generate(prompts: list[list[int]], features: Any, **settings: Any) -> dict[str, Any]:
        sent.update(settings)
        return {"prompt_ids": prompts, "completion_ids": [[5]], "logprobs": None}

    trl = object.__new__(VLLMGeneration)  # whose constructor connects to a server
    trl.mode, trl.accelerator, trl.vllm_client = "server", Accelerator(cpu=True), SimpleNamespace(generate=generate)
    trl.temperature, trl.top_p, trl.top_k, trl.min_p, trl.repetition_penalty = 0.7, 0.9, 0, None, 1.0
    trl.max_completion_length, trl.logprobs, trl.structured_outputs_regex, trl.generation_kwargs = 16, 0, None, {}
    trl.generate([[1, 2]], images=None, num_generations=1)
    stated = {"temperature": 0.7, "top_p": 0.9, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "max_tokens": 16}
    assert {name: sent[name] for name in stated} == stated


def test_the_other_engines_need_no_server() -> None:
    assert engine_arguments(rollout("transformers"), "m") == {}
    assert engine_arguments(rollout("vllm-colocate"), "m")["vllm_max_model_length"] == 96
