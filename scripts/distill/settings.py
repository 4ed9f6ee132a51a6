"""Settings of response distillation, cross-verification and grading.

What a step's artifact depends on is a model of its own (`Draw`, `Grade`, ...), so that another threshold
or another rule does not generate again.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scripts.common.settings import Domain, Engine, Sampling, Settings
from scripts.verify.settings import VerifySettings

ORIGINAL = "original"
"""What stands for a teacher's name where the response is the source's own."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]


PROMPT, RESPONSE = "{prompt}", "{response}"
"""What templates have in the places of a prompt and of a response."""


class Draw(Settings):
    """How samples are drawn for the prompts of a pool."""

    samples: int = Field(gt=0, description="responses per prompt and model")
    sampling: Sampling
    thinking: bool
    prompts: int | None = Field(default=None, gt=0, description="at most this many prompts (first by id); null: all")
    templates: dict[Domain, str] = Field(
        default={}, description="by domain, what the last turn of the prompt becomes; the record keeps its own"
    )

    @field_validator("templates")
    @classmethod
    def _hold_the_prompt(cls, templates: dict[Domain, str]) -> dict[Domain, str]:
        for domain, template in templates.items():
            if PROMPT not in template:
                raise ValueError(f"the template of {domain} has no {PROMPT}: its prompts would not be asked")
        return templates


class Checks(Settings):
    """Bounds of the dimensions that need one."""

    languages: tuple[str, ...] = Field(default=("en",), min_length=1, description="labels of fastText's lid.176")
    language_threshold: Share = Field(
        default=0.5,
        description="least ratio of the probability of these languages together to that of the likeliest other one",
    )
    minimum_letters: int = Field(default=40, ge=0, description="with fewer letters no language is told: it passes")
    minimum_words: int = Field(default=1, ge=0, description="of the answer after any thinking")
    maximum_words: int | None = Field(default=None, gt=0, description="of the whole response; null: no bound")


class Judge(Settings):
    """A model that scores candidates. Its last number that `pattern` finds, as its place between the scale's ends."""

    model: str
    template: str = Field(description="what it is asked; {prompt} and {response} (without thinking) are filled in")
    pattern: str = Field(description="regular expression with one group: the score; the last match counts")
    lowest: float = Field(description="of the scale: becomes 0")
    highest: float = Field(description="of the scale: becomes 1")
    sampling: Sampling
    thinking: bool

    @model_validator(mode="after")
    def _can_be_asked_and_read(self) -> Judge:
        if missing := [name for name in (PROMPT, RESPONSE) if name not in self.template]:
            raise ValueError(f"the template has no {' and no '.join(missing)}: the judge would not see it")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern is no regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"pattern must have one group, the score; it has {groups}")
        if self.lowest >= self.highest:
            raise ValueError(f"lowest {self.lowest} must lie below highest {self.highest}")
        return self


class Acceptance(Settings):
    """The rule that combines the dimensions: a response is accepted when it meets every demand.

    A dimension that does not apply (a vote where nothing can be extracted, agreement with one teacher alone)
    demands nothing.
    """

    correct: Literal["verified", "where-verifiable", "any"] = Field(
        default="where-verifiable",
        description="verified: the verifier says correct; where-verifiable: that, or the prompt has no verifier",
    )
    format: bool = True
    language: bool = True
    length: bool = True
    minimum_vote: Share = 0.0
    minimum_agreement: Share = 0.0
    minimum_score: Share = Field(default=0.0, description="of the judge, 0 to 1; above 0, no score meets no demand")


class ResponseSet(Draw):
    """Teachers' samples for the prompts of a pool, with every verdict about them as a column."""

    pool: str
    teachers: tuple[str, ...] = Field(description="none: the set is the sources' own responses, verified")
    keep_original: bool = Field(description="the source's own response stands among the candidates")
    checks: Checks = Checks()
    accept: Acceptance = Acceptance()
    judge: Judge | None = None

    @model_validator(mode="after")
    def _someone_responds(self) -> ResponseSet:
        if ORIGINAL in self.teachers:
            raise ValueError(f"teachers: {ORIGINAL!r} stands for the source's own response; name the model otherwise")
        if len(set(self.teachers)) != len(self.teachers):
            raise ValueError(f"teachers: each once, not {list(self.teachers)}")
        if not self.teachers and not self.keep_original:
            raise ValueError("no candidate: name teachers, or set keep_original")
        if self.accept.minimum_score and self.judge is None:
            raise ValueError("accept.minimum_score needs a `judge`")
        return self

    @property
    def makers(self) -> tuple[str, ...]:
        """The models that the set's verdicts need."""
        return (*self.teachers, *([self.judge.model] if self.judge else []))

    @property
    def draw(self) -> Draw:
        """What the samples of one teacher depend on."""
        return Draw(**{name: getattr(self, name) for name in Draw.model_fields})


class Bands(Settings):
    """Difficulty by pass rate of the reference student: hard < hard_below <= medium < easy_from <= easy."""

    easy_from: Share
    hard_below: Share

    @model_validator(mode="after")
    def _ordered(self) -> Bands:
        if self.hard_below >= self.easy_from:
            raise ValueError(f"hard_below {self.hard_below} must lie below easy_from {self.easy_from}")
        return self


class GradedSet(Draw):
    """Pass rate of a reference student on the verifiable prompts of a pool, with pass@k for every k up to `samples`."""

    pool: str
    student: str
    bands: Bands

    @property
    def draw(self) -> Draw:
        """What the student's attempts depend on; the bands are not among it."""
        return Draw(**{name: getattr(self, name) for name in Draw.model_fields})


class SampleSettings(Settings):
    """Of `scripts.distill.sample`."""

    responses: Draw
    engine: Engine
    only_verifiable: bool = Field(default=False, description="prompts without a verifier are dropped (grading)")


class JudgeSettings(Settings):
    """Of `scripts.distill.judge`: the judge, and whose responses it sees."""

    judge: Judge
    teachers: tuple[str, ...]
    keep_original: bool
    prompts: int | None
    engine: Engine


class CrossVerifySettings(Settings):
    """Of `scripts.distill.cross_verify`."""

    responses: ResponseSet
    verify: VerifySettings


class GradeSettings(Settings):
    """Of `scripts.distill.grade`."""

    bands: Bands
    samples: int = Field(gt=0, description="attempts a prompt: pass@k goes up to it")
    verify: VerifySettings
