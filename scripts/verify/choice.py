"""Multiple choice: the letter (or the text) of the option that the response states as its answer.

Only a statement counts: a box, `Answer: B` (in JSON or as `<answer>B</answer>` too), `the answer is (B)`, an option
alone on the last line. The last line with a statement decides; where it states two options, or `A or B`, the response
is ambiguous and therefore false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.common.verify_settings import VerifySettings
from scripts.verify.answer import AnswerError, Verdict

_MARKUP = r"(?:[*_`\"'$]|\\[()\[\]])*"
_LETTER = (
    _MARKUP
    + r"(?:\\text(?:bf)?\{|\\mathrm\{|\\mathbf\{)?\s*"
    + r"(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z]))\}?(?![A-Za-z0-9'\u2019])"
    + _MARKUP
)
_OPENING = re.compile(r"(?:(?i:option|choice)\s+)?" + _LETTER)
_MARKER = re.compile(
    r"(?i:\b(?:answer|option|choice)\b[*_\"']*\s*(?:is|would be|should be|must be|[:=])[*_]*\s*:?[*_]*\s*)|####\s*"
    r"|(?i:<answer>)\s*"
    r"|(?i:^(?:so|thus|hence|therefore),?\s+(?=\(?[a-z]\)))",
    re.MULTILINE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ALTERNATIVE = re.compile(
    r"\s*[(\[]?(?:(?:\s*(?:,|/|&|\||;|\+|\\|\?|\b(?:and|or|vs|versus|then|plus)\b\.?))+\s*(?:(?:and|or|then)\s+)?"
    r"|[.!\s\u2026]*(?=\b(?i:no|wait|actually|rather)\b))"
    r"(?:(?:maybe|perhaps|possibly|probably|likely|else|even|also|option|choice|(?i:no|wait|actually|rather)\b,?)\s+)*"
    + _LETTER
    + r"|\s*[\u2014\u2013-]+\s*"
    + _LETTER
    + r"(?=\s*(?:$|[,;!?)\]}<]|\.\s*$|(?:and|or)\b))"
)
"""Another option after one: `B or C`, `B? No, C`, and `B - C` where nothing is said of the C (`B - C cells` is one)."""
_DENIED = re.compile(
    r"\s*(?:\?\s*(?i:no|nope|wrong)\b|(?:is|was|would be|seems|looks)\s+(?:clearly\s+)?(?:wrong|incorrect)\b"
    r"|(?:is\s+not|isn't|isn\u2019t|cannot be|can't be)\s+(?:the\s+)?(?:correct|right|best|true|answer|it)\b)"
)
"""What takes a stated option back."""
_AFTER = re.compile(r"\s*(?:$|[.,;:!)\]}<*$\n\\\u2014\u2013-]|(?:because|since|as|is|which|due|given|for|and|or)\b)")
"""What may follow a letter that is also a word (`A`, `I`) for it to be an answer; `the answer is A dog` states none."""
_AFTER_ALONE = re.compile(r"\s*(?:$|[.):,\u2014\u2013-]|is\s+(?:the\s+)?(?:correct|right|best|answer)\b)")
"""What must follow an option that opens a response of one line, without a marker."""
_HEADING = re.compile(r"(?i)\banswer\b[*_]*(?:\s*is)?[*_: ]*$")
_STATEMENT_CHARS = 300  # a stated option, its text included, is shorter


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
    lines = [line.strip() for line in response.splitlines() if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        stated = set(_statements(lines[index], options))
        if not stated and following and _HEADING.search(lines[index][-_STATEMENT_CHARS:]):
            stated = _options_at(following, options)
        if not stated and not following:
            stated = _option_alone(lines[index], options) if index else _opening_option(lines[index], options)
        if stated:
            return stated
    return set()


def _statements(line: str, options: Mapping[str, str]) -> Iterator[str]:
    boxes = _BOXED.findall(line)
    for content in boxes:
        yield from _options_at(content, options)
    if not boxes:
        for marker in _MARKER.finditer(line):
            yield from _options_at(line[marker.end() :][:_STATEMENT_CHARS], options)


def _options_at(text: str, options: Mapping[str, str]) -> set[str]:
    """The options that `text` begins with, or the one whose text it is."""
    text = text.strip()
    match = _OPENING.match(text.upper() if re.fullmatch(r"[a-z][.)]?", text) else text)
    found: set[str] = set()
    while match:
        letter = next(filter(None, match.groups()))
        found.add(letter.upper())
        alternative = _ALTERNATIVE.match(text, match.end())
        if alternative is None and _DENIED.match(text, match.end()):
            return set()
        if alternative is None and not match[1] and letter in "AI" and not _AFTER.match(text, match.end()):
            return _by_text(text, options)
        match = alternative
    known = found & set(options) if options else found
    return known or _by_text(text, options)


def _opening_option(line: str, options: Mapping[str, str]) -> set[str]:
    """The option that a response of one line opens with."""
    match = _OPENING.match(line)
    if (
        match
        and not match[1]
        and not _AFTER_ALONE.match(line, match.end())
        and not _ALTERNATIVE.match(line, match.end())
    ):
        return _by_text(line, options)
    return _options_at(line[:_STATEMENT_CHARS], options)


def _option_alone(line: str, options: Mapping[str, str]) -> set[str]:
    """The option that a line consists of: its letter, its text, or both."""
    match = _OPENING.match(line)
    if match is None:
        return _by_text(line, options)
    letter = (match[1] or match[2]).upper()
    rest = _plain(line[match.end() :])
    if rest and rest != _plain(options.get(letter, "")):
        return _by_text(line, options)
    return {letter} if not options or letter in options else set()


def _by_text(text: str, options: Mapping[str, str]) -> set[str]:
    """The options whose whole text is what is stated."""
    stated = _plain(re.sub(r"\\text(?:bf)?\{([^{}]*)\}", r"\1", text))
    return {name for name, option in options.items() if stated and _plain(option) == stated}


def _plain(text: str) -> str:
    return " ".join(text.strip(" \t.,:;!*_`\"'$()[]\\-\u2013\u2014").casefold().split())
