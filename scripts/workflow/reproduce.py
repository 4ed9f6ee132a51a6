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
"""Each job that ends gives Snakemake 9.27 one more timer that looks at all waiting jobs once a timespan. Its 1 s took a
fifth of a core late in a run of the tiny scale; an invocation's end waits for the last of them."""
ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals of `kill`, of `timeout`, of a lost session."""
STOPPED = "Stopped. The same command goes on from what is finished."


class Stopped(BaseException):
    """Somebody ended this process, or the session that it ran in is lost."""


def first(artifacts: Artifacts, todo: Sequence[str]) -> list[str]:
    """Options that begin the longest chain of models early: begun late, it leaves all cores but one idle."""
    models = [path for path in todo if artifacts.find(path).stage == "train"]
    return ["--prioritize", max(models, key=artifacts.level)] if models else []


def ask(command: list[str], targets: list[str]) -> list[str]:
    """The outputs that Snakemake would make for the targets."""
    run = subprocess.run([*command, "--summary", "--", *targets], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr.strip() or run.stdout.strip())
    return pending(run.stdout)


def build(config: Config, command: list[str], targets: list[str], cores: int) -> None:
    """Bring the targets up to date, level by level where finished artifacts are pending."""
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
