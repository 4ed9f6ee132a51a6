"""Fixtures of the tables' tests: a results folder that is built once; tests that damage it work on a copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tables.tiny_results import build, execute


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds results/tiny, complete except for the report. Tests read it and never change it."""
    root, before = tmp_path_factory.mktemp("project"), Path.cwd()
    os.chdir(root)
    os.environ["NEBULA_COMMIT"], os.environ["NEBULA_DIRTY"] = "c0ffee00c0ffee00", "true"
    try:
        build()
    finally:
        os.chdir(before)
        del os.environ["NEBULA_COMMIT"], os.environ["NEBULA_DIRTY"]
    return root


@pytest.fixture
def project(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built project as working directory."""
    monkeypatch.chdir(built)
    return built


@pytest.fixture
def own_copy(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built project that a test may damage, as working directory."""
    shutil.copytree(built, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def run_step() -> Callable[..., None]:
    """`execute`, for tests."""
    return execute
