"""The cluster by hand: python -m tests.cluster unfit | install | start | stop | shell"""

from __future__ import annotations

import os
import sys

from tests.cluster import machine, slurm


def main() -> None:
    """Do what was asked for; `unfit` says why this machine cannot, `shell` has SLURM's and Apptainer's commands."""
    match sys.argv[1:]:
        case ["unfit"]:
            print(machine.unfit() or "", end="")
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


if __name__ == "__main__":
    main()
