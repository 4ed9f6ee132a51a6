"""Drop records with personal data: e-mail addresses and public IP addresses.

DataTrove's PIIFormatter has the expressions; it would replace what they match, and a sample to imitate then teaches the
replacement. They also match what is not an address, which this module rules out: a matrix product (`X@beta.reshape`), a
package's version (`lodash@4.17.21`), a number of a version or section (`1.84.1.0`). Addresses of documentation
(example.com, private networks) are nobody's and are kept.

python -m scripts.curate.pii --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters.pii import PIIFormatter, public_ip_validator

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.pii import Pii

HIT = [("matched", pa.string())]
TEXT = views.whole
DOTTED = re.compile(r"\d\.\d{1,3}\.\d")  # in every IP address, and quicker to rule out
TOP_LEVEL = re.compile(
    r"\.(?:[a-z]{2}|com|org|net|edu|gov|mil|int|info|biz|name|pro|jobs|mobi|asia|app|dev|cloud|online|site|tech|store|shop|"
    r"blog|email|agency|company|group|team|digital|media|studio|design|academy|university|health|law|bank)$",
    re.IGNORECASE,
)
"""Countries and the common generic names, so that `.reshape`, `.png` and `.21` end no address."""
CALL = re.compile(r"[(\[=]")  # after a match: `W@x.to(device)`
CREDENTIALS = re.compile(r"://\S*$")  # before a match: `postgres://name:word@host.com`
NUMBERING = re.compile(
    r"(?:\bv|\b(?:versions?|releases?|builds?|firmware|drivers?|sections?|chapters?|clauses?|paragraphs?|articles?|rules?)"
    r"\b|§)[^.!?\n]{0,25}$",
    re.IGNORECASE,
)
"""Before a match in its sentence: the four numbers are those of a version or a section."""
SOFTWARE = re.compile(
    r"\b(?:versions?|released?|releases|updated?|upgraded?|builds?|firmware|drivers?|librar(?:y|ies)|packages?|software|"
    r"manual|edition|changelog|patch(?:ed)?|sections?|chapters?|clauses?|paragraphs?)\b",
    re.IGNORECASE,
)
"""In the same line: four numbers that are all below 100 are those of a version or a section, unless NETWORK matches."""
NETWORK = re.compile(
    r"\b(?:ip|ips|ipv4|address(?:es)?|server|nameserver|host|dns|ping|router|gateway|subnet|network|log ?ins?|"
    r"connect\w*|clients?|ports?|traffic|firewall|proxy|vpn|listens?|bind)\b",
    re.IGNORECASE,
)


class PiiFilter(BaseFilter):
    """Keeps records without personal data; a dropped one says what was found."""

    name = "pii"

    def __init__(self, settings: Pii):
        super().__init__()
        expressions = PIIFormatter()
        self.email, self.ip = expressions.emails_replacer.regex, expressions.ip_replacer.regex
        domains, reserved, names = (
            "|".join(map(re.escape, words))
            for words in (settings.placeholder_domains, settings.reserved_names, settings.placeholder_names)
        )
        self.placeholder = re.compile(
            rf"@(?:.+\.)?(?:(?:{domains})|[^@]*\.(?:{reserved}))$|^(?:{names})@", re.IGNORECASE
        )

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        for reason, found in (("email", self._email(doc.text)), ("ip-address", self._ip(doc.text))):
            if found is not None:
                doc.metadata["matched"] = found
                return False, reason
        return True

    def _email(self, text: str) -> str | None:
        matches = self.email.finditer(text) if "@" in text else ()
        return next((match[0] for match in matches if self._is_somebodys(match)), None)

    def _is_somebodys(self, match: re.Match[str]) -> bool:
        text, start, end = match.string, match.start(), match.end()
        return not (
            self.placeholder.search(match[0])
            or not TOP_LEVEL.search(match[0])
            or CALL.match(text, end)
            or CREDENTIALS.search(text[max(0, start - 200) : start])
        )

    def _ip(self, text: str) -> str | None:
        matches = self.ip.finditer(text) if DOTTED.search(text) else ()
        return next((match[0] for match in matches if public_ip_validator(match[0]) and _is_address(match)), None)


def _is_address(match: re.Match[str]) -> bool:
    """Whether four numbers with dots are an address: not part of something longer, and not a version or section."""
    text, start, end = match.string, match.start(), match.end()
    inside = re.search(r"[\w.-]$|[a-zA-Z]/$", text[max(0, start - 2) : start])
    if inside or re.match(r"\.?\d|[a-z]", text[end : end + 2]) or NUMBERING.search(text[max(0, start - 60) : start]):
        return False
    if any(int(number) >= 100 for number in match[0].split(".")):
        return True
    line = text[text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
    return NETWORK.search(line) is not None or SOFTWARE.search(line) is None


FILTER = PiiFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Pii) as run:
        run.counts |= job_of(run).filter(PiiFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
