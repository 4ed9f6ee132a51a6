"""Train the tiny base's tokenizer: byte-level BPE like Qwen's, with the chat template of Qwen3.

Normalisation, pre-tokenisation (each digit is a token), the order of ids (merges first, added tokens last) and the
roles of the special tokens are Qwen2's and Qwen3's (arXiv 2309.16609, section 2.2; arXiv 2505.09388), so code that
works with this tokenizer works with theirs. A base model ends a text with <|endoftext|>, which also pads; a chat turn
ends with <|im_end|>.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from scripts.common.chat.thinking import THINK_END, THINK_START

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (Path(__file__).parent / "data" / "qwen3.jinja").read_text()
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's pre-tokenisation: words with the space before them, single digits, runs of punctuation, line ends."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, max_length: int) -> PreTrainedTokenizerBase:
    """A tokenizer of exactly `vocabulary` tokens. Raises ValueError if the texts give too few merges."""
    added = [
        *(AddedToken(text, special=True, normalized=False) for text in (END_OF_TEXT, TURN_START, TURN_END)),
        *(AddedToken(text, special=False, normalized=False) for text in (THINK_START, THINK_END)),
    ]
    tokenizer = FastTokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary - len(added),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(added)
    if tokenizer.get_vocab_size() != vocabulary:
        size = tokenizer.get_vocab_size()
        raise ValueError(f"the corpus gives {size} tokens: lower tokenizer.vocabulary from {vocabulary} to {size}")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
