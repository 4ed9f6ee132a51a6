"""Fingerprint of a step's code: the module and every project module that it imports, by content.

A rule's recipe holds this digest. So an edited line reruns the steps that depend on it, while a touched file, a
moved checkout or an edit elsewhere reruns nothing. `closure(module)` lists the files that count.

A file in a package's `data/` folder counts if another file that counts names it: a module, or a template that includes
it. A README never counts. The modules in `EXECUTION_ONLY` decide how a job runs and never what it makes, so neither
they nor their imports count. Dynamic imports are not followed. The environment's digest covers installed packages.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scripts"
EXECUTION_ONLY = {
    "scripts/common/retries.py": "decides whether a failed job starts again",
    "scripts/common/provenance.py": "fills the record of a run, which no artifact depends on",
    "scripts/common/flops.py": "computes FLOP for a training's report and for estimates",
    "scripts/generation/fleet.py": "chooses the server that answers a request, and tries it again",
    "scripts/generation/serving.py": "says where servers run, and their timeouts and retries",
    "scripts/train/card.py": "writes a model's README.md, which is not content",
    "scripts/train/interruption.py": "saves a checkpoint at SIGTERM; a resumed training ends with the same bytes",
    "scripts/train/progress.py": "prints how far a training is",
    "scripts/train/speed.py": "measures a training for its report",
    "scripts/train/tracking.py": "reports to TensorBoard and other trackers",
}
"""Files that cannot change an artifact's content, each with the reason. An edit of one reruns nothing."""


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@cache
def fingerprint(module: str) -> str:
    """16 hex digits: the digest of every file in the closure of `module` (dotted name).

    Raises FileNotFoundError if the module does not exist.
    """
    return digest_of(file_digests(module))


def digest_of(digests: dict[str, str]) -> str:
    """The fingerprint of files, from their digests as `file_digests` returns them."""
    digest = hashlib.sha256()
    for name, content in sorted(digests.items()):
        digest.update(name.encode() + b"\0")
        digest.update(content.encode())
    return digest.hexdigest()[:16]


def file_digests(module: str) -> dict[str, str]:
    """Each file in the closure of `module`, relative to the project, with the SHA-256 of its content."""
    return {path.relative_to(ROOT).as_posix(): _file_digest(path) for path in closure(module)}


def closure(module: str) -> tuple[Path, ...]:
    """The files whose content decides what a step makes: its module and what that imports, transitively; sorted.

    Raises FileNotFoundError if the module does not exist.
    """
    if _module_file(module) is None and _module_file(f"{module}.__main__") is None:
        raise FileNotFoundError(f"no module {module} under {ROOT / PACKAGE}: is the rule's module name misspelt?")
    return _closure(_module_files(f"{module}.__main__"))


def forget() -> None:
    """Clear the caches, so that every file is read again: for a process that outlives an edit."""
    cached = (fingerprint, packages, _closure, _file_digest, _content, _data_files, _imports, _names, _module_files)
    for function in (*cached, _module_file):
        function.cache_clear()


@cache
def packages(module: str) -> frozenset[str]:
    """Top-level names of all packages that `module` imports, directly or through project modules."""
    names = (name for path in closure(module) for name in _names(path))
    return frozenset(name.partition(".")[0] for name in names)


@cache
def _closure(start: tuple[Path, ...]) -> tuple[Path, ...]:
    modules: set[Path] = set()
    todo = list(start)
    while todo:
        path = todo.pop()
        if path not in modules and path.relative_to(ROOT).as_posix() not in EXECUTION_ONLY:
            modules.add(path)
            todo.extend(_imports(path))
    return tuple(sorted(modules | _named_data(modules)))


def _named_data(modules: set[Path]) -> set[Path]:
    """The data files in the packages of `modules` whose name is in a module's text, or in the text of such a file."""
    candidates = {item for folder in {path.parent for path in modules} for item in _data_files(folder / "data")}
    named: set[Path] = set()
    todo = list(modules)
    while todo and candidates:
        text = _content(todo.pop())
        new = {item for item in candidates if item.name.encode() in text}
        candidates -= new
        named |= new
        todo.extend(new)
    return named


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(_content(path)).hexdigest()


@cache
def _data_files(folder: Path) -> tuple[Path, ...]:
    """The files of a `data/` folder that can belong to a module: all but its README."""
    files = sorted(folder.iterdir()) if folder.is_dir() else ()
    return tuple(item for item in files if item.is_file() and item.name != "README.md")


@cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(file for name in _names(path) for file in _module_files(name))


@cache
def _names(path: Path) -> frozenset[str]:
    """Dotted names that a file imports; none for data."""
    if path.suffix != ".py":
        return frozenset()
    tree = ast.parse(_content(path), str(path))
    return frozenset(name for node in _statements(tree) for name in _imported_names(node, path))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, at any depth. Expressions are most of a tree and contain no statements, so they are skipped."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner = getattr(node, part, None)
            todo.extend(inner if isinstance(inner, list) else ())


def _imported_names(node: ast.AST, path: Path) -> Iterator[str]:
    """Dotted names that an import statement may load; `from a import b` may load `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = path.parent.relative_to(ROOT).parts
            base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _module_files(name: str) -> tuple[Path, ...]:
    """Files that importing `name` runs: each package's __init__ on the way, and the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return ()
    files = (_module_file(".".join(parts[:end])) for end in range(1, len(parts) + 1))
    return tuple(path for path in files if path is not None)


@cache
def _module_file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
