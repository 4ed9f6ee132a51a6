"""What a run of Snakemake is doing, read from what it prints: stage, jobs, time left, loss and reward, and what failed.

One line that is written over on a terminal; elsewhere (CI, a file) a line every tenth of the jobs. The time left is
what the same jobs took in past runs, by the speed of this one; what never ran is taken to last as its step did so far.
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
"""Seconds that a job takes before its own clock runs: the start of its process."""
TRUSTED = 0.05
"""Share of the expected time after which the run's own speed counts."""
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
        """The first file that it makes; empty for a target rule."""
        return self.fields.get("output", "").split(", ")[0]

    @property
    def log(self) -> Path | None:
        return Path(self.fields["log"].split(", ")[0]) if "log" in self.fields else None


@dataclass
class Mean:
    """A running mean; 0 while nothing is known."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


class Forecast:
    """Expected seconds of pending jobs, corrected by what this run shows."""

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
        """Jobs done, and all that are known of."""
        return len(self._closed), len(self._steps)

    def expect(self, outputs: Iterable[str]) -> None:
        """These are pending now, beside what was finished: a step remade to the same bytes takes others off."""
        jobs = self._artifacts.jobs(outputs)
        closed = {job: self._steps[job] for job in self._closed}
        self._steps = closed | {artifact.outputs[0]: artifact.step for artifact, _ in jobs}
        self._owner |= {path: artifact.outputs[0] for artifact, _ in jobs for path in artifact.outputs}

    def _remember(self, config: Config) -> None:
        """Past runs of this scale, with any seed."""
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
        """A job ended: its real time, start and all, teaches what others of its step take."""
        job = self._owner.get(output)
        if job is not None:
            self._closed.add(job)
            self._learn(self._steps[job], seconds)

    def _expected(self, job: str) -> float:
        below = job.removeprefix(f"{self._artifacts.config.results}/")
        return self._same.get(below) or self._by_step.get(self._steps[job], self._any).value

    def left(self, elapsed: float, running: Mapping[str, float]) -> float | None:
        """Seconds until all is done, None while nothing is known. `running`: output to seconds since its start."""
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
    """Reads Snakemake's lines one by one, of one invocation after the other, and shows where all stands."""

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
        """What Snakemake calls pending, before an invocation."""
        with self._lock:
            self._running.clear()
            self._forecast.expect(outputs)

    def read(self, line: str) -> None:
        """The next line that Snakemake printed."""
        self._lines.append(line)
        with self._lock:
            finished = self._take(line.rstrip("\n"))
        if finished and not self._live:
            self._print_tenth()

    def _take(self, text: str) -> bool:
        """Keep the books; whether a job ended."""
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
        """Jobs, times, and each running job, the longest first."""
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
        """`train ins-grpo: step 8/20 loss 0.01 reward 0.44`."""
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
        """Take the line away and write over it no more."""
        self._stopped.set()
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave the terminal clean; where all went well, say what was done."""
        self.stop()
        done, _known = self._forecast.jobs
        if self._live and done and kind is None:
            print(f"{done} jobs in {clock(time.monotonic() - self._started)}", file=sys.stderr)

    def failure(self) -> str:
        """What failed: each job with the end of its log and how to repeat it; else what Snakemake said."""
        jobs = {job.output: job for job in self._failed if job.log is not None}
        if jobs:
            return "\n".join(failed(job.rule, job.output, job.log) for job in jobs.values() if job.log is not None)
        starts = [number for number, line in enumerate(self._lines) if "Error" in line or "Exception" in line]
        return "".join(list(self._lines)[starts[0] if starts else -TAIL_LINES :])


def failed(rule: str, output: str, log: Path) -> str:
    """A failed job for people: the end of its log, then where all of it is and the command to repeat it."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    told = lines[1:][-TAIL_LINES:]  # the first line is the command, recipe and all
    return "\n".join(
        [
            f"{rule} failed: {output}",
            *(f"    {line}" for line in told),
            f"  whole log:         {log}",
            f'  repeat it by hand: PATH="$PWD/.venv/bin:$PATH" bash -c "$(head -n 1 {log})"',
            "  then go on:        the same command again; what is finished stays",
            "",
        ]
    )


def last_step(log: Path | None) -> str:
    """The last line of a training's log that says how far it is, without speed and memory; empty for other jobs."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line for line in lines if STEP.match(line)]
    return SPEED.sub("", said[-1]) if said else ""


def clock(seconds: float) -> str:
    """`4:05`, `1:04:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
