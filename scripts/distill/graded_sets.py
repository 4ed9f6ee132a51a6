"""Graded sets: the entries of `graded:`. Only the configuration reads this module, so it reruns nothing."""

from __future__ import annotations

from scripts.distill.settings.grade import Bands
from scripts.distill.settings.sample import Draw


class GradedSet(Draw):
    """Pass rate of a reference student on the verifiable prompts of a pool, with pass@k for every k up to `samples`."""

    pool: str
    student: str
    bands: Bands

    @property
    def draw(self) -> Draw:
        """The settings that the student's attempts depend on; the bands are not among them."""
        return Draw(**{name: getattr(self, name) for name in Draw.model_fields})
