"""Every limit and rule of the verifiers, with its default: the only place where one is written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings

ExtractionRule = Literal["boxed", "marker", "last"]


class VerifySettings(Settings):
    """How verdicts are reached. All times are seconds, all sizes MiB."""

    math_extraction: tuple[ExtractionRule, ...] = Field(
        default=("boxed", "marker", "last"),
        min_length=1,
        description="where the final answer is looked for, first hit decides: the last \\boxed{}, the text after the "
        "last `Answer:` / `the answer is` / `<answer>` / `####`, the last expression of the response",
    )
    math_tail_chars: int = Field(
        default=400, gt=0, description="`last` reads this much of the response's end: parsing is linear in the text"
    )
    cpu_seconds: float = Field(default=5.0, gt=0, description="CPU time of a math or instructions verdict; then null")
    memory: int = Field(default=4096, gt=0, description="address space of a worker process")

    code_isolation: Literal["require", "allow-none"] = Field(
        default="require",
        description="require: code is refused (null) if the machine gives no namespaces; allow-none: programs then "
        "run with resource limits and a system call filter, but can read what this user can read",
    )
    code_cpu_seconds: int = Field(default=10, gt=0, description="CPU time of one run of a program")
    code_wall_seconds: float = Field(default=30.0, gt=0, description="wall time of one run of a program")
    code_memory: int = Field(default=1024, gt=0, description="address space of a program")
    code_threads: int = Field(default=16, gt=0, description="threads of a program; it may start no processes")
    code_disk: int = Field(default=64, gt=0, description="size of a program's private /tmp, and of a file in it")
    code_output: int = Field(default=16, gt=0, description="standard output, or one value given to a test")

    instructions_mode: Literal["strict", "loose"] = Field(default="strict", description="IFEval's two readings")

    item_wall_seconds: float = Field(
        default=600.0, gt=0, description="wall time after which a worker process that still says nothing is killed"
    )

    @model_validator(mode="after")
    def _nested_limits(self) -> VerifySettings:
        """An outer limit below an inner one would turn a program's fault into a verifier's."""
        if self.code_wall_seconds < self.code_cpu_seconds:
            raise ValueError(f"code_wall_seconds {self.code_wall_seconds} is below code_cpu_seconds")
        return self
