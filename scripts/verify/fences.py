"""Which text of a response is its program: one of its Markdown code blocks, or all of it.

Blocks are read as in CommonMark. Two more forms are read, since models write them: a block that the prompt began, and a
block whose opening fence follows words on its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"(?P<indent>[ \t]*+)(?P<marks>`{3,}+|~{3,}+)(?P<info>[^`]*+)")
_LATE_FENCE = re.compile(r"(?P<indent>)[^`]*+(?P<marks>`{3,}+)[ \t]*+(?P<info>py[a-z0-9.]*+)[ \t]*+", re.IGNORECASE)
_PYTHON = re.compile(r"[ic]?py(thon|py)?[\d.]*", re.IGNORECASE)
_INDENTED = 4  # CommonMark: a line that is indented by so much more than the opening fence is not a closing one


@dataclass(frozen=True)
class _Fence:
    """A line that begins or ends a code block."""

    marks: str
    indent: int = 0
    info: str = ""
    is_alone: bool = True
    """False if words precede it on its line: `Solution: ```python`."""

    @property
    def is_python(self) -> bool:
        return bool(_PYTHON.fullmatch(self.info.partition(" ")[0].strip("{}.,:")))

    def closes(self, opening: _Fence) -> bool:
        """Whether it ends the block that `opening` began."""
        return not self.info and self.is_alone and self.marks.startswith(opening.marks) and self._is_beside(opening)

    def replaces(self, opening: _Fence) -> bool:
        """Whether it begins a program, although an unnamed block is open: then that one's fence ended a block."""
        return self.is_python and self.is_alone and not opening.info and self._is_beside(opening)

    def _is_beside(self, opening: _Fence) -> bool:
        return self.indent < opening.indent + _INDENTED


@dataclass(frozen=True)
class _Block:
    opening: _Fence
    text: str
    is_closed: bool


def program_of(response: str) -> str:
    """The last code block that is named Python; else the last that reads as Python; else the last; else all of it."""
    text = response.removeprefix("\ufeff").replace("\r\n", "\n")
    blocks = list(_blocks(text.split("\n")))
    if not blocks or _is_python(text):  # the fences of a text that is Python are in its strings and comments
        return text
    last = blocks[-1]
    if not last.is_closed and not last.opening.info and not any(map(_is_program, blocks)):
        begun_by_prompt = list(_blocks(text.split("\n"), _Fence("```")))
        if any(map(_is_program, begun_by_prompt)) or not last.text.strip():
            blocks = begun_by_prompt
    return _choose(blocks).text


def _choose(blocks: Sequence[_Block]) -> _Block:
    named = [block for block in blocks if block.opening.is_python]
    if named or len(blocks) == 1:
        return (named or blocks)[-1]
    return next((block for block in reversed(blocks) if _is_python(block.text)), blocks[-1])


def _is_program(block: _Block) -> bool:
    return block.opening.is_python or _is_python(block.text)


def _is_python(text: str) -> bool:
    """Whether a text is Python that does something: words, numbers and lists are expressions without a call."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(each, ast.Expr) or _has_call(each) for each in statements)


def _has_call(statement: ast.Expr) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(statement))


def _blocks(lines: Iterable[str], opening: _Fence | None = None) -> Iterator[_Block]:
    """The code blocks in order; with `opening`, the text begins inside of one."""
    content: list[str] = []
    for line in lines:
        fence = _fence(line)
        if opening is None:
            opening, content = fence, []
        elif fence is not None and fence.closes(opening):
            yield _block(opening, content, is_closed=True)
            opening = None
        elif fence is not None and fence.replaces(opening):
            opening, content = fence, []
        else:
            content.append(line)
    if opening is not None:
        yield _block(opening, content, is_closed=False)


def _fence(line: str) -> _Fence | None:
    found = _FENCE.fullmatch(line)
    match = found or _LATE_FENCE.fullmatch(line)
    if match is None:
        return None
    return _Fence(match["marks"], len(match["indent"]), match["info"].strip(), is_alone=found is not None)


def _block(opening: _Fence, content: Iterable[str], is_closed: bool) -> _Block:
    """A block without the indentation of its fence."""
    lines = [line[min(opening.indent, len(line) - len(line.lstrip(" \t"))) :] for line in content]
    return _Block(opening, "".join(f"{line}\n" for line in lines) if is_closed else "\n".join(lines), is_closed)
