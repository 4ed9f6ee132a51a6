"""Manage the test cluster and run its tests: python -m tests.cluster test | install | start | stop | shell"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.cluster import machine, slurm
from tests.cluster.clock import phase

PYTEST = ("-m", "cluster", "tests/cluster", "--exitfirst", "--capture=no", "--verbose", "--durations=0")


TOTAL_SECONDS = 50 * 60
"""Time limit in seconds, after which the tests end as by Ctrl-C; an idle machine needs less than half of it."""


def main() -> None:
    """Run one command. `test` installs, starts, tests and stops; `shell` has the cluster's commands on PATH."""
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
    """Run the tests and return their exit status; 0 if this machine cannot run them. The cluster is always stopped."""
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
