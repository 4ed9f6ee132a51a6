"""Run the pipeline level by level, so that a step that is run again and writes the same bytes reruns nothing after it.

    python -m scripts.workflow.reproduce [--scale tiny] [--seeds 1] [--cores 2] [target ...]

Snakemake decides which jobs must run; within one invocation it also runs every job after a job that runs. So if
existing artifacts are pending, this command makes the lowest level of them first and then asks Snakemake again. Once
only missing artifacts are pending, one invocation makes all of them.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import Config, ConfigError, read
from scripts.workflow.progress import Progress
from scripts.workflow.summary import pending
from scripts.workflow.targets import UnknownTarget, check

PROFILE = ["--rerun-triggers", "mtime", "params", "input", "code", "--max-checksum-file-size", "100MB"]
PACE = ["--max-jobs-per-timespan", "1000/3s"]
"""For each job that ends, Snakemake 9.27 starts one more timer that looks at all waiting jobs once per timespan. With
its default of 1 s these timers took a fifth of a core late in a run of the tiny scale. A longer timespan delays the end
of an invocation, which waits for the last timer."""
ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that `kill`, `timeout` and the loss of a terminal session send."""
STOPPED = "Stopped. Run the same command again to continue; finished artifacts are kept."


class Stopped(BaseException):
    """A signal asked this process to end, or its terminal session was lost."""


def first(artifacts: Artifacts, todo: Sequence[str]) -> list[str]:
    """Options that start the longest chain of models early; started late, it would leave all cores but one idle."""
    models = [path for path in todo if artifacts.find(path).stage == "train"]
    return ["--prioritize", max(models, key=artifacts.level)] if models else []


def ask(command: list[str], targets: list[str]) -> list[str]:
    """The outputs that Snakemake would make for the targets."""
    run = subprocess.run([*command, "--summary", "--", *targets], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr.strip() or run.stdout.strip())
    return pending(run.stdout)


def build(config: Config, command: list[str], targets: list[str], cores: int) -> None:
    """Bring the targets up to date, level by level as long as existing artifacts are pending."""
    artifacts = Artifacts(config)
    with Progress(artifacts, cores) as progress:
        while todo := ask(command, targets):
            progress.expect(todo)
            if not any(Path(path).exists() for path in todo):
                run_snakemake([*command, *first(artifacts, todo)], targets, progress)
                return
            lowest = min(artifacts.level(path) for path in todo)
            run_snakemake(command, [path for path in todo if artifacts.level(path) == lowest], progress)


def run_snakemake(command: list[str], targets: list[str], progress: Progress) -> None:
    """Run one invocation of Snakemake with its output condensed to a line of progress.

    Raises SystemExit if a job fails, after printing the failure, or if the run is stopped. In every case this waits for
    Snakemake to end: otherwise its jobs would go on unseen, and its lock would stay.
    """
    process = start([*command, "--", *targets])
    assert process.stderr is not None
    try:
        for line in process.stderr:
            progress.read(line)
    except KeyboardInterrupt:  # Snakemake received it too: it ends its jobs and removes its lock
        process.communicate()
        progress.stop()
        raise SystemExit(STOPPED) from None
    except Stopped:
        process.terminate()  # Snakemake starts no more jobs
        with suppress(OSError):  # after the loss of a session there is no terminal to write to
            progress.stop()
            print("Stopping after the running jobs are done ...", file=sys.stderr)
        process.communicate()
        raise SystemExit(STOPPED) from None
    if process.wait():
        progress.stop()
        sys.stderr.write(progress.failure())
        raise SystemExit(process.returncode)


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """Handler of the signals in ENDS: raises Stopped and ignores further signals."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def heed_signals() -> None:
    """Make the signals in ENDS raise Stopped, except one that is already ignored, as under `nohup`."""
    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start Snakemake so that it ignores the loss of a session, which would end it with its lock in place."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)


def main() -> None:
    """Bring targets up to date, for one or several seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="files or rule names; none: everything")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--seeds", type=int, default=1, help="run everything once per seed, 1 to n")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--configfile", type=Path, help="overrides the scale's file")
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
