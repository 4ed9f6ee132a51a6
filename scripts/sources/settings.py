"""Settings of sources: where raw data comes from and how its rows become records."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.answer_kinds import AnswerKind
from scripts.common.settings import Domain, Settings

Role = Literal["sft", "rl", "benchmark", "pretrain"]
UNPINNED = "unpinned"
"""Stands for a revision that is not established yet."""


class Adapter(Settings):
    """How one raw row becomes a record. Field names may be dotted paths (`reward_model.ground_truth`)."""

    shape: Literal["messages", "sharegpt", "instruction", "pair", "text"] = Field(
        description="messages: list of {role, content}; sharegpt: list of {from, value}; instruction: "
        "instruction + input + output; pair: one field for the prompt, one for the response; text: plain text"
    )
    prompt: str = Field(default="prompt", description="field of the prompt, the message list, or the text")
    input: str | None = Field(default=None, description="field appended to the instruction (instruction shape)")
    response: str | None = Field(default=None, description="field of the response; none for prompts alone")
    answer: AnswerKind = "none"
    target: str | None = Field(default=None, description="field of the gold answer (math, choice, grid)")
    target_pattern: str | None = Field(default=None, description="regex whose group 1 is the answer, e.g. #### (.+)")
    unanswered: Literal["drop", "keep"] = Field(
        default="drop",
        description="keep: where the pattern finds nothing, the record has no answer to verify (a proof)",
    )
    options: str | None = Field(default=None, description="field of the options' texts, put under the prompt (choice)")
    tests: str | None = Field(default=None, description="field of the tests (code)")
    hidden_tests: str | None = Field(default=None, description="field of further tests, packed or not (code)")
    setup: str = Field(default="", description="Python that comes before every program, such as imports (code)")
    starter: str | None = Field(default=None, description="field of code to start from; empty: a program of its own")
    entry_point: str | None = Field(default=None, description="field of the function's name (code)")
    instruction_ids: str | None = Field(default=None, description="field of the constraint ids (instructions)")
    instruction_kwargs: str | None = Field(default=None, description="field of the constraints' arguments")
    where: dict[str, str] = Field(default={}, description="fields' values of the rows that are taken; others are drops")
    strip_suffix: str | None = Field(default=None, description="text cut from the response's end, e.g. <|endoftext|>")
    meta: tuple[str, ...] = Field(default=(), description="fields kept in meta")

    @model_validator(mode="after")
    def _only_a_pattern_finds_nothing(self) -> Adapter:
        if self.unanswered == "keep" and self.target_pattern is None:
            raise ValueError("unanswered: keep is about rows without a match of `target_pattern`: give one")
        return self


class SourceBase(Settings):
    """What every source states."""

    role: Role
    domain: Domain | None = Field(description="null where the classifier is to say")
    licence: str
    adapter: Adapter
    priority: int = Field(default=0, description="deduplication keeps the copy of the highest priority")


class SyntheticSource(SourceBase):
    """A file of the embedded corpora, made by the seeded generator."""

    kind: Literal["synthetic"]
    file: str


class FileSource(SourceBase):
    """A local file or a URL (Parquet, JSON, JSONL, gzipped or not), pinned by its content."""

    kind: Literal["file"]
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class HubSource(SourceBase):
    """A data set of the hub, pinned to a commit."""

    kind: Literal["hub"]
    dataset: str
    revision: str = Field(
        pattern=rf"^([0-9a-f]{{40}}|{UNPINNED})$",
        description=f"40 hex digits, never a branch; `{UNPINNED}` can be planned but not run, and "
        "scripts.workflow.pin fills it in",
    )
    subset: str | None = None
    split: str = Field(default="", description="as `datasets` names it; none where `files` are stated")
    files: str | None = Field(
        default=None, description="pattern of the only files to fetch and read, in the order of their names"
    )
    rows: int | None = Field(default=None, gt=0, description="how many the split has; another number is an error")
    cut: bool = Field(default=False, description="the split has more than `rows`, of which the first are taken")

    @model_validator(mode="after")
    def _one_way_to_read(self) -> HubSource:
        if (self.files is None) == (not self.split):
            raise ValueError("give either `split` (and `subset`), or `files` where `datasets` does not know the layout")
        return self


Source = Annotated[SyntheticSource | FileSource | HubSource, Field(discriminator="kind")]


class Synthetic(Settings):
    """The generator of the embedded corpora: sizes, and the rate of each planted fault."""

    sft: dict[Domain, int] = Field(description="SFT samples a domain, before faults are planted")
    rl: dict[Domain, int] = Field(description="RL candidates a domain")
    pretrain: int = Field(gt=0, description="documents of the base model's corpus")
    textbook: int = Field(gt=0, description="faultless exchanges of the distillation teacher's corpus")
    creatures: int = Field(gt=0, description="subjects of the invented world's facts")
    thinking: float = Field(ge=0.0, le=1.0, description="share of responses that think first")
    benchmark: int = Field(gt=0, description="items of each held-out benchmark")
    faults: dict[
        Literal[
            "wrong",
            "exact",
            "near",
            "leak",
            "language",
            "truncated",
            "refusal",
            "loop",
            "format",
            "encoding",
            "pii",
        ],
        Annotated[float, Field(ge=0.0, le=0.5)],
    ] = Field(description="share of SFT samples that get the fault")
