"""The resources that a job requests from the machine. They are never part of an artifact's identity."""

from __future__ import annotations

from pydantic import Field

from scripts.common.settings import Settings


class Budget(Settings):
    """Resources of one job per node; a value that is not set is taken from `resources.default`."""

    cpus: int = Field(default=1, gt=0)
    gpus: int = Field(default=0, ge=0, description="0 is a CPU job; trainings run one process per GPU")
    nodes: int = Field(default=1, gt=0, description="only trainings may use more than one")
    memory_gb: int = Field(default=4, gt=0)
    minutes: int = Field(default=60, gt=0, description="walltime")
    deepspeed: str | None = Field(default=None, description="trainings: DeepSpeed's configuration file; null is DDP")

    def of_attempt(self, attempt: int) -> Budget:
        """The budget of the given attempt, counted from 1.

        Each retry of a CPU job requests proportionally more memory and time. A retry of a GPU job requests the same: it
        already has its share of the node's memory, and it resumes from its last checkpoint.
        """
        if self.gpus:
            return self
        return self.model_copy(update={"memory_gb": self.memory_gb * attempt, "minutes": self.minutes * attempt})
