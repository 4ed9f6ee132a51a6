"""The card of a model: metadata for the Hub, figures from the log, and a snippet that runs."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest
import yaml

from scripts.common.artifacts import read_json
from tests.train.lab import log_of


@pytest.fixture(scope="module")
def text(lab: types.SimpleNamespace) -> str:
    return (lab.ins.parent / "README.md").read_text()


def test_its_metadata_are_valid_for_the_hub(text: str) -> None:
    head = yaml.safe_load(text.split("---\n")[1])
    assert head == {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["qwen3", "sft"]}


def test_it_names_the_inputs_and_the_course_of_the_training(lab: types.SimpleNamespace, text: str) -> None:
    counts, log = read_json(lab.ins)["counts"], log_of(lab.ins.parent)
    assert f"{lab.counts['parameters']:,} parameters, 60 steps, seed 1" in text
    assert re.search(r"^\| dataset \| chats \| `[0-9a-f]{16}` \|$", text, re.M)
    assert re.search(r"^\| init \| out \| `[0-9a-f]{16}` \|$", text, re.M)
    assert "| in | 200 |" in text and "| dropped: too long | 0 |" in text, counts
    assert f"| loss | {log[0]['loss']:.4g} | {log[-1]['loss']:.4g} |" in text
    assert yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.S)[0])["max_steps"] == 60
    assert str(lab.folder) not in text


def test_its_snippet_runs(lab: types.SimpleNamespace, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(code.replace('"..."', repr(str(lab.ins.parent))), {})
    printed = capsys.readouterr().out
    assert printed.strip() and "<|im_end|>" not in printed


def test_a_base_model_has_no_snippet_for_chats(lab: types.SimpleNamespace) -> None:
    text = Path(lab.base.parent / "README.md").read_text()
    assert "pretraining" in text and "```python" not in text
