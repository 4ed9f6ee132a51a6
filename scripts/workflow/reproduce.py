"""Run the pipeline level by level, so that a step remade to the same bytes reruns nothing after it.

    python -m scripts.workflow.reproduce [--scale tiny] [--seeds 1] [--cores 2] [target ...]

Snakemake decides what must run; inside one invocation it also runs everything after a job that runs.
So where finished artifacts are pending, the lowest level of them is made first and Snakemake is asked
again; once only missing artifacts are pending, they are made in one go.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.workflow.config import Config, ConfigError, parents, read
from scripts.workflow.progress import Progress
from scripts.workflow.targets import UnknownTarget, check

PROFILE = ["--rerun-triggers", "mtime", "params", "input", "code", "--max-checksum-file-size", "100MB"]
PACE = ["--max-jobs-per-timespan", "1000/3s"]
"""Each job that ends gives Snakemake 9.27 one more timer that looks at all waiting jobs once a timespan. Its 1 s took a
fifth of a core late in a run of the tiny scale; an invocation's end waits for the last of them."""
ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals of `kill`, of `timeout`, of a lost session."""
STOPPED = "Stopped. The same command goes on from what is finished."


class Stopped(BaseException):
    """Somebody ended this process, or the session that it ran in is lost."""


@dataclass(frozen=True)
class Order:
    """Where an artifact stands in the chain: a lower level is never made from a higher one."""

    config: Config

    def level(self, path: str) -> int:
        """Level of an artifact's path below the results folder."""
        parts = Path(path).relative_to(self.config.results).parts
        stage = parts[0]
        fixed = {"synthetic": 0, "downloads": 0, "raw": 1, "classifiers": 2}
        if stage in fixed:
            return fixed[stage]
        if stage == "pools":
            steps: list[str] = [step.step for step in self.config.pools[parts[1]].steps]
            return 3 + steps.index(parts[2])
        after = {"generations": 4, "scores": 5}
        if stage in after:
            return self._model(parts[1]) + after[stage]
        first = {"models": lambda: self._model(parts[1]), "datasets": lambda: self._dataset(parts[1])}
        if stage in first:
            return first[stage]()
        if stage == "responses":
            return self._responses(parts[1]) - {"samples": 2, "scores": 1, "verdicts": 0}[parts[2]]
        if stage in ("attempts", "graded"):
            return self._model(self.config.graded[parts[1]].student) + 1 + (stage == "graded")
        if stage == "embeddings":
            return self._model(parts[1]) + 1
        last = {
            "funnel.json": 0,
            "funnel.md": 0,
            "audit.md": 0,
            "cells": 0,
            "tables": 1,
            "figures": 1,
            "report.html": 2,
        }
        return 1000 + last[stage]

    def first(self, todo: Sequence[str]) -> list[str]:
        """Options that begin the longest chain of models early: begun late, it leaves all cores but one idle."""
        models = [path for path in todo if path.startswith(f"{self.config.results}/models/")]
        return ["--prioritize", max(models, key=self.level)] if models else []

    def _model(self, name: str) -> int:
        """Five levels a generation of models: the model, samples, scores, verdicts, data set."""
        return 20 + 5 * self._depth(name)

    def _depth(self, name: str) -> int:
        return 1 + max((self._depth(parent) for parent in parents(self.config, name)), default=0)

    def _responses(self, name: str) -> int:
        found = self.config.responses[name]
        return 3 + max((self._model(maker) for maker in found.makers), default=17)

    def _dataset(self, name: str) -> int:
        dataset = self.config.datasets[name]
        encoder = dataset.select.encoder
        least = 20 if encoder is None else self._model(encoder) + 2
        if dataset.responses is not None:
            return max(least, self._responses(dataset.responses) + 1)
        if dataset.graded is not None:
            return max(least, self._model(self.config.graded[dataset.graded].student) + 3)
        return least


def pending(command: list[str], targets: list[str]) -> list[str]:
    """The outputs that Snakemake would make for the targets, as its public summary states them."""
    run = subprocess.run([*command, "--summary", "--", *targets], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr.strip() or run.stdout.strip())
    header, *lines = [line for line in run.stdout.splitlines() if "\t" in line]
    columns = header.split("\t")
    rows = (dict(zip(columns, line.split("\t"), strict=False)) for line in lines)
    return sorted({row["output_file"] for row in rows if row["plan"] != "no update"})


def build(config: Config, command: list[str], targets: list[str], cores: int) -> None:
    """Bring the targets up to date, level by level where finished artifacts are pending."""
    order = Order(config)
    with Progress(config, cores) as progress:
        while todo := pending(command, targets):
            progress.expect(todo)
            spared = [path for path in todo if Path(path).exists()]
            if not spared:
                run_snakemake([*command, *order.first(todo)], targets, progress)
                return
            lowest = min(order.level(path) for path in todo)
            run_snakemake(command, [path for path in todo if order.level(path) == lowest], progress)


def run_snakemake(command: list[str], targets: list[str], progress: Progress) -> None:
    """One invocation, its output condensed to a line of progress; a failure shows what failed and stops.

    However it is stopped, Snakemake is waited for: otherwise its jobs go on unseen, and its lock stays.
    """
    process = start([*command, "--", *targets])
    assert process.stderr is not None
    try:
        for line in process.stderr:
            progress.read(line)
    except KeyboardInterrupt:  # Snakemake got it too: it ends its jobs and takes its lock away
        process.communicate()
        progress.stop()
        raise SystemExit(STOPPED) from None
    except Stopped:
        process.terminate()  # Snakemake starts no more jobs
        with suppress(OSError):  # a lost session has no terminal to write to
            progress.stop()
            print("Stopping when the jobs that run are done ...", file=sys.stderr)
        process.communicate()
        raise SystemExit(STOPPED) from None
    if process.wait():
        progress.stop()
        sys.stderr.write(progress.failure())
        raise SystemExit(process.returncode)


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """Handler of the signals that end a process: the first is enough."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def heed_signals() -> None:
    """Have the signals that end a process raise Stopped, but not one that is ignored, as `nohup` does."""
    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start Snakemake deaf to the loss of a session, which would end it with its lock in place."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)


def main() -> None:
    """Bring targets of one or several seeds up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="files or rule names; none: everything")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--seeds", type=int, default=1, help="repeat the whole with seeds 1 to n")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--configfile", type=Path, help="laid over the scale's file")
    arguments = parser.parse_args()
    heed_signals()
    overlay = {}
    if arguments.configfile:
        import yaml

        overlay = yaml.safe_load(arguments.configfile.read_text())
    for seed in range(1, arguments.seeds + 1):
        command = [sys.executable, "-m", "snakemake", "--cores", str(arguments.cores), "--rerun-incomplete"]
        command += [*PROFILE, *PACE]
        if arguments.configfile:
            command += ["--configfile", str(arguments.configfile)]
        command += ["--config", f"scale={arguments.scale}", f"seed={seed}"]
        try:
            config = read(arguments.scale, {**overlay, "seed": seed})
            for target in arguments.targets:
                check(config, target)
        except (ConfigError, UnknownTarget) as error:
            raise SystemExit(str(error)) from None
        try:
            build(config, command, arguments.targets, arguments.cores)
        except Stopped:
            raise SystemExit(STOPPED) from None


if __name__ == "__main__":
    main()
