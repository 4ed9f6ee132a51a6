"""Settings of curation: one model a step; a pool is a list of them, run in the order written."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scripts.common.settings import Domain, Settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]


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
        ),
        description="chat-template tokens of Qwen, GPT, Llama and Mistral: in a message's text they break the template",
    )
    mojibake: int = Field(
        default=1,
        ge=1,
        description="least number of character sequences that ftfy's detector calls mojibake. Of the 69,898 records of "
        "the small scale's files it finds one or more in 65, all of them damaged",
    )


class Language(Settings):
    """Keep the languages named, as a fastText model sees them, in the prompt and in the response."""

    step: Literal["language"]
    keep: tuple[str, ...] = Field(min_length=1)
    threshold: Share = Field(description="least probability of the kept languages together")
    minimum_letters: int = Field(ge=0, description="texts with fewer letters are not judged: `12 + 3` has no language")
    prompt_only: tuple[Domain, ...] = Field(
        default=("code",), description="domains whose responses are not judged: a program is in no human language"
    )


class Length(Settings):
    """Bounds on the record's length in tokens (a regex word tokenizer), by domain where stated."""

    step: Literal["length"]
    minimum: int = Field(ge=0)
    maximum: int = Field(gt=0)
    maximum_by_domain: dict[Domain, int] = Field(default={})


class Repetition(Settings):
    """Gopher's repetition rules on the response (arXiv 2112.11446, table A1), with shares of one's own.

    Gopher's shares are for web pages: 0.3 and 0.2 for lines, 0.20 to 0.16 for the commonest n-grams of 2 to 4
    words, 0.15 to 0.10 for all of 5 to 10. They drop 11 % of GSM8K's and CodeAlpaca's responses, none of them a loop.
    """

    step: Literal["repetition"]
    duplicate_lines: Share
    duplicate_line_chars: Share
    top_ngrams: tuple[tuple[int, Share], ...] = Field(description="(n, share of characters) of the commonest n-gram")
    duplicate_ngrams: tuple[tuple[int, Share], ...] = Field(description="(n, share of characters) in repeated n-grams")
    minimum_words: int = Field(
        ge=0, description="shorter responses are not judged: any n-gram is a large share of them"
    )


class Refusal(Settings):
    """Refusals and boilerplate about being a model, by regular expressions on the answer after any thinking."""

    step: Literal["refusal"]
    patterns: tuple[str, ...] = Field(
        default=(
            r"^(i'?m|i am) (very |so |really |truly )?(sorry|afraid|unable)\b.{0,60}"
            r"\b(can'?t|can ?not|unable|not able|won'?t)\b",
            r"^(i apologi[sz]e|my apologies|sorry|unfortunately)\b.{0,80}\b(can'?t|can ?not|unable|not able|won'?t)\b",
            r"^i (can'?t|can ?not|won'?t|am not able to|am unable to|must decline to) "
            r"(help|assist|answer|provide|comply|fulfil|create|write|do|continue|support|discuss)\b",
            r"\bas an? (\w+ )?(ai|artificial intelligence|language model|large language model|virtual assistant)\b",
            r"\b(i am|i'?m) (just |only |merely )?an? (ai|artificial intelligence|(large )?language model)\b",
            r"\bi (was|am|have been) (trained|developed|created|built) by "
            r"(openai|anthropic|google|meta|deepseek|alibaba|mistral)\b",
            r"\bmy (knowledge|training)( data)? (cut-?off|ends|only goes up to)\b",
            r"^(很?抱歉|对不起|不好意思).{0,40}(无法|不能|不会|不知道|不具备|没有|未)",
            r"(作为|我是)(一个|一名|一种)?(人工智能|AI|(大型)?语言模型)",
        ),
        min_length=1,
        description="searched case-insensitively, straight apostrophes; what stands in the prompt too is a quotation. "
        "After Tulu 3's keyword filters (open-instruct, filter_dataset_by_keywords.py and filter_cutoff_date.py)",
    )

    @field_validator("patterns")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return patterns


class Truncation(Settings):
    """Responses that stop in mid-sentence, in an open code fence or an open bracket."""

    step: Literal["truncation"]
    endings: str = Field(
        default=".!?:;)]}>\"'|`*_$%~\u3002\uff01\uff1f\u2026\uff09\u3011\u300d\u300f\u201d\u2019",
        description="characters that a finished line may end with (the last ten: full-width and quotation marks)",
    )
    minimum_words: int = Field(ge=1, description="a last line of fewer words is an answer, not a sentence cut short")
    unpunctuated_words: int = Field(
        ge=1, description="the same, where no other sentence of the response ends with a stop: perhaps it is a style"
    )


class Pii(Settings):
    """No e-mail address and no public IP address in prompt or response, as DataTrove's PIIFormatter finds them."""

    step: Literal["pii"]
    placeholder_domains: tuple[str, ...] = Field(
        default=("example.com", "example.net", "example.org"),
        min_length=1,
        description="e-mail domains that are nobody's: RFC 2606, section 3",
    )
    reserved_names: tuple[str, ...] = Field(
        default=("test", "example", "invalid", "localhost"),
        min_length=1,
        description="top-level names that are nobody's: RFC 2606, section 2",
    )


class Preference(Settings):
    """Which copy a deduplication keeps: the source's priority decides, then the pool's order."""

    priorities: dict[str, int] = Field(default={}, description="of sources; 0 where a source is not named")


class ExactDedup(Preference):
    """Same prompt after normalising Unicode forms, case and white space, and same response."""

    step: Literal["exact-dedup"]
    key: Literal["prompt", "prompt-response"] = Field(description="what makes two records the same")


class NearDedup(Preference):
    """MinHash near-duplicates across sources: LSH proposes pairs, their Jaccard similarity decides."""

    step: Literal["near-dedup"]
    ngram: int = Field(gt=0, description="words a shingle; texts with fewer words are left to exact-dedup")
    buckets: int = Field(gt=0, description="a pair of similarity s is proposed with 1 - (1 - s**hashes)**buckets")
    hashes_per_bucket: int = Field(gt=0)
    similarity: Share = Field(description="Jaccard similarity of the shingles from which on two records are the same")


class Decontaminate(Settings):
    """n-gram overlap with every configured benchmark, on normalised words."""

    step: Literal["decontaminate"]
    ngram: int = Field(gt=0, description="words; shorter benchmark texts are looked for as a whole")
    minimum_words: int = Field(gt=0, description="benchmark texts shorter than this are found only as a whole prompt")
    threshold: Share = Field(description="share of the benchmark text's n-grams that makes a hit")
    template_items: int = Field(
        gt=1, description="an n-gram in this many different benchmark items is a template and counts for none"
    )


class Classify(Settings):
    """fastText domain of records whose source states none. Drops nothing."""

    step: Literal["classify"]
    threshold: Share = Field(description="below this probability the domain is `general`")


class Audit(Settings):
    """The page that samples decontamination's hits."""

    samples: int = Field(default=5, gt=0, description="hits shown of each benchmark, and as many templates")
    characters: int = Field(default=600, gt=0, description="of each text")


Step = Annotated[
    Format
    | Language
    | Length
    | Repetition
    | Refusal
    | Truncation
    | Pii
    | ExactDedup
    | NearDedup
    | Decontaminate
    | Classify,
    Field(discriminator="step"),
]
STEPS = (
    "format",
    "language",
    "length",
    "repetition",
    "refusal",
    "truncation",
    "pii",
    "exact-dedup",
    "near-dedup",
    "decontaminate",
    "classify",
)


class Pool(Settings):
    """A pool of records: some sources, and the steps that curate them."""

    sources: tuple[str, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _steps_are_distinct(self) -> Pool:
        names = [step.step for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"a step stands twice in {names}: its folder is named by the step, so name each once")
        return self


class FastText(Settings):
    """Training of a fastText classifier."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    dimension: int = Field(gt=0)
    word_ngrams: int = Field(default=2, ge=1)
    min_char_ngram: int = Field(default=0, ge=0)
    max_char_ngram: int = Field(default=0, ge=0)
    buckets: int = Field(default=200_000, gt=0, description="hashed n-grams; the model has this many rows and more")
    held_out: Share = Field(description="share of the labelled texts kept for the accuracy")
    labels: dict[str, str] = Field(
        default={}, description="label of all records of a source, where the records themselves carry none"
    )
    agreement: Share = Field(
        default=0.05,
        description="least probability that a model of the embedded sentences alone gives such a label of a language",
    )
    per_label: int | None = Field(default=None, gt=0, description="at most this many texts a label; null: all")
    repeated_to: int = Field(
        default=1,
        gt=0,
        description="a label's texts are repeated while there are fewer: else a rare label is never the likeliest",
    )


class Classifiers(Settings):
    """The two classifiers that curation uses: language (labels from sources' meta) and domain."""

    language: FastText
    domain: FastText


class TrainClassifier(Settings):
    """What the training step gets: which classifier, and how it is trained."""

    target: Literal["language", "domain"]
    training: FastText
