"""The record of the machine: the CPU's model and the flags by which libraries choose their kernels."""

from __future__ import annotations

import platform

import pytest

from scripts.common.provenance import CPUINFO, cpu, hardware

EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu sse2 fma avx avx2 avx512f avx512_bf16

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd sve\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (EPYC, ("AMD EPYC (family 25, model 17)", ["avx2", "fma", "avx512f", "avx512_bf16"])),
        (GRAVITON, ("unknown", ["asimd", "sve"])),
        ("", ("unknown", [])),
    ],
)
def test_cpu_by_hand(info: str, expected: tuple[str, list[str]]) -> None:
    assert cpu(info) == expected


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    this = hardware()
    assert this["machine"] == platform.machine() and this["gpus"] == ["0", "1"]
    assert (this["cpu"], this["flags"]) == cpu(CPUINFO.read_text())
