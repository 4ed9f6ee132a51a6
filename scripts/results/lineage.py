"""Show where a number comes from: the tree from a cell back to the raw sources, or how two cells differ.

    python -m scripts.results.lineage instruct/ins-grpo/ifeval [--results results/tiny] [--json]
    python -m scripts.results.lineage --diff instruct/ins-sft-3/ifeval instruct/ins-grpo/ifeval
    python -m scripts.results.lineage --diff results/tiny/cells/instruct/ins-grpo/ifeval.json OTHER/cells/instruct/...

A cell is named TABLE/ROW/COLUMN below the results folder, or by its file, so that two runs of one cell can be compared.
The exit code is 1 if the lineage is inconsistent: a record is missing, or an input was made again since it was read.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from scripts.common.artifacts import canonical_json
from scripts.common.lineage import Lineage, Node, flat, trace

SETTINGS_SHOWN = 12  # settings that a node of the tree shows; --json has all
LONG_VALUE = 40  # characters; longer values are shown by --json alone
DIGEST_SHOWN = 12  # hex digits
PLAIN_WIDTH = 160  # columns, if the output is not a terminal and so has no width of its own


class CellNotFound(LookupError):
    """There is no such cell; the message lists close matches."""


def find_cell(name: str, results: Path) -> Path:
    """The file of a cell named TABLE/ROW/COLUMN below `results`, or by its path. Raises CellNotFound."""
    direct, inside = Path(name), results / "cells" / f"{name}.json"
    for path in (inside, direct):
        if path.is_file():
            return path
    cells = results / "cells"
    known = sorted(path.relative_to(cells).with_suffix("").as_posix() for path in cells.glob("*/*/*.json"))
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"{len(known)} cells are made in {cells}."
    raise CellNotFound(f"no cell {name!r} in {results}: {hint} A cell is made by `make cell CELL=table/row/column`")


def as_json(cell: Path, lineage: Lineage) -> dict[str, Any]:
    """The whole lineage as data: every artifact with its digest, inputs, counts and run record."""
    artifacts = {
        path.as_posix(): {
            "digest": node.digest,
            "inputs": {source.as_posix(): digest for source, digest in node.inputs.items()},
            "counts": node.counts(),
            "run": {key: value for key, value in node.record.items() if key not in ("output", "inputs")},
        }
        for path, node in lineage.nodes.items()
    }
    return {"cell": cell.as_posix(), "artifacts": artifacts, "problems": list(lineage.problems)}


def tree(cell: Path, lineage: Lineage) -> Tree:
    """The lineage as a tree for the terminal; an artifact that several others need is shown in full once."""
    shown: set[Path] = set()

    def grow(path: Path, parent: Tree) -> None:
        if path not in lineage.nodes:
            parent.add(Text(f"{path}  MISSING", style="red"))
        elif path in shown:
            parent.add(Text(f"{path}  (above)", style="dim"))
        else:
            shown.add(path)
            branch = parent.add(_label(lineage.nodes[path]))
            for source in sorted(lineage.nodes[path].inputs):
                grow(source, branch)

    root = Tree("", hide_root=True, guide_style="dim")
    grow(cell, root)
    return root


def _label(node: Node) -> Text:
    record = node.record
    text = Text(str(node.path), style="bold")
    text.append(f"  {node.digest[:DIGEST_SHOWN]}", style="cyan")
    commit = record["commit"][:DIGEST_SHOWN] if record.get("commit") else "commit unknown"
    changed = {True: " + uncommitted changes", False: "", None: ""}[record.get("dirty")]
    environment = ", ".join(f"{name} {digest[:8]}" for name, digest in record["recipe"].get("environment", {}).items())
    about = f"{record['step']}  {commit}{changed}  {environment}  {record.get('seconds', 0):.1f} s"
    text.append(f"\n{about}", style="not bold")
    for title, values in (("settings", key_settings(record)), ("counts", flat(node.counts()))):
        if values:
            line = ", ".join(f"{key}={value}" for key, value in values.items())
            text.append(f"\n{title}: {line}", style="not bold dim")
    return text


def key_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """The short settings of a run: the seed, then the least nested ones. The key `...` says how many are left out."""
    by_depth = sorted(flat(record["recipe"].get("settings", {})).items(), key=lambda item: item[0].count("."))
    settings = {"seed": record["recipe"].get("seed"), **dict(by_depth)}
    short = {key: value for key, value in settings.items() if len(str(value)) <= LONG_VALUE and value is not None}
    kept = dict(list(short.items())[:SETTINGS_SHOWN])
    return kept | ({"...": f"{len(settings) - len(kept)} more"} if len(settings) > len(kept) else {})


def differences(one: Lineage, other: Lineage, roots: tuple[Path, Path]) -> Iterable[str]:
    """The differences between two lineages, one per line: artifacts that only one has, then why others differ.

    Artifacts are matched by their path below the results folders `roots`.
    """
    left, right = (_by_name(lineage, root) for lineage, root in zip((one, other), roots, strict=True))
    yield from (f"only in A: {name}  {left[name].digest[:DIGEST_SHOWN]}" for name in sorted(left.keys() - right.keys()))
    yield from (
        f"only in B: {name}  {right[name].digest[:DIGEST_SHOWN]}" for name in sorted(right.keys() - left.keys())
    )
    for name in sorted(left.keys() & right.keys()):
        a, b = left[name], right[name]
        reasons = list(_reasons(a, b, roots))
        if a.digest != b.digest:
            yield f"differs: {name}  {a.digest[:DIGEST_SHOWN]} -> {b.digest[:DIGEST_SHOWN]}"
        elif reasons:
            yield f"same content, made differently: {name}  {a.digest[:DIGEST_SHOWN]}"
        yield from (f"    {reason}" for reason in reasons)


def _by_name(lineage: Lineage, root: Path) -> dict[str, Node]:
    return dict(
        sorted(
            (path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix(), node)
            for path, node in lineage.nodes.items()
        )
    )


def _reasons(a: Node, b: Node, roots: tuple[Path, Path]) -> Iterable[str]:
    for key in ("step", "code", "commit", "dirty"):
        if a.record.get(key) != b.record.get(key):
            yield f"{key}: {a.record.get(key)} -> {b.record.get(key)}"
    left, right = flat(a.record["recipe"]), flat(b.record["recipe"])
    for key in sorted(left.keys() | right.keys()):
        before, after = (canonical_json(side[key]) if key in side else "absent" for side in (left, right))
        if before != after and key != "code":
            yield f"{key}: {before} -> {after}"
    inputs = [_named_inputs(node, root) for node, root in zip((a, b), roots, strict=True)]
    for name in sorted(inputs[0].keys() ^ inputs[1].keys()):
        yield f"input {name}: only in {'A' if name in inputs[0] else 'B'}"
    for name in sorted(inputs[0].keys() & inputs[1].keys()):
        if inputs[0][name] != inputs[1][name]:
            yield f"input {name} differs"


def _named_inputs(node: Node, root: Path) -> dict[str, str]:
    return {
        (path.relative_to(root) if path.is_relative_to(root) else path).as_posix(): digest
        for path, digest in node.inputs.items()
    }


def results_of(cell: Path) -> Path:
    """The results folder that contains a cell's file."""
    return cell.parents[3]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.lineage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cell", nargs="?", help="TABLE/ROW/COLUMN, or the cell's file")
    parser.add_argument("--diff", nargs=2, metavar=("A", "B"), help="show how two cells differ")
    parser.add_argument("--results", type=Path, default=Path("results/tiny"), help="results folder")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    arguments = parser.parse_args()
    if (arguments.cell is None) == (arguments.diff is None):
        parser.error("name one cell, or two with --diff")
    return arguments


def show(name: str, results: Path, json_wanted: bool) -> Lineage:
    """Print the lineage of one cell."""
    cell = find_cell(name, results)
    lineage = trace([cell])
    if json_wanted:
        print(json.dumps(as_json(cell, lineage), indent=1, ensure_ascii=False))
    else:
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        Console(highlight=False, width=width).print(tree(cell, lineage))
    return lineage


def diff(names: Iterable[str], results: Path, json_wanted: bool) -> Lineage:
    """Print how two cells differ; the returned lineage holds the problems of both."""
    cells = [find_cell(name, results) for name in names]
    one, other = (trace([cell]) for cell in cells)
    lines = list(differences(one, other, (results_of(cells[0]), results_of(cells[1]))))
    if json_wanted:
        print(json.dumps({"a": cells[0].as_posix(), "b": cells[1].as_posix(), "differences": lines}, indent=1))
    else:
        print(f"A: {cells[0]}\nB: {cells[1]}")
        print("\n".join(lines) or "no difference in any artifact behind them, nor in how they were made")
    return Lineage({}, (*one.problems, *other.problems))


def main() -> int:
    arguments = _parse()
    try:
        if arguments.diff:
            lineage = diff(arguments.diff, arguments.results, arguments.json)
        else:
            lineage = show(arguments.cell, arguments.results, arguments.json)
    except CellNotFound as error:
        print(error, file=sys.stderr)
        return 1
    for problem in lineage.problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if lineage.problems else 0


if __name__ == "__main__":
    sys.exit(main())
