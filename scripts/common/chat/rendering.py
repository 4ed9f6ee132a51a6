"""Render chats as the text and the token ids that a model reads, the same way for generation and training.

The tokenizer's chat template does it (`enable_thinking` is Qwen's option), by the same call that TRL makes for prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scripts.common.records import Message

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A checkpoint's tokenizer.

    `local_files_only` is set because the tokenizer saves it into its files, and its default depends on HF_HUB_OFFLINE.
    """
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def render(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, **options: Any) -> str:
    """A chat as text, rendered by the tokenizer's template."""
    return cast(str, tokenizer.apply_chat_template(cast(Any, list(messages)), tokenize=False, **options))


def render_prompt(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, thinking: bool) -> str:
    """The prompt text that a model completes: `messages` and the beginning of the assistant's turn."""
    return render(messages, tokenizer, add_generation_prompt=True, enable_thinking=thinking)


def token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids of rendered texts, which already contain their special tokens."""
    return cast(
        list[list[int]], tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"]
    )
