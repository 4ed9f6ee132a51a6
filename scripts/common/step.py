"""The runner of every step: it checks inputs, gives the step a folder to write into, and records the run.

A step module has a `main()` of this shape. A rule runs it; the log's first line is the command that runs it by hand:

    def main() -> None:
        with step(__spec__, inputs=("dataset", "init"), settings=SftSettings) as run:
            train(run.settings, run.input("dataset").folder, run.out)

`--recipe` is the step's only source of settings. Each input is a manifest (or a single-file artifact), verified before
the step starts. The step writes into a private folder, which one rename turns into the artifact at the end, so a step
that fails or is killed leaves nothing that looks finished. If a launcher runs several processes of a step, all share
the work folder; anything that ranks other than 0 write elsewhere is discarded.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from scripts.common import numerics, retries
from scripts.common.artifacts import (
    MANIFEST,
    PARTIAL,
    RUN,
    Artifact,
    ArtifactError,
    digest_json,
    open_artifact,
    replace_folder,
    run_path,
    sha256_file,
    write_json,
    write_manifest,
)
from scripts.common.fingerprint import digest_of, file_digests
from scripts.common.provenance import commit, dirty, exceptions, hardware, image, peak_bytes

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")


class SettingsType(Protocol[T_co]):
    """A pydantic model class, or any other class that validates a settings dictionary and returns it typed."""

    def model_validate(self, obj: Any) -> T_co: ...


@dataclass
class Run(Generic[S]):
    """What a step works with: its settings, its verified inputs, its output folder and its counts."""

    settings: S
    seed: int
    """The seed of this artifact; every random number generator of the step must be derived from it."""
    out: Path
    """Private folder to write into. Its files become the artifact: a folder, or the files in `outputs`."""
    outputs: list[Path]
    """The tracked files to make: one `manifest.json`, or files that the step writes into `out` under these names."""
    work: Path
    """Folder that survives a failure, for checkpoints and finished shards. Its name is a digest of the recipe, the
    inputs' content and the outputs, so a step never resumes work for another model or from older data."""
    inputs: dict[str, list[Artifact]]
    names: dict[str, list[str]] = field(default_factory=dict)
    """For inputs passed as `name=path`: the names, in the order of the artifacts in `inputs`."""
    counts: dict[str, Any] = field(default_factory=dict)
    """Written into the manifest: records kept, records dropped by reason, accuracy, ... Deterministic values only."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Written into the record of the run: tokens per second, costs, and other values that may differ between runs."""

    @property
    def name(self) -> str:
        """Name of the artifact: the name of its folder, or of its (first) file without suffix."""
        first = self.outputs[0]
        return first.parent.name if first.name == MANIFEST else first.stem

    def input(self, name: str) -> Artifact:
        """The only artifact of the input `name`."""
        (artifact,) = self.inputs[name]
        return artifact

    def named(self, name: str) -> dict[str, Artifact]:
        """Name to artifact, for an input passed as `--NAME a=path b=path`."""
        return dict(zip(self.names[name], self.inputs[name], strict=True))


@contextmanager
def step(
    spec: ModuleSpec | None, inputs: Sequence[str], settings: SettingsType[S], named: Sequence[str] = ()
) -> Iterator[Run[S]]:
    """Parse the command line, verify inputs, yield the step's `Run`, then put the artifact in place.

    Inputs listed in `named` are passed as `name=path`; the name says what the artifact is used for, such as a domain.
    """
    if spec is None:
        raise SystemExit("run a step as a module: python -m scripts.<stage>.<step>")
    module = spec.name.removesuffix(".__main__")
    arguments = _parse(module, inputs, named)
    recipe = json.loads(arguments.recipe)
    command = _command(module, recipe)
    if is_main_process():
        print(command, flush=True)
    _require_numerics(recipe, command)
    started, clock, files = datetime.now(UTC), time.perf_counter(), file_digests(module)
    run = _prepare(arguments, recipe, settings, inputs, named)
    try:
        retries.refuse_repetition(run.work)
        yield run
        _inputs_unchanged(run)
        record = {
            "step": module,
            "outputs": [str(path) for path in run.outputs],
            "recipe": recipe,
            "code": digest_of(files),
            "files": files,
            "inputs": {str(item.path): item.digest for items in run.inputs.values() for item in items},
            "command": command,
            "commit": commit(),
            "dirty": dirty(),
            "image": image(),
            "host": socket.gethostname(),
            "hardware": hardware(),
            "not_portable": exceptions(hardware()) if recipe.get("numerics") == "portable" else [],
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 3),
            "peak_bytes": peak_bytes(),
            "notes": run.notes,
        }
        if is_main_process():
            _finish(run, record)
    except Exception as error:
        retries.note(run.work, error)
        raise
    finally:
        shutil.rmtree(run.out, ignore_errors=True)


def _command(module: str, recipe: dict[str, Any]) -> str:
    """What repeats this step by hand: its variables of the environment and its command line."""
    environment = [f"{name}={value}" for name, value in numerics.variables(recipe.get("numerics")).items()]
    return shlex.join(["env", *environment, "python", "-m", module, *sys.argv[1:]])


def _require_numerics(recipe: dict[str, Any], command: str) -> None:
    """Raise ArtifactError if the recipe promises portable numbers and this process computes others."""
    if missing := numerics.unset(recipe.get("numerics")):
        raise ArtifactError(
            f"numerics: the recipe says portable, but {', '.join(missing)} of the environment differ from what that "
            f"needs, and libraries read them when they are loaded. Start the step as its first line says: {command}"
        )


def _parse(module: str, inputs: Sequence[str], named: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--recipe", required=True, help="canonical JSON: settings, seed, code and environment digests")
    parser.add_argument("--out", required=True, nargs="+", type=Path, help="a manifest.json, or the files to make")
    for name in inputs:
        parser.add_argument(f"--{name}", nargs="*", type=Path, default=[], help="manifests or files to read")
    for name in named:
        parser.add_argument(f"--{name}", nargs="+", type=_named, required=True, metavar="NAME=PATH")
    return parser.parse_args()


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=PATH")
    return name, Path(path)


def _prepare(
    arguments: argparse.Namespace,
    recipe: dict[str, Any],
    settings: SettingsType[S],
    inputs: Sequence[str],
    named: Sequence[str],
) -> Run[S]:
    paths_by_input = {name: getattr(arguments, name.replace("-", "_")) for name in inputs}
    pairs_by_input = {name: getattr(arguments, name.replace("-", "_")) for name in named}
    names = {name: [key for key, _ in pairs] for name, pairs in pairs_by_input.items()}
    paths_by_input |= {name: [path for _, path in pairs] for name, pairs in pairs_by_input.items()}
    opened = {name: [open_artifact(path) for path in paths] for name, paths in paths_by_input.items()}
    digests = {name: [item.digest for item in items] for name, items in opened.items()}
    identity = {"recipe": recipe, "inputs": digests, "names": names, "outputs": [str(path) for path in arguments.out]}
    return Run(
        settings=settings.model_validate(recipe["settings"]),
        seed=recipe["seed"],
        inputs=opened,
        names=names,
        outputs=arguments.out,
        work=Path("work") / digest_json(identity),
        out=_private_folder(arguments.out[0]) if is_main_process() else Path(tempfile.mkdtemp()),
    )


def is_main_process() -> bool:
    """True in the process that publishes the artifact: rank 0 of a distributed training (RANK), or the only process."""
    return os.environ.get("RANK", "0") == "0"


def workers() -> int:
    """Number of worker processes, from the environment (NEBULA_WORKERS). It cannot change the artifact, so it is not a
    setting."""
    return int(os.environ.get("NEBULA_WORKERS", "1"))


def _private_folder(output: Path) -> Path:
    """Create a new folder beside the output; removes folders left behind by killed runs of the same output."""
    final = output.parent if output.name == MANIFEST else output
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(f".{final.name}{PARTIAL}*"):
        shutil.rmtree(left)
    partial = final.with_name(f".{final.name}{PARTIAL}{os.getpid()}")
    partial.mkdir()
    return partial


def _inputs_unchanged(run: Run[Any]) -> None:
    """Hash the inputs again: an input replaced during the run is not the one recorded. Raises ArtifactError."""
    for item in (item for items in run.inputs.values() for item in items):
        if not item.path.is_file() or sha256_file(item.path) != item.digest:
            raise ArtifactError(f"{item.path} changed while this step read it: run the same target again")


def _finish(run: Run[Any], record: dict[str, Any]) -> None:
    if [path.name for path in run.outputs] == [MANIFEST]:
        write_manifest(run.out, run.counts)
        write_json(run.out / RUN, record | {"output": sha256_file(run.out / MANIFEST)})
        replace_folder(run.out, run.outputs[0].parent)
    else:
        _place_files(run, record)
    shutil.rmtree(run.work, ignore_errors=True)


def _place_files(run: Run[Any], record: dict[str, Any]) -> None:
    """Put every file and its record in place, the record first, so that a finished file always has one.

    Raises ArtifactError if the step did not write an output.
    """
    missing = [str(path) for path in run.outputs if not (run.out / path.name).is_file()]
    if missing:
        raise ArtifactError(f"the step ended without writing {', '.join(missing)}; nothing was put in place")
    for path in run.outputs:
        made = run.out / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(run_path(path), record | {"output": sha256_file(made)})
        os.replace(made, path)
