"""The kinds of answers that a record may have, each with its verifier; a module without libraries, read everywhere."""

from __future__ import annotations

from typing import Literal, get_args

AnswerKind = Literal["math", "code", "instructions", "choice", "grid", "none"]
ANSWER_KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
