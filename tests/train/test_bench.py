"""The benchmark of training runs as documented, at nano shape on a CPU."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.common.fingerprint import ROOT


@pytest.mark.slow
def test_it_compares_the_project_with_plain_trl() -> None:
    options = ["--steps", "2", "--batch", "2", "--only", "TRL defaults", "sft"]
    command = [sys.executable, "-m", "benchmarks.bench_train", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {line[:14].strip(): line[14:].split() for line in done.stdout.splitlines()[2:]}
    assert set(rows) == {"", "TRL defaults", "sft"}
    for name in ("TRL defaults", "sft"):
        rate, least, largest = (float(value.replace(",", "")) for value in rows[name][:3])
        assert 0 < least == rate == largest and rows[name][3] == "-", "one round, and no peak of a CPU"
