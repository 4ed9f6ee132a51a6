"""Multiple choice: the letter (or the text) of the option that the response states as its answer.

Only a statement counts: a box, `Answer: B` (in JSON or as `<answer>B</answer>` too), `the answer is (B)`, `I choose B`,
`Option B is correct`, the same in some other languages, an option alone on the last line. The last line with a
statement decides; if it states two options, or `A or B`, the response is ambiguous and therefore false. A response
without a statement may still show its option by its form: an option alone on the first line, or alone in bold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.answer_words import CHINESE_AND_JAPANESE, KOREAN, OTHER_LANGUAGES
from scripts.verify.settings import VerifySettings

_ANY: Mapping[str, str] = MappingProxyType({})
_MARKUP = r"(?:[*_`\"'$]|\\[()\[\]])*"
_LETTER = (
    _MARKUP
    + r"(?:\\text(?:bf)?\{|\\mathrm\{|\\mathbf\{)?\s*"
    + r"(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z]))\}?(?![A-Za-z0-9'\u2019])"
    + _MARKUP
)
_OPENING = re.compile(
    r"(?:(?i:the )?(?i:option|choice|letter|answer|\u9009\u9879|\u9078\u629e\u80a2)\s{0,2})?" + _LETTER
)
_FORMULA = re.compile(
    r"(?:\\\)|\$)?(?:\s*(?:[=^\u2248\u2264\u2265\u2260\u221d\xd7\xb7\xb1\u2208]|<[\s=]|>\s?[\dA-Z=]|/\s?[\da-z]|\+\s?[\da-z\\(])"
    r"|\s*\\(?!text|quad|qquad|mbox|mathrm|mathbf)[A-Za-z]+|_\{?[\dA-Za-z]|\*[\da-z]|-(?:[a-z]|[A-Z]-)|\([A-Za-z\d]\s?[-+,)])"
)
"""What makes a formula or a name of a letter before it: `C = 3`, `B^2`, `E \\approx 5`, `P(A)`, `D-glucose`."""
_LOWER = re.compile(r"[a-z](?:[.)]?$|[.)]\s)")
"""An option in lower case: alone, or marked by its point or parenthesis (`b) 14`)."""
_NAMED_LOWER = re.compile(r"^((?i:option|choice|letter)\s)([a-z])(?=[.)]|$)")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_FRAMED = re.compile(
    r"[<\u27e8\u3008\u300a]+\s*([A-Z])\s*[>\u27e9\u3009\u300b]+|\[\[\s*([A-Z])\s*\]\]"
    r"|(?<![A-Za-z])['\u2018\u201c]([A-Z])['\u2019\u201d]"
    r"|(?:(?<=[:=]\s)|(?<=[:=])|(?<=is ))\{\s*([A-Z])\s*\}"
)
"""A letter in quotes, angle brackets or braces, which become parentheses."""
_LEAD = re.compile(
    r"(?i:(?:so|thus|hence|therefore|finally|overall|in conclusion)[,:]?\s+)?"
    r"(?i:I (?:think|believe)(?: that)?\s+(?=it|this|that))?"
    r"(?i:(?:it|this|that)(?:['\u2019]s|\s+(?:is|must be|should be|has to be))\s+)?"
)
"""What may open a sentence whose rest is an option alone: `Therefore, (D).`, `So it must be D.`"""
_ADVERB = r"(?:(?i:therefore|thus|hence|clearly|indeed|definitely|simply|most likely|probably|likely)[,\s]+)?"
_IS = (
    r"(?:(?:is|would|should|must|will|ought|has|have|can only|seems|appears|turns out|comes out|ends up)"
    r"(?:\s+(?:then|thus|therefore|hence|clearly|to|only))*(?:\s+(?:be|being))?)"
)
_MARKER = re.compile(
    r"(?i:\b(?:answer|option|choice|letter|pick|selection|ans\b\.?)(?:\s+(?:to|for|among|of|here)\b[^.:\n]{0,80}?)?[*_\"']*"
    r"(?:,\s?(?:therefore|then|thus|hence)\s?,)?"
    rf"\s*(?:{_IS}|[:=\u2192\u21d2]|-+>|[-\u2013\u2014](?=\s))[*_]*\s*:?[*_]*\s*)" + _ADVERB + r"|####\s*"
    r"|(?i:<answer>)\s*|\b(?i:ans)\.\s+"
    r"|(?i:^(?:so|thus|hence|therefore),?\s+(?=\(?[a-z]\)))"
    r"|\b(?i:(?:I|we)(?:['\u2019](?:ll|d|m)| will| would| am)?(?:\s+going to)?\s+"
    r"(?:choose|chose|pick|select|go with|going with)[*_]*:?\s+)"
    rf"|(?i:{OTHER_LANGUAGES})|{CHINESE_AND_JAPANESE}|{KOREAN}",
    re.MULTILINE,
)
_AFFIRMED = re.compile(
    r"(?:^|[.!?;:,]\s{0,2}|\b(?i:so|thus|hence|therefore|that|but|and|option|choice|answer)\b[,\s]{0,2}|(?:\u6240\u4ee5|\u56e0\u6b64|\u6545|\u5219)\s?|[\u9009\u9078]\u629e?[\u9879\u80a2]\s{0,2})"
    r"(?:(?i:option|choice)\s{1,2})?"
    + _LETTER
    + r"\s*(?:(?:is|must be)\s+(?:(?:therefore|thus|clearly|indeed|the|my|our|final|only)\s+)*(?:most\s+)?"
    r"(?:correct|right|best|appropriate|answer)\b"
    r"(?!\s*(?:\?|only|if|when|in|about|that)\b)(?!\s*\?)|(?:\u9009?\u9879)?\u662f?(?:\u6b63\u786e|\u5bf9)\u7684?|\u304c\u6b63\u3057\u3044)"
)
"""`Option B is correct`: counts if no line states an option, and the whole response affirms no other."""
_UNSURE = re.compile(
    r"(?i)\b(?:if|whether|unless|suppose|assume|assuming|not|neither|nor|why|either|or)\b[^,;]*$|n't\b[^,;]*$|\u5982\u679c|\u5047\u8bbe"
)
"""Words earlier in the sentence that cancel an affirmation."""
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_ALTERNATIVE = re.compile(
    r"\s*[(\[]?(?:(?:\s*(?:,|/|&|\||;|\+|\\|\?|\b(?:and|or|vs|versus|then|plus|o|ou|oder|y|et|und|\u0438\u043b\u0438)\b\.?|[\u3001\u6216\u548c\u4e0e\u53ca]\u8005?|\u307e\u305f\u306f|\u3082\u3057\u304f\u306f|\ub610\ub294|\ud639\uc740|\u8fd8\u662f))+"
    r"\s*(?:(?:and|or|then)\s+)?"
    r"|[.!\s\u2026]*(?=\b(?i:no|wait|actually|rather)\b))"
    r"(?:(?:maybe|perhaps|possibly|probably|likely|else|even|also|option|choice|(?i:no|wait|actually|rather)\b,?)\s+)*"
    + _LETTER
    + r"|\s*[\u2014\u2013-]+\s*"
    + _LETTER
    + r"(?=\s*(?:$|[,;!?)\]}<]|\.\s*$|(?:and|or)\b))"
    r"|\s*\.\s*" + _LETTER + r"(?=\s*\.?\s*$)"
)
"""Another option after one: `B or C`, `B? No, C`, and `B - C` if nothing follows (`B - C cells` is one option)."""
_DENIED = re.compile(
    r"\s*(?:\?\s*(?i:no|nope|wrong)\b|(?:is|was|would be|seems|looks)\s+(?:clearly\s+)?(?:wrong|incorrect)\b"
    r"|(?:is\s+not|isn't|isn\u2019t|cannot be|can't be)\s+(?:the\s+)?(?:correct|right|best|true|answer|it)\b"
    r"|[\uc740\ub294\uc774\uac00]?\s?\uc544[\ub2c8\ub2d9\ub2cc]|(?:\u3067\u306f|\u3058\u3083)(?:\u306a|\u3042\u308a))"
)
"""Words after an option that take it back."""
_AFTER = re.compile(
    r"\s*(?:$|[.,;:!)\]}<*$\n\\\u2014\u2013-]|(?:because|since|as|is|which|due|given|for|and|or)\b|[\u3000-\u9fff\uac00-\ud7af])"
)
"""What may follow a letter that is also a word (`A`, `I`) for it to be an answer; `the answer is A dog` states none."""
_AFTER_ALONE = re.compile(r"\s*(?:$|[.):,\u2014\u2013-])")
"""What must follow an option that opens a response of one line, without a marker."""
_HEADING = re.compile(r"(?i)\banswer\b[*_]*(?:\s*is)?[*_: ]*$")
_CLAUSE = re.compile(
    r"\b(?:because|since|as|while|whereas|not|unlike|rather|instead|than|which|that|if)\b|[.;?!](?:\s|$)|,(?!\s*or\b)"
)
_OR_LATER = re.compile(
    r"\bor\s+(?:(?i:option|choice)\s+)?(?:\(([A-Z])\)|([A-Z])[).](?=\s|$)|([B-HJ-Z])(?![A-Za-z0-9'\u2019]))"
)
"""An alternative after the stated option's text, in the same clause: `B) London or C) Paris`."""
_LISTED = re.compile(r"(?:[-+*\u2022]\s+)?(?:(?i:option|choice)\s+)?[*_`(\[]*([A-Z])(?=[)\].:*_`]|\s*$)")
"""An option at the start of a line."""
_BOLD = re.compile(r"\*\*[^*]+\*\*[.:]?")
_CONNECTIVE = re.compile(r"(?i)(?:or|and|vs\.?|/)[,:]?")
_BRACKETED = re.compile(r"[*_]*(?:\([A-Z]\)|[A-Z]\))")
_OTHER = re.compile(r"(?<![A-Za-z0-9'\u2019])(?:\([A-Z]\)|[A-Z][).]|[B-HJ-Z](?![A-Za-z0-9'\u2019]))")
_WIDE = str.maketrans(
    "\uff08\uff09\uff1a\uff0c\u3002\uff0e\uff1b\uff1f\uff01\u3010\u3011\u300c\u300d\u300e\u300f", "():,..;?![][][]"
) | {first + index: chr(ord("A") + index) for first in (0xFF21, 0x24B6) for index in range(26)}
"""Full-width punctuation and letters, and circled letters, as plain ones."""
_STATEMENT_CHARS = 300  # a stated option, its text included, is shorter


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """True if the response states one option, the target's."""
    target, options = _target(spec)
    return of_letters(stated_options(response, options), target)


def of_letters(stated: Set[str], target: str) -> Verdict:
    """The verdict on the letters that a response states."""
    if not stated:
        return Verdict(False, "no answer found")
    if len(stated) > 1:
        return Verdict(False, f"ambiguous: {' and '.join(sorted(stated))} stated")
    return Verdict(stated == {target}, f"stated {next(iter(stated))}")


def _target(spec: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The target's letter, and the options' texts by letter if the spec has them (a list or an object)."""
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


def stated_options(response: str, options: Mapping[str, str] = _ANY) -> set[str]:
    """The options stated on the last line that states any; in the last line itself a bare option counts.

    `options` are the options' texts by letter; of a question whose options are not known any letter is an option.
    """
    text = _FRAMED.sub(lambda match: f"({next(filter(None, match.groups()))})", response.translate(_WIDE))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        stated = _statements(lines[index], options)
        if not stated and following and _HEADING.search(lines[index][-_STATEMENT_CHARS:]):
            stated = _options_at(following, options)
        if not stated and not following:
            stated = _option_on_last_line(lines, options) if index else _opening_option(lines[index], options)
        if stated:
            return stated
    return _stated_by_form(lines, options)


def _stated_by_form(lines: Sequence[str], options: Mapping[str, str]) -> set[str]:
    """The options that a response without a statement affirms; else the one that opens its first line or its last, or
    is in bold, if no other option opens a line."""
    affirmed = {letter for line in lines for letter in _affirmations(line) if not options or letter in options}
    opening = {match[1] for match in map(_LISTED.match, lines) if match}
    if affirmed or len(opening) != 1:
        return affirmed
    formed = (
        _option_alone(lines[0], options) == opening
        or any(_BOLD.fullmatch(line) and _is_sole_option(line) for line in lines)
        or (_BRACKETED.match(lines[-1]) is not None and _is_sole_option(lines[-1]))
    )
    return opening if formed and (not options or opening <= set(options)) else set()


def _affirmations(line: str) -> Iterator[str]:
    for match in _AFFIRMED.finditer(line):
        sentence = re.split(r"[.!?;]\s", line[max(0, match.start() - _STATEMENT_CHARS) : match.start() + 1])[-1]
        if not _UNSURE.search(sentence):
            yield next(filter(None, match.groups())).upper()


def _is_sole_option(line: str) -> bool:
    """Whether a line opens with an option and names no other."""
    match = _LISTED.match(line)
    return match is not None and not _OTHER.search(line, match.end() + 1)


def _statements(line: str, options: Mapping[str, str]) -> set[str]:
    """The options that the line's boxes state; if they state none, those after its markers."""
    boxed = [_options_at(content, options) or _marked(content, options) for content in _BOXED.findall(line)]
    return set().union(*boxed) or _marked(line, options)


def _marked(text: str, options: Mapping[str, str]) -> set[str]:
    text = _LATEX_TEXT.sub(r"\1", text)
    return set().union(
        *(_options_at(text[marker.end() :][:_STATEMENT_CHARS], options) for marker in _MARKER.finditer(text))
    )


def _options_at(text: str, options: Mapping[str, str]) -> set[str]:
    """The options that `text` begins with, or the one whose text it is."""
    text = _plain_start(text)
    named = _named_like_a_letter(text, options)
    if named:
        return named
    match = _OPENING.match(text)
    letters: set[str] = set()
    while match:
        letter = next(filter(None, match.groups()))
        alternative = _ALTERNATIVE.match(text, match.end())
        if alternative is None and _is_in_formula(text, match, options.get(letter.upper(), "")):
            return letters if re.match(r"\s*,", match[0]) else set()  # `The answer is D, F = ma`
        if alternative is None and _DENIED.match(text, match.end()):
            return set()
        letters.add(letter.upper())
        if alternative is None and not match[1] and letter in "AI" and not _AFTER.match(text, match.end()):
            return _by_text(text, options)
        later = (
            None if alternative else _OR_LATER.search(_CLAUSE.split(text[match.end() :].lstrip("). :"), maxsplit=1)[0])
        )
        match = alternative or later
    known = letters & set(options) if options else letters
    return known or _by_text(text, options)


def _plain_start(text: str) -> str:
    """A statement without LaTeX's words for text, an option in lower case as a capital (`b) 14`)."""
    text = re.sub(r"(?<=\w)\\ ", " ", _LATEX_TEXT.sub(r"\1", text)).strip()
    text = _NAMED_LOWER.sub(lambda match: f"{match[1]}{match[2].upper()}", text)
    return text[:1].upper() + text[1:] if _LOWER.match(text) else text


def _without_lead(line: str) -> str:
    match = _LEAD.match(line)
    return line[match.end() :] if match else line


def _is_in_formula(text: str, match: re.Match[str], option: str) -> bool:
    """Whether a letter without brackets names a quantity: `C = 3`, but not if 3 is what the option C says."""
    index = next(index for index, group in enumerate(match.groups(), 1) if group)
    if text[match.start(index) - 1 : match.start(index)] in ("(", "[") or not _FORMULA.match(text, match.end(index)):
        return False
    return not option or _plain(text[match.end() :].lstrip(" =")) != _plain(option)


def _named_like_a_letter(text: str, options: Mapping[str, str]) -> set[str]:
    """The option whose text is stated, of those whose text begins like a letter (`C. elegans`, `B cells`)."""
    stated = _plain(text)
    named = {
        name: plain
        for name, plain in ((name, _plain(option)) for name, option in options.items() if _OPENING.match(option))
        if len(plain) > 3
        and (re.match(rf"{re.escape(plain)}(?!\w)", stated) or (len(stated) > 3 and plain.startswith(stated)))
    }
    longest = max(map(len, named.values()), default=0)
    first = {name for name, plain in named.items() if len(plain) == longest}
    rest = _plain(stated[longest:]) if named else ""
    if re.match(r"(?:or|and|vs|/|&)(?!\w)", rest):
        first |= {name for name, option in options.items() if _plain(option) and _plain(option) in rest}
    return first


def _opening_option(line: str, options: Mapping[str, str]) -> set[str]:
    """The option that a response of one line opens with."""
    line = _plain_start(_without_lead(line))
    match = _OPENING.match(line)
    if (
        match
        and not match[1]
        and not _AFTER_ALONE.match(line, match.end())
        and not _ALTERNATIVE.match(line, match.end())
    ):
        return _by_text(line, options)
    return _options_at(line[:_STATEMENT_CHARS], options)


def _option_on_last_line(lines: Sequence[str], options: Mapping[str, str]) -> set[str]:
    """The option alone on the last line, with one alone on the line before it (`or` between them): a list of two."""
    stated = _option_alone(lines[-1], options)
    before = [line for line in lines[:-1] if not _CONNECTIVE.fullmatch(line)]
    return stated | _option_alone(before[-1], options) if stated and before else stated


def _option_alone(line: str, options: Mapping[str, str]) -> set[str]:
    """The option that a line consists of: its letter, its text, or both."""
    line = _without_lead(line)
    if _LOWER.match(line) and _plain(line[2:]):
        line = _plain_start(line)
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
