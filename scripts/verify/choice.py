"""Multiple choice: the letter (or the text) of the option that the response states as its answer.

Only a statement counts: a box, `Answer: B`, `the answer is (B)`, an option alone on the last line. The last line with
a statement decides; where it states two options, or `A or B`, the response is ambiguous and therefore false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.settings import VerifySettings

_MARKUP = r"[*_`\"'$]*"
_LETTER = (
    _MARKUP
    + r"(?:\\text(?:bf)?\{|\\mathrm\{|\\mathbf\{)?\s*"
    + r"(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z]))\}?(?![A-Za-z0-9'\u2019])"
    + _MARKUP
)
_OPENING = re.compile(r"(?:(?i:option|choice)\s+)?" + _LETTER)
_MARKER = re.compile(
    r"(?i:\b(?:answer|option|choice)\b[*_]*\s*(?:is|would be|should be|must be|[:=])[*_]*\s*:?[*_]*\s*)|####\s*"
    r"|(?i:^(?:so|thus|hence|therefore),?\s+(?=\(?[a-z]\)))",
    re.MULTILINE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ALTERNATIVE = re.compile(r"\s*(?:,|/|&|\||;|\b(?:and|or)\b)+\s*(?:(?:and|or)\s+)?" + _LETTER)
_AFTER = re.compile(r"\s*(?:$|[.,;:!)\]}*$\n\\u2014\u2013-]|(?:because|since|as|is|which|due|given|for|and|or)\b)")
"""What may follow a letter that is also a word (`A`, `I`) for it to be an answer; `the answer is A dog` states none."""


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """True where the one option stated is the target's."""
    target, options = _target(spec)
    stated = _stated(response, options)
    if not stated:
        return Verdict(False, "no answer found")
    if len(stated) > 1:
        return Verdict(False, f"ambiguous: {' and '.join(sorted(stated))} stated")
    return Verdict(stated == {target}, f"stated {next(iter(stated))}")


def _target(spec: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The target's letter, and the options' texts by letter where the spec gives them (a list or an object)."""
    target, options = spec.get("target"), spec.get("options") or {}
    if isinstance(options, list):
        options = {chr(ord("A") + index): text for index, text in enumerate(options)}
    letter = re.fullmatch(r"\(?([A-Za-z])[).]?", target.strip()) if isinstance(target, str) else None
    if letter is None:
        raise AnswerError('choice needs {"target": "B"}, one letter')
    if not isinstance(options, dict) or not all(isinstance(text, str) for text in options.values()):
        raise AnswerError("choice options must be a list of texts, or an object of texts by letter")
    options = {str(name).upper(): text for name, text in options.items()}
    if options and letter[1].upper() not in options:
        raise AnswerError(f"choice target {letter[1]} is not among the options {', '.join(options)}")
    return letter[1].upper(), options


def _stated(response: str, options: Mapping[str, str]) -> set[str]:
    """The options stated on the last line that states any; in the last line itself a bare option counts."""
    lines = [line for line in response.splitlines() if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        stated = set(_statements(lines[index], options))
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if not stated and following and re.search(r"(?i)\banswer\b[*_]*\s*(?:is)?\s*:?[*_]*\s*$", lines[index]):
            stated = _options_at(following, options, alone=False)
        if not stated and index == len(lines) - 1:
            stated = _options_at(lines[index], options, alone=len(lines) > 1)
        if stated:
            return stated
    return set()


def _statements(line: str, options: Mapping[str, str]) -> Iterator[str]:
    boxes = _BOXED.findall(line)
    for content in boxes:
        yield from _options_at(content, options, alone=False, boxed=True)
    if not boxes:
        for marker in _MARKER.finditer(line):
            yield from _options_at(line[marker.end() :], options, alone=False)


def _options_at(text: str, options: Mapping[str, str], alone: bool, boxed: bool = False) -> set[str]:
    """The options that `text` begins with; with `alone` nothing else may follow but the option's text."""
    text = text.strip()
    if boxed and re.fullmatch(r"[a-z]", text):
        return {text.upper()}
    match = _OPENING.match(text)
    found: set[str] = set()
    if match and (match[1] or match[2] not in "AI" or _AFTER.match(text[match.end() :])):
        found.add((match[1] or match[2]).upper())
        end = match.end()
        while other := _ALTERNATIVE.match(text, end):
            found.add((other[1] or other[2]).upper())
            end = other.end()
        if alone and not _only_option(text[end:], found, options):
            return set()
    known = found & set(options) if options else found
    return known or _by_text(text, options)


def _only_option(rest: str, found: set[str], options: Mapping[str, str]) -> bool:
    rest = _plain(rest)
    return not rest or rest in {_plain(options[name]) for name in found if name in options}


def _by_text(text: str, options: Mapping[str, str]) -> set[str]:
    """The options whose whole text is what is stated."""
    stated = _plain(re.sub(r"\\text(?:bf)?\{([^{}]*)\}", r"\1", text))
    return {name for name, option in options.items() if stated and _plain(option) == stated}


def _plain(text: str) -> str:
    return " ".join(text.strip(" \t.,:;!*_`\"'$()[]-\u2013\u2014").casefold().split())
