"""Drop records that no chat template can render: roles, empty turns, thinking blocks, control tokens, damaged text.

python -m scripts.curate.format --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from ftfy.badness import BADNESS_RE

from scripts.common.chat.thinking import THINK_END, THINK_START
from scripts.common.records import Message
from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.format import Format

DAMAGE = re.compile("[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f]")  # the replacement character, and control characters
ROLES = ("system", "user", "assistant")


HIT = [("matched", pa.string())]
TEXT = views.whole


class FormatFilter(BaseFilter):
    """Keeps records whose messages are a well-formed conversation."""

    name = "format"

    def __init__(self, settings: Format):
        super().__init__()
        self.settings = settings

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        messages = doc.metadata["messages"] or []
        turns = views.turns(doc.metadata)
        reason = _missing(messages) or _disorder(turns, self.settings.last_role) or _thinking(turns)
        if reason:
            doc.metadata["matched"] = " ".join(turn["role"] for turn in turns)
            return False, reason
        foreign = self._foreign(doc.text)
        if foreign is None:
            return True
        reason, doc.metadata["matched"] = foreign
        return False, reason

    def _foreign(self, text: str) -> tuple[str, str] | None:
        """The reason and the characters, if the text has some that no conversation should have."""
        token = next((token for token in self.settings.control_tokens if token in text), None)
        if token is not None:
            return "control-token", token
        damage = DAMAGE.search(text)
        if damage:
            return "damaged-encoding", f"U+{ord(damage[0]):04X}"
        # ASCII holds no mojibake
        found = [] if text.isascii() else BADNESS_RE.findall(text)
        return ("mojibake", " ".join(found[:5])) if len(found) >= self.settings.mojibake else None


def _missing(messages: list[Message]) -> str | None:
    if not messages:
        return "no-messages"
    if any(message is None or message["role"] not in ROLES for message in messages):
        return "unknown-role"
    return "empty-message" if any(not (message["content"] or "").strip() for message in messages) else None


def _disorder(turns: list[Message], last: str) -> str | None:
    """After an optional system message users and assistants take turns, a user first and `last` last."""
    roles = [turn["role"] for turn in turns]
    rest = roles[1:] if roles[0] == "system" else roles
    alternating = all(role == ("user", "assistant")[index % 2] for index, role in enumerate(rest))
    if not rest or not alternating:
        return "role-order"
    return None if rest[-1] == last else f"ends-with-{rest[-1]}"


def _thinking(turns: list[Message]) -> str | None:
    """A thinking block is the start of an assistant's turn, closed once, not empty, and followed by an answer."""
    for content in (turn["content"] for turn in turns if turn["role"] == "assistant"):
        opened = content.count(THINK_START)
        if opened != content.count(THINK_END):
            return "unclosed-thinking"
        if opened:
            before, _, rest = content.partition(THINK_START)
            thought, _, answer = rest.partition(THINK_END)
            if opened > 1 or before.strip():
                return "misplaced-thinking"
            if not thought.strip() or not answer.strip():
                return "empty-thinking" if not thought.strip() else "no-answer-after-thinking"
    return None


FILTER = FormatFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Format) as run:
        run.counts |= job_of(run).filter(FormatFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
