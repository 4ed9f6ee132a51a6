"""The level-by-level driver: its order of artifacts agrees with what each is made from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.common.config import parents, read
from scripts.common.fingerprint import ROOT
from scripts.reproduce import Order


def test_levels_rise_along_the_chain() -> None:
    config = read("tiny")
    order = Order(config)
    root = config.results

    def level(path: str) -> int:
        return order.level(f"{root}/{path}")

    assert level("synthetic/manifest.json") < level("raw/x/manifest.json") < level("classifiers/domain/manifest.json")
    for name, pool in config.pools.items():
        levels = [level(f"pools/{name}/{step.step}/manifest.json") for step in pool.steps]
        assert levels == sorted(set(levels)) and levels[0] > level("classifiers/domain/manifest.json")
    for name, model in config.models.items():
        own = level(f"models/{name}/manifest.json")
        assert all(level(f"models/{parent}/manifest.json") < own for parent in parents(config, name))
        if getattr(model, "dataset", None):
            assert level(f"datasets/{model.dataset}/manifest.json") < own
        assert own < level(f"generations/{name}/ifeval.parquet") < level(f"scores/{name}/ifeval.json")
        assert level(f"scores/{name}/ifeval.json") < level("cells/instruct/base/ifeval.json")
    assert level("cells/a/b/c.json") < level("tables/a.json") < level("report.html")


def test_a_data_set_stands_above_the_models_that_made_it() -> None:
    config = read("tiny")
    order = Order(config)
    for name, dataset in config.datasets.items():
        own = order.level(f"{config.results}/datasets/{name}/manifest.json")
        makers = []
        if dataset.responses is not None:
            makers = list(config.responses[dataset.responses].teachers)
        if dataset.graded is not None:
            makers = [config.graded[dataset.graded].student]
            steps = [f"{config.results}/{stage}/{dataset.graded}/manifest.json" for stage in ("attempts", "graded")]
            assert [*map(order.level, steps), own] == sorted({*map(order.level, steps), own})
        assert all(order.level(f"{config.results}/models/{maker}/manifest.json") < own for maker in makers)


SNAKEMAKE = """
import pathlib, time
try:
    pathlib.Path("started").touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)
    pathlib.Path("unlocked").touch()
"""
DRIVER = """
import sys
from scripts.common.config import read
from scripts.progress import Progress
from scripts.reproduce import run_snakemake
run_snakemake([sys.executable, "-c", open("snakemake.py").read()], [], Progress(read("tiny"), cores=1))
"""


def test_ctrl_c_waits_until_snakemake_took_its_lock_away(tmp_path: Path) -> None:
    """Both get the signal; a driver that ends first leaves a folder that cannot be locked at once."""
    (tmp_path / "snakemake.py").write_text(SNAKEMAKE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=30)
    assert (tmp_path / "unlocked").exists()
    assert said.decode() == "Stopped. The same command goes on from what is finished.\n"
