"""What a job asks of the machine that runs it. Never part of an artifact's identity."""

from __future__ import annotations

from pydantic import Field

from scripts.common.settings import Settings


class Budget(Settings):
    """Resources of one job on each of its nodes; a value not given is that of `resources.default`."""

    cpus: int = Field(default=1, gt=0)
    gpus: int = Field(default=0, ge=0, description="0 is a CPU job; trainings run a process on each")
    nodes: int = Field(default=1, gt=0, description="more than one for trainings alone")
    memory_gb: int = Field(default=4, gt=0)
    minutes: int = Field(default=60, gt=0, description="walltime")
    deepspeed: str | None = Field(default=None, description="trainings: DeepSpeed's configuration file; none is DDP")

    def of_attempt(self, attempt: int) -> Budget:
        """A CPU job that ran out of memory or time asks for more; a GPU job has the whole node's share, and resumes."""
        if self.gpus:
            return self
        return self.model_copy(update={"memory_gb": self.memory_gb * attempt, "minutes": self.minutes * attempt})
