"""Run a DataTrove step over the tasks of a corpus, in some processes, so that a killed run goes on where it stopped.

Each task is one rank of a DataTrove executor; a run that starts again repeats only the unfinished ones.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from scripts.curate.corpus import Corpus


@dataclass(frozen=True)
class Tasks:
    """The tasks of one curation step, its scratch folder, and the number of processes."""

    name: str
    """The step, as messages and dropped records name it."""
    corpus: Corpus
    work: Path
    """Scratch folder that survives a failure: shards of finished tasks, signatures, DataTrove's own logs."""
    workers: int

    def execute(self, stage: str, step: PipelineStep) -> None:
        """Run `step` over all tasks, except those that an earlier, killed run of this stage finished."""
        count = len(self.corpus.tasks)
        log = self.work / "log" / stage
        clock = self.work / "clock.json"
        log.mkdir(parents=True, exist_ok=True)
        clock.write_text(json.dumps({"stage": stage, "started": time.time(), "before": _finished(log)}))
        executor = LocalPipelineExecutor(pipeline=[step], tasks=count, workers=1, logging_dir=str(log))
        waiting = executor.get_incomplete_ranks(range(count))
        if self.workers == 1 or len(waiting) < 2:
            executor.run()
        else:
            self._in_processes(executor, waiting)

    def progress(self, rank: int) -> None:
        """Print how many tasks of the stage are finished and, by the pace of this run, how long the rest will take."""
        clock = json.loads((self.work / "clock.json").read_text())
        finished = _finished(self.work / "log" / clock["stage"]) + 1  # DataTrove marks this task after it returns
        count, seconds = len(self.corpus.tasks), time.time() - clock["started"]
        left = seconds / (finished - clock["before"]) * (count - finished)
        print(
            f"{self.name}, {clock['stage']}: {finished} of {count} tasks ({self.corpus.rows:,} records in all), "
            f"{seconds:.0f} s, about {max(left, 0):.0f} s left",
            flush=True,
        )

    def _in_processes(self, executor: LocalPipelineExecutor, ranks: Sequence[int]) -> None:
        """Run tasks in forked processes. DataTrove's own pool waits for ever for a task whose process was killed.

        Raises MemoryError if one was killed: the kernel does that to the largest process when memory is short.
        """
        context = multiprocessing.get_context("fork")  # forkserver would import the step's module again in each
        try:
            with ProcessPoolExecutor(min(self.workers, len(ranks)), context, _hold, (executor,)) as pool:
                for task in [pool.submit(_run_task, rank) for rank in ranks]:
                    task.result()
        except BrokenProcessPool as error:
            raise MemoryError(
                f"{self.name}: a worker process was killed, most likely since memory ran out: raise memory_gb of "
                f"resources.curate.{self.name.replace('-', '_')}. Tasks that are finished are not repeated"
            ) from error


_held: LocalPipelineExecutor
"""The executor, inherited by a forked worker: it cannot be pickled, since steps are closures over arrays."""


def _hold(executor: LocalPipelineExecutor) -> None:
    global _held
    _held = executor


def _run_task(rank: int) -> None:
    _held._run_for_rank(rank)


def _finished(log: Path) -> int:
    """Number of tasks that DataTrove has marked as done."""
    return sum(1 for _ in (log / "completions").glob("*"))
