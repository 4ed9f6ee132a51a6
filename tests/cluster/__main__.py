"""The cluster, and its tests: python -m tests.cluster test | install | start | stop | shell"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.cluster import machine, slurm
from tests.cluster.clock import phase

PYTEST = ("-m", "cluster", "tests/cluster", "--exitfirst", "--capture=no", "--verbose", "--durations=0")


TOTAL_SECONDS = 50 * 60
"""After this the tests are ended as by Ctrl-C, whatever they wait for; an idle machine needs less than half."""


def main() -> None:
    """Do what was asked for; `test` does all of it, `shell` is one with SLURM's and Apptainer's commands."""
    match sys.argv[1:]:
        case ["test", *options]:
            raise SystemExit(test(options))
        case ["install"]:
            machine.install()
        case ["start"]:
            slurm.start()
        case ["stop"]:
            slurm.stop()
        case ["shell"]:
            os.execvpe("bash", ["bash"], slurm.environment())
        case _:
            raise SystemExit(__doc__)


def test(options: list[str]) -> int:
    """Exit status of the tests; 0 where this machine cannot run them. Nothing runs afterwards, whatever ended them."""
    for limit in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(limit, signal.default_int_handler)
    signal.alarm(TOTAL_SECONDS)
    try:
        with phase("installation"):
            machine.install()
        with phase("start of the cluster"):
            slurm.start()
        return pytest.main([*PYTEST, *options])
    except machine.Unfit as reason:
        print(f"The cluster's tests are skipped: {reason}.")
        return 0
    finally:
        signal.alarm(0)
        slurm.stop()


if __name__ == "__main__":
    main()
