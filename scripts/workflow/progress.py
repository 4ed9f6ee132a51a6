"""Show the progress of a run of Snakemake, read from its output: stage, jobs, time left, loss, reward and failures.

On a terminal, one line is updated in place; elsewhere (CI, a file), one line is printed per tenth of the jobs. The time
left is the time that the same jobs took in past runs, scaled by the speed of this run. A job that never ran is expected
to take the mean of its step so far.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import Config
from scripts.workflow.plan import past_runs

RULE = re.compile(r"^(?:local)?rule (\S+):$")
ERROR = re.compile(r"^Error in (?:local)?rule (\S+):$")
FIELD = re.compile(r"^    (output|log|jobid): (.+?)(?: \(check log file\(s\) for error details\))?$")
FINISHED = re.compile(r"^Finished jobid: (\d+) ")
STEP = re.compile(r"^step \d+/\d+ ")
SPEED = re.compile(r" +(tokens_per_second|[\d.]+ steps/s).*$")
START = 1.0
"""Seconds that the start of a job's process takes, which the record of its run does not include."""
TRUSTED = 0.05
"""Share of the expected time that must be done before the speed of this run is used."""
TAIL_BYTES = 400
TAIL_LINES = 25
KEPT_LINES = 400


@dataclass
class Job:
    """A job as Snakemake announces it."""

    rule: str
    fields: dict[str, str] = field(default_factory=dict)
    started: float = 0.0

    @property
    def output(self) -> str:
        """The job's first output; empty for a target rule."""
        return self.fields.get("output", "").split(", ")[0]

    @property
    def log(self) -> Path | None:
        return Path(self.fields["log"].split(", ")[0]) if "log" in self.fields else None


@dataclass
class Mean:
    """A running mean; 0 while it has no values."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


class Forecast:
    """Expected seconds of pending jobs, corrected by the speed of this run."""

    def __init__(self, artifacts: Artifacts, cores: int) -> None:
        self._artifacts, self._cores = artifacts, cores
        self._steps: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._closed: set[str] = set()
        self._same: dict[str, float] = {}
        self._by_step: dict[str, Mean] = {}
        self._any = Mean()
        self._remember(artifacts.config)

    @property
    def jobs(self) -> tuple[int, int]:
        """The number of finished jobs, and of all known jobs."""
        return len(self._closed), len(self._steps)

    def expect(self, outputs: Iterable[str]) -> None:
        """Replace the pending jobs by those of `outputs`; finished jobs stay.

        The list can shrink: if a step is run again and writes the same bytes, later jobs are no longer pending.
        """
        jobs = self._artifacts.jobs(outputs)
        closed = {job: self._steps[job] for job in self._closed}
        self._steps = closed | {artifact.outputs[0]: artifact.step for artifact, _ in jobs}
        self._owner |= {path: artifact.outputs[0] for artifact, _ in jobs for path in artifact.outputs}

    def _remember(self, config: Config) -> None:
        """Learn from past runs of this scale, with any seed."""
        for folder in sorted(Path("results").glob(f"{config.scale}*")):
            for record in past_runs(folder):
                seconds = record["seconds"] + START
                self._learn(record["step"].removeprefix("scripts."), seconds)
                paths = (Path(path) for path in record["outputs"])
                self._same |= {
                    path.relative_to(folder).as_posix(): seconds for path in paths if path.is_relative_to(folder)
                }

    def _learn(self, step: str, seconds: float) -> None:
        self._by_step.setdefault(step, Mean()).add(seconds)
        self._any.add(seconds)

    def finished(self, output: str, seconds: float) -> None:
        """Record that a job ended; its wall seconds, with the start of its process, improve its step's mean."""
        job = self._owner.get(output)
        if job is not None:
            self._closed.add(job)
            self._learn(self._steps[job], seconds)

    def _expected(self, job: str) -> float:
        below = job.removeprefix(f"{self._artifacts.config.results}/")
        return self._same.get(below) or self._by_step.get(self._steps[job], self._any).value

    def left(self, elapsed: float, running: Mapping[str, float]) -> float | None:
        """Seconds until all jobs are done; None if no time is known. `running`: output to seconds since its start."""
        since = {self._owner.get(output, ""): seconds for output, seconds in running.items()}
        expected = {job: self._expected(job) for job in self._steps}
        closed = math.fsum(expected[job] for job in self._closed)
        begun = math.fsum(min(since[job], expected[job]) for job in since.keys() & expected.keys())
        total = math.fsum(expected.values())
        if not total:
            return None
        trusted = closed > TRUSTED * total and elapsed > 0
        return (total - closed - begun) / ((closed + begun) / elapsed if trusted else self._cores)


class Progress:
    """Reads Snakemake's output line by line, over several invocations, and shows the progress."""

    def __init__(self, artifacts: Artifacts, cores: int) -> None:
        self._artifacts, self._config = artifacts, artifacts.config
        self._forecast = Forecast(artifacts, cores)
        self._started = time.monotonic()
        self._printed = -1
        self._running: dict[str, Job] = {}
        self._open: Job | None = None
        self._failed: list[Job] = []
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._live = sys.stderr.isatty()
        self._lock, self._stopped = threading.Lock(), threading.Event()
        if self._live:
            threading.Thread(target=self._tick, daemon=True).start()

    def expect(self, outputs: Sequence[str]) -> None:
        """Set the pending outputs before an invocation of Snakemake."""
        with self._lock:
            self._running.clear()
            self._forecast.expect(outputs)

    def read(self, line: str) -> None:
        """Read the next line of Snakemake's output."""
        self._lines.append(line)
        with self._lock:
            finished = self._take(line.rstrip("\n"))
        if finished and not self._live:
            self._print_tenth()

    def _take(self, text: str) -> bool:
        """Update the state of the jobs; return True if a job ended."""
        if match := RULE.match(text):
            self._open = Job(match[1], started=time.monotonic())
        elif match := ERROR.match(text):
            self._open = Job(match[1])
            self._failed.append(self._open)
        elif self._open is not None and (match := FIELD.match(text)):
            self._open.fields[match[1]] = match[2]
            if match[1] == "jobid" and self._open not in self._failed:
                self._running[match[2]] = self._open
        elif (match := FINISHED.match(text)) and (job := self._running.pop(match[1], None)):
            self._forecast.finished(job.output, time.monotonic() - job.started)
            return True
        return False

    def _print_tenth(self) -> None:
        done, known = self._forecast.jobs
        tenth = 10 * done // known if known else 0
        if tenth > self._printed:
            self._printed = tenth
            print(self.text(), file=sys.stderr, flush=True)

    def text(self) -> str:
        """The line of progress: jobs, times, and each running job, the one that started first at the front."""
        now = time.monotonic()
        elapsed = now - self._started
        with self._lock:
            jobs = [job for job in self._running.values() if job.output]
            done, known = self._forecast.jobs
            left = self._forecast.left(elapsed, {job.output: now - job.started for job in jobs})
            running = [self._doing(job) for job in jobs]
        about = f", about {clock(left)} left" if left else ""
        seed = f"seed {self._config.seed}: " if self._config.seed != 1 else ""
        return " | ".join([f"{seed}{done} of {known} jobs, {clock(elapsed)}{about}", *running])

    def _doing(self, job: Job) -> str:
        """A running job, such as `train ins-grpo: step 8/20 loss 0.01 reward 0.44`."""
        if not Path(job.output).is_relative_to(self._config.results):
            return job.rule
        parts = Path(job.output).relative_to(self._config.results).parts
        name = "/".join(parts[1:]).removesuffix("/manifest.json").removesuffix(".json").removesuffix(".parquet")
        step = last_step(job.log)
        return f"{self._artifacts.find(job.output).stage} {name or parts[0]}" + (f": {step}" if step else "")

    def _tick(self) -> None:
        while not self._stopped.wait(0.5):
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{self.text()[:width]}", end="", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Clear the line and stop updating it."""
        self._stopped.set()
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Clear the line; if no exception was raised, print the number of jobs and the time."""
        self.stop()
        done, _known = self._forecast.jobs
        if self._live and done and kind is None:
            print(f"{done} jobs in {clock(time.monotonic() - self._started)}", file=sys.stderr)

    def failure(self) -> str:
        """The failed jobs, each with the end of its log and how to repeat it; if there are none, Snakemake's error."""
        jobs = {job.output: job for job in self._failed if job.log is not None}
        if jobs:
            return "\n".join(failed(job.rule, job.output, job.log) for job in jobs.values() if job.log is not None)
        starts = [number for number, line in enumerate(self._lines) if "Error" in line or "Exception" in line]
        return "".join(list(self._lines)[starts[0] if starts else -TAIL_LINES :])


def failed(rule: str, output: str, log: Path) -> str:
    """A message about a failed job: the end of its log, the log's path, and the command that repeats the job."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    tail = lines[1:][-TAIL_LINES:]  # the first line is the command with its whole recipe
    return "\n".join(
        [
            f"{rule} failed: {output}",
            *(f"    {line}" for line in tail),
            f"  whole log:         {log}",
            f'  repeat it by hand: PATH="$PWD/.venv/bin:$PATH" bash -c "$(head -n 1 {log})"',
            "  to continue:       run the same command again; finished artifacts are kept",
            "",
        ]
    )


def last_step(log: Path | None) -> str:
    """The last line of a training's log that states its step, without speed and memory; empty for other jobs."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    steps = [line for line in lines if STEP.match(line)]
    return SPEED.sub("", steps[-1]) if steps else ""


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, `4:05`, or with hours, `1:04:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
