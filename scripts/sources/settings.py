"""Settings of sources: where raw data comes from and how its rows become records."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scripts.common.answer_kinds import AnswerKind
from scripts.common.settings import Domain, Settings

Shape = Literal["messages", "sharegpt", "instruction", "pair", "text"]
Role = Literal["sft", "rl", "benchmark", "pretrain"]
UNPINNED = "unpinned"
"""In the place of a revision that is not established yet."""


class Adapter(Settings):
    """How one raw row becomes a record. Field names may be dotted paths (`reward_model.ground_truth`)."""

    shape: Shape = Field(
        description="messages: list of {role, content}; sharegpt: list of {from, value}; instruction: "
        "instruction + input + output; pair: one field for the prompt, one for the response; text: plain text"
    )
    prompt: str = Field(default="prompt", description="field of the prompt, the message list, or the text")
    input: str | None = Field(default=None, description="field appended to the instruction (instruction shape)")
    response: str | None = Field(default=None, description="field of the response; none for prompts alone")
    answer: AnswerKind = "none"
    target: str | None = Field(
        default=None, description="field of the gold answer (math); else `answer` (choice), `solution` (grid)"
    )
    target_pattern: str | None = Field(default=None, description="regex whose group 1 is the answer, e.g. #### (.+)")
    unanswered: Literal["drop", "keep"] = Field(
        default="drop",
        description="keep: if the pattern finds nothing, the record has no answer to verify (a proof)",
    )
    options: str | None = Field(default=None, description="field of the options' texts, put under the prompt (choice)")
    tests: str = Field(default="tests", description="field of the tests (code)")
    test_setup: str | None = Field(default=None, description="field of Python to run before each test (code)")
    hidden_tests: str | None = Field(default=None, description="field of further tests, packed or not (code)")
    setup: str = Field(default="", description="Python that comes before every program, such as imports (code)")
    starter: str | None = Field(default=None, description="field of code to start from; empty: a program of its own")
    entry_point: str | None = Field(default=None, description="field of the function's name (code)")
    instruction_ids: str = Field(default="instruction_id_list", description="field of the constraint ids")
    instruction_kwargs: str = Field(default="kwargs", description="field of the constraints' arguments")
    where: dict[str, str] = Field(default={}, description="fields' values of the rows that are taken; others are drops")
    strip_suffix: str | None = Field(default=None, description="text cut from the response's end, e.g. <|endoftext|>")
    meta: tuple[str, ...] = Field(default=(), description="fields kept in meta")

    @property
    def gold(self) -> str:
        """Field of the gold answer."""
        return self.target or ("solution" if self.answer == "grid" else "answer")

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields that the adapter reads, each with the setting that names it."""
        paths = {setting: getattr(self, setting) for setting in _FIELDS} | {"target": self.gold}
        read = {path: setting for setting, path in paths.items() if path and self._misplaced(setting) is None}
        return dict.fromkeys(self.meta, "meta") | dict.fromkeys(self.where, "where") | read

    def _misplaced(self, setting: str) -> str | None:
        """What a setting belongs to and what the adapter is, if its shape or its kind of answer does not use it."""
        for chosen, uses in ((self.shape, _SHAPES_OF), (self.answer, _ANSWERS_OF)):
            if chosen not in uses.get(setting, (chosen,)):
                return f"{setting} belongs to {' or '.join(uses[setting])}, and this is {chosen}"
        return None

    @field_validator("target_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is not None and re.compile(pattern).groups < 1:
                raise ValueError(f"{pattern} has no group: put the answer in brackets, as in #### (.+)")
        except re.error as error:
            raise ValueError(f"{pattern} is not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Adapter:
        if self.unanswered == "keep" and self.target_pattern is None:
            raise ValueError("unanswered: keep is about rows without a match of `target_pattern`: give one")
        if self.answer == "math" and self.target is None:
            raise ValueError("answer: math needs `target`, the field of the gold answer")
        return self

    @model_validator(mode="after")
    def _every_setting_is_used(self) -> Adapter:
        for setting, field in type(self).model_fields.items():
            if getattr(self, setting) != field.default and (problem := self._misplaced(setting)):
                raise ValueError(problem)
        return self


_FIELDS = (
    "prompt", "input", "response", "target", "options", "tests", "test_setup", "hidden_tests", "starter", "entry_point",
    "instruction_ids", "instruction_kwargs",
)  # fmt: skip
"""Settings of an adapter that are the name of one field."""
_SHAPES_OF: dict[str, tuple[Shape, ...]] = {
    "input": ("instruction",),
    "response": ("messages", "instruction", "pair"),
    "options": ("pair",),
    "starter": ("pair",),
}
"""Shapes that use a setting; one that is not here is used by all."""
_ANSWERS_OF: dict[str, tuple[AnswerKind, ...]] = {
    "target": ("math", "choice", "grid"),
    "target_pattern": ("math", "choice"),
    "unanswered": ("math", "choice"),
    "options": ("choice",),
    **dict.fromkeys(("tests", "test_setup", "hidden_tests", "setup", "starter", "entry_point"), ("code",)),
    **dict.fromkeys(("instruction_ids", "instruction_kwargs"), ("instructions",)),
}  # fmt: skip
"""Kinds of answer that use a setting; one that is not here is used by all."""


class SourceBase(Settings):
    """Settings of every kind of source."""

    role: Role
    domain: Domain | None = Field(description="null: the classifier predicts it")
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
    split: str = Field(default="", description="as `datasets` names it; none if `files` are stated")
    files: str | None = Field(
        default=None, description="pattern of the only files to fetch and read, in the order of their names"
    )
    rows: int | None = Field(default=None, gt=0, description="number of rows of the split; another one is an error")
    cut: bool = Field(default=False, description="the split has more than `rows`, of which the first are taken")

    @model_validator(mode="after")
    def _one_way_to_read(self) -> HubSource:
        if (self.files is None) == (not self.split):
            raise ValueError("give either `split` (and `subset`), or `files` if `datasets` does not know the layout")
        return self


Source = Annotated[SyntheticSource | FileSource | HubSource, Field(discriminator="kind")]
