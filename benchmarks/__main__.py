"""Run all benchmarks, one after the other: python -m benchmarks"""

from __future__ import annotations

import sys

from benchmarks import bench_curate, bench_plan, bench_verify


def main() -> None:
    for module in (bench_plan, bench_verify, bench_curate):
        print(f"\n{(module.__doc__ or '').splitlines()[0]}\n")
        sys.argv = [module.__name__]
        module.main()


if __name__ == "__main__":
    main()
