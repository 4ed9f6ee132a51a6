"""Settings of `scripts.curate.format`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings


class Format(Settings):
    """Roles alternate and end as they should, no empty message, think blocks closed and not empty, text undamaged."""

    step: Literal["format"]
    last_role: Literal["assistant", "user"] = Field(description="assistant: samples to imitate; user: prompts alone")
    control_tokens: tuple[str, ...] = Field(
        default=(
            "<|im_start|>",
            "<|im_end|>",
            "<|endoftext|>",
            "<|eot_id|>",
            "<|start_header_id|>",
            "[INST]",
            "[/INST]",
            "<start_of_turn>",
            "<end_of_turn>",
            "<|system|>",
            "<|user|>",
            "<|assistant|>",
        ),
        description="chat-template tokens of Qwen, GPT, Llama, Mistral, Gemma, GLM and Zephyr; a message whose text contains "
        "one breaks the template",
    )
    mojibake: int = Field(
        default=1,
        ge=1,
        description="least number of character sequences that ftfy's detector calls mojibake. Of the 69,898 records of "
        "the small scale's files it finds one or more in 65, all of them damaged",
    )
