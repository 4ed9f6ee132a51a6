"""Chats: thinking blocks, prompt templates, and rendering."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from scripts.common.chat.templates import PromptTemplate, apply_template
from scripts.common.chat.thinking import after_thinking, has_thinking, strip_thinking, thinking_response
from scripts.common.fingerprint import ROOT
from scripts.common.records import Message
from tests.common.nano import save_model

# --- Thinking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", "plain"),
        ("<think>a 5</think> b", "b"),
        ("a 5</think> b", "b"),
        ("b <think>a 5", "b"),
        ("<think>never closed 5", ""),
        ("<think>a</think> b <think>c</think> d", "b  d"),
        ("<think>a <think>b</think> c</think> d", "d"),
        ("a <think>b</think> c </think> d <think> e", "d"),
        ("18 <think>was it 18?</think>", "18"),
        ("", ""),
    ],
)
def test_an_answer_is_the_response_without_its_thinking(text: str, answer: str) -> None:
    assert strip_thinking(text) == answer


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("plain", "plain"),
        ("<think>a 5</think> b", "b"),
        ("a 5</think> b", "b"),
        ("<think>never closed 5", "<think>never closed 5"),  # a filter must see it to name the fault
        ("b <think>a 5", "b <think>a 5"),
        ("<think>a</think> b <think>c</think> d", "d"),
        ("<think>a</think> b <think>c", "b <think>c"),
    ],
)
def test_curation_sees_the_text_after_the_last_closed_block(text: str, rest: str) -> None:
    assert after_thinking(text) == rest


@pytest.mark.parametrize(
    ("text", "expected"), [("3", False), ("<think>1 + 2", False), ("1 + 2</think>3", True), ("<think></think>3", True)]
)
def test_a_response_thinks_if_its_thinking_ended(text: str, expected: bool) -> None:
    assert has_thinking(text) is expected


def test_a_response_with_thinking_is_its_parts() -> None:
    response = thinking_response("1 + 2", "3")
    assert response == "<think>\n1 + 2\n</think>\n\n3"
    assert has_thinking(response) and strip_thinking(response) == after_thinking(response) == "3"


# --- Prompt templates -----------------------------------------------------------------------------------------------


def test_a_template_goes_around_the_last_message() -> None:
    system: Message = {"role": "system", "content": "s {prompt}"}
    chat: list[Message] = [system, {"role": "user", "content": "a {b} {prompt}"}]
    assert apply_template(chat, "Q: {prompt} {x}") == [system, {"role": "user", "content": "Q: a {b} {prompt} {x}"}]
    assert chat[1]["content"] == "a {b} {prompt}", "the record's own messages stay as they are"
    assert apply_template(chat, None) == chat
    assert apply_template([], "Q: {prompt}") == []


def test_a_template_without_the_prompt_is_refused() -> None:
    assert TypeAdapter(PromptTemplate).validate_python("Q: {prompt}") == "Q: {prompt}"
    with pytest.raises(ValidationError, match=r"the template has no \{prompt\}"):
        TypeAdapter(PromptTemplate).validate_python("Q: {Prompt}")


# --- Tokenizers -----------------------------------------------------------------------------------------------------

SAVED_AGAIN = """
import sys
from pathlib import Path
from scripts.common.chat.rendering import load_tokenizer
load_tokenizer(Path(sys.argv[1])).save_pretrained(sys.argv[2])
"""


def test_a_tokenizer_is_saved_with_the_same_bytes_with_and_without_a_network(tmp_path: Path) -> None:
    """transformers writes into tokenizer_config.json whether it was allowed to access the hub."""
    checkpoint = save_model(tmp_path / "model").parent
    for offline in "01":
        environment = os.environ | {"HF_HUB_OFFLINE": offline}
        command = [sys.executable, "-c", SAVED_AGAIN, str(checkpoint), str(tmp_path / offline)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    saved = [{file.name: file.read_bytes() for file in (tmp_path / offline).iterdir()} for offline in "01"]
    assert saved[0] == saved[1] and "tokenizer_config.json" in saved[0]


# --- Cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["thinking", "templates", "rendering"])
def test_importing_the_chat_modules_is_fast(module: str) -> None:
    """Every step and the configuration import it: no torch, transformers or pandas comes with it."""
    code = (
        f"import sys, scripts.common.chat.{module}\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'pandas', 'datatrove'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
