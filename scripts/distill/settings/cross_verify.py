"""Settings of `scripts.distill.cross_verify`; `ResponseSet` is also an entry of `responses:` in the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings, Share
from scripts.distill.settings import ORIGINAL
from scripts.distill.settings.judge import Judge
from scripts.distill.settings.sample import Draw
from scripts.verify.settings import VerifySettings


class Checks(Settings):
    """Bounds of the dimensions that need one."""

    languages: tuple[str, ...] = Field(default=("en",), min_length=1, description="labels of fastText's lid.176")
    language_threshold: Share = Field(
        default=0.5,
        description="least ratio of the probability of these languages together to that of the likeliest other one",
    )
    minimum_letters: int = Field(
        default=40, ge=0, description="a response with fewer letters passes: its language cannot be told"
    )
    minimum_words: int = Field(default=1, ge=0, description="least number of words in the answer, thinking removed")
    maximum_words: int | None = Field(
        default=None, gt=0, description="most words in the whole response; null: no bound"
    )


class Acceptance(Settings):
    """The rule that combines the dimensions: a response is accepted if it meets every demand.

    A dimension that does not apply to a response demands nothing: a vote on answers that cannot be extracted, or
    agreement with a single teacher.
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
    minimum_score: Share = Field(
        default=0.0, description="least score of the judge, 0 to 1; above 0, a response without a score is refused"
    )


class ResponseSet(Draw):
    """Teachers' samples for the prompts of a pool, with every verdict about them as a column."""

    pool: str
    teachers: tuple[str, ...] = Field(description="empty: the set is the sources' own responses, verified")
    keep_original: bool = Field(description="the source's own response is one of the candidates")
    checks: Checks = Checks()
    accept: Acceptance = Acceptance()
    judge: Judge | None = None

    @model_validator(mode="after")
    def _has_candidates(self) -> ResponseSet:
        if ORIGINAL in self.teachers:
            raise ValueError(f"teachers: {ORIGINAL!r} means the source's own response; give the model another name")
        if len(set(self.teachers)) != len(self.teachers):
            raise ValueError(f"teachers: name each once, not {list(self.teachers)}")
        if not self.teachers and not self.keep_original:
            raise ValueError("the set has no candidates: name teachers, or set keep_original")
        if self.accept.minimum_score and self.judge is None:
            raise ValueError("accept.minimum_score needs a `judge`")
        return self

    @property
    def makers(self) -> tuple[str, ...]:
        """The models that the set's rows depend on: the teachers and the judge."""
        return (*self.teachers, *([self.judge.model] if self.judge else []))

    @property
    def draw(self) -> Draw:
        """The settings that the samples of one teacher depend on."""
        return Draw(**{name: getattr(self, name) for name in Draw.model_fields})


class CrossVerifySettings(Settings):
    """Recipe settings of `scripts.distill.cross_verify`."""

    responses: ResponseSet
    verify: VerifySettings
