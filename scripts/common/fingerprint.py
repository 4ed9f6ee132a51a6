"""Fingerprint of a step's code: the module and all it imports inside the project, by content.

A rule's recipe holds this digest, so an edited line reruns what depends on it, and a touched file, a
moved checkout or an edit elsewhere reruns nothing. Dynamic imports are not seen; packages are covered
by the environment's digest. Files in a `data/` folder beside a module count as part of it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scripts"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@cache
def fingerprint(module: str) -> str:
    """Digest of `module` (dotted name) and of every project module it imports, transitively.

    Raises FileNotFoundError when the module does not exist.
    """
    start = _module_files(f"{module}.__main__")
    if _module_file(module) is None and _module_file(f"{module}.__main__") is None:
        raise FileNotFoundError(f"no module {module} under {ROOT / PACKAGE}: is the rule's module name misspelt?")
    digest = hashlib.sha256()
    for path in _closure(start):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(_file_digest(path).encode())
    return digest.hexdigest()[:16]


@cache
def packages(module: str) -> frozenset[str]:
    """Top-level names of everything that `module` and the project modules behind it import."""
    names = (name for path in _closure(_module_files(f"{module}.__main__")) for name in _names(path))
    return frozenset(name.partition(".")[0] for name in names)


@cache
def _closure(start: tuple[Path, ...]) -> tuple[Path, ...]:
    seen: set[Path] = set()
    todo = list(start)
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_imports(path))
    data = {item for path in seen for item in _data_files(path.parent / "data")}
    return tuple(sorted(seen | data))


@cache
def _file_digest(path: Path) -> str:
    return sha256_file(path)


@cache
def _data_files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


@cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(found for name in _names(path) for found in _module_files(name))


@cache
def _names(path: Path) -> frozenset[str]:
    """Dotted names that a file imports; none for data."""
    if path.suffix != ".py":
        return frozenset()
    tree = ast.parse(path.read_bytes(), str(path))
    return frozenset(name for node in _statements(tree) for name in _imported_names(node, path))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, at any depth; expressions, most of a tree, hold none and are not looked at."""
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
    found = (_module_file(".".join(parts[:end])) for end in range(1, len(parts) + 1))
    return tuple(path for path in found if path is not None)


@cache
def _module_file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
