"""The runner of a step: it verifies inputs, publishes one whole artifact, and records the run."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from scripts.common.artifacts import ArtifactError, check, read_json
from scripts.common.fingerprint import ROOT, fingerprint
from scripts.common.step import Run, step

MODULE = "scripts.common.artifacts"  # any module of the project: what matters is that it has a fingerprint


class Plain:
    """Settings that accept every key of the recipe except one."""

    @classmethod
    def model_validate(cls, obj: Any) -> dict[str, Any]:
        if "bad" in obj:
            raise ValueError("bad: not a setting")
        return obj


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a step in this process from a scratch folder: execute(body, out, settings=..., seed=..., **inputs)."""
    monkeypatch.chdir(tmp_path)

    def run_it(body: Callable[[Run], None], *out: str, settings: dict | None = None, **inputs: list[str]) -> None:
        recipe = json.dumps({"settings": settings or {}, "seed": 7})
        options = [part for name, paths in inputs.items() for part in (f"--{name}", *paths)]
        monkeypatch.setattr(sys, "argv", ["step", "--recipe", recipe, *options, "--out", *out])
        with step(ModuleSpec(MODULE, None), inputs=tuple(inputs), settings=Plain) as run:
            body(run)

    return run_it


def writes(name: str, text: str) -> Callable[[Run], None]:
    """A step body that writes one file and counts one record."""

    def body(run: Run) -> None:
        (run.out / name).write_text(text)
        run.counts["kept"] = 1

    return body


def hidden(folder: Path) -> list[str]:
    """Unfinished files below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*")]


def test_folder_artifact_with_its_record(execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEBULA_COMMIT", "c0ffee")
    monkeypatch.setenv("NEBULA_DIRTY", "false")
    execute(writes("rows", "abc"), "r/raw/manifest.json", settings={"ratio": 0.5})
    execute(writes("rows", "abcd"), "r/pool/manifest.json", records=["r/raw/manifest.json"])
    assert check(Path("r/pool/manifest.json")) == []
    record = read_json(Path("r/pool/run.json"))
    raw = hashlib.sha256(Path("r/raw/manifest.json").read_bytes()).hexdigest()
    assert record["inputs"] == {"r/raw/manifest.json": raw}
    assert record["outputs"] == ["r/pool/manifest.json"]
    assert record["output"] == hashlib.sha256(Path("r/pool/manifest.json").read_bytes()).hexdigest()
    assert (record["commit"], record["dirty"], record["code"]) == ("c0ffee", False, fingerprint(MODULE))
    assert read_json(Path("r/raw/run.json"))["recipe"] == {"settings": {"ratio": 0.5}, "seed": 7}
    assert hidden(tmp_path) == []


def test_manifest_is_the_same_whenever_wherever(execute, tmp_path: Path) -> None:
    execute(writes("rows", "abc"), "one/pool/manifest.json")
    execute(writes("rows", "abc"), "two/deep/pool/manifest.json")
    assert Path("one/pool/manifest.json").read_bytes() == Path("two/deep/pool/manifest.json").read_bytes()


def test_several_files_of_one_job(execute) -> None:
    def body(run: Run) -> None:
        for path in run.outputs:
            (run.out / path.name).write_text(path.stem)

    execute(body, "s/ifeval.json", "s/math.json")
    assert [check(Path(f"s/{name}.json")) for name in ("ifeval", "math")] == [[], []]
    assert Path("s/math.json").read_text() == "math"


def test_a_forgotten_file_puts_nothing_in_place(execute, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"without writing s/math\.json"):
        execute(writes("ifeval.json", "{}"), "s/ifeval.json", "s/math.json")
    assert list(Path("s").iterdir()) == []


def test_failure_leaves_the_old_artifact_and_no_trace(execute, tmp_path: Path) -> None:
    execute(writes("rows", "old"), "r/pool/manifest.json")

    def fails(run: Run) -> None:
        (run.out / "rows").write_text("new")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        execute(fails, "r/pool/manifest.json")
    assert Path("r/pool/rows").read_text() == "old"
    assert check(Path("r/pool/manifest.json")) == []
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("break_it", ["input", "settings"])
def test_refused_before_the_start_leaves_no_trace(execute, tmp_path: Path, break_it: str) -> None:
    execute(writes("rows", "abc"), "r/raw/manifest.json")
    if break_it == "input":
        Path("r/raw/rows").write_text("tampered")
    settings = {"bad": 1} if break_it == "settings" else {}
    with pytest.raises((ArtifactError, ValueError)):
        execute(writes("rows", "x"), "r/pool/manifest.json", settings=settings, records=["r/raw/manifest.json"])
    assert not Path("r/pool").exists()
    assert hidden(tmp_path) == []


def test_input_replaced_during_the_run_is_caught(execute) -> None:
    execute(writes("rows", "abc"), "r/raw/manifest.json")

    def body(run: Run) -> None:
        (run.out / "rows").write_text("made from the old rows")
        Path("r/raw/manifest.json").write_text('{"files": {}, "counts": {}}')

    with pytest.raises(ArtifactError, match="changed while this step read it"):
        execute(body, "r/pool/manifest.json", records=["r/raw/manifest.json"])
    assert not Path("r/pool/manifest.json").exists()


def work_folder(run: Run, seen: list[Path]) -> None:
    run.work.mkdir(parents=True)
    (run.work / "checkpoint").write_text("1")
    seen.append(run.work)
    (run.out / "rows").write_text("x")
    if len(seen) == 1:
        raise RuntimeError("killed")


def test_work_folder_survives_a_failure_and_goes_with_success(execute) -> None:
    seen: list[Path] = []
    with pytest.raises(RuntimeError):
        execute(lambda run: work_folder(run, seen), "r/model/manifest.json")
    assert (seen[0] / "checkpoint").read_text() == "1"

    def resumes(run: Run) -> None:
        assert (run.work / "checkpoint").read_text() == "1"
        (run.out / "rows").write_text("x")

    execute(resumes, "r/model/manifest.json")
    assert not seen[0].exists()


def test_work_folder_is_of_one_artifact(execute) -> None:
    """Same recipe, but another input, other content of an input, or another output: nothing is resumed."""
    seen = []

    def body(run: Run) -> None:
        seen.append(run.work)
        (run.out / "rows").write_text("x")

    execute(writes("rows", "a"), "r/a/manifest.json")
    execute(writes("rows", "b"), "r/b/manifest.json")
    execute(body, "r/x/manifest.json", model=["r/a/manifest.json"])
    execute(body, "r/x/manifest.json", model=["r/a/manifest.json"])
    execute(body, "r/x/manifest.json", model=["r/b/manifest.json"])
    execute(body, "r/y/manifest.json", model=["r/a/manifest.json"])
    execute(writes("rows", "a2"), "r/a/manifest.json")
    execute(body, "r/x/manifest.json", model=["r/a/manifest.json"])
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4


KILLED = """
import sys, time
from importlib.machinery import ModuleSpec
from scripts.common.step import step
class Plain:
    @classmethod
    def model_validate(cls, obj): return obj
with step(ModuleSpec("scripts.common.artifacts", None), inputs=(), settings=Plain) as run:
    (run.out / "rows").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("out", ["r/pool/manifest.json", "r/scores/ifeval.json"])
def test_killed_in_the_middle_leaves_nothing_that_looks_finished(execute, tmp_path: Path, how: int, out: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, "--recipe", '{"settings": {}, "seed": 1}', "--out", out],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    while process.stdout.readline() not in ("writing\n", ""):
        pass
    process.send_signal(how)
    process.wait(timeout=10)
    assert process.returncode != 0
    assert not Path(out).exists()
    assert [path for path in Path("r").rglob("*.run")] == []
    execute(writes("rows" if out.endswith("manifest.json") else "ifeval.json", "whole"), out)
    assert check(Path(out)) == []
    assert hidden(tmp_path) == [], "the next run clears what the killed one left"


def test_start_up_stays_cheap() -> None:
    """Hundreds of jobs pay for these imports: the runner needs only the standard library."""
    code = "import sys, scripts.common.step, scripts.tables.cell; print([m for m in sys.modules if m in HEAVY])"
    heavy = "HEAVY = {'pydantic', 'yaml', 'numpy', 'pyarrow', 'torch', 'datatrove'}; "
    done = subprocess.run([sys.executable, "-c", heavy + code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_command_repeats_the_step(execute, capsys: pytest.CaptureFixture[str]) -> None:
    execute(writes("rows", "abc"), "r/pool/manifest.json", settings={"a b": "it's"})
    first = capsys.readouterr().out.splitlines()[0]
    assert first == read_json(Path("r/pool/run.json"))["command"]
    assert first.startswith(f"env OMP_NUM_THREADS=1 PYTHONHASHSEED=0 python -m {MODULE} --recipe ")


def test_seconds_are_measured(execute) -> None:
    def body(run: Run) -> None:
        time.sleep(0.05)
        (run.out / "rows").write_text("x")

    execute(body, "r/pool/manifest.json")
    assert 0.05 <= read_json(Path("r/pool/run.json"))["seconds"] < 5


def test_named_inputs(execute, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each teacher has the name of its domain; a path without a name is refused."""
    execute(writes("rows", "a"), "r/a/manifest.json")
    seen = {}

    def run_named(*teachers: str) -> None:
        arguments = ["--recipe", '{"settings": {}, "seed": 1}', "--teachers", *teachers, "--out", "r/x/manifest.json"]
        monkeypatch.setattr(sys, "argv", ["step", *arguments])
        with step(ModuleSpec(MODULE, None), inputs=(), settings=Plain, named=("teachers",)) as run:
            seen.update(run.named("teachers"))
            (run.out / "rows").write_text("x")

    run_named("math=r/a/manifest.json", "code=r/a/manifest.json")
    assert {name: item.path for name, item in seen.items()} == dict.fromkeys(
        ("math", "code"), Path("r/a/manifest.json")
    )
    with pytest.raises(SystemExit):
        run_named("r/a/manifest.json")
