"""Drop records with personal data: e-mail addresses and public IP addresses, as DataTrove's PIIFormatter finds them.

The formatter would replace them; a sample to imitate then teaches the replacement. What documentation uses as an
address (example.com, private networks) is nobody's and is kept.

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
DOTTED = re.compile(r"\d\.\d{1,3}\.\d")  # in every IP address, and quicker to rule out


class PiiFilter(BaseFilter):
    """Keeps records without personal data; a dropped one says what was found."""

    name = "pii"

    def __init__(self, settings: Pii):
        super().__init__()
        finders = PIIFormatter()
        self.email, self.ip = finders.emails_replacer.regex, finders.ip_replacer.regex
        domains, names = (map(re.escape, found) for found in (settings.placeholder_domains, settings.reserved_names))
        self.placeholder = re.compile(rf"@(.+\.)?(({'|'.join(domains)})|[^@]*\.({'|'.join(names)}))$", re.IGNORECASE)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        for reason, found in (("email", self._email(doc.text)), ("ip-address", self._ip(doc.text))):
            if found is not None:
                doc.metadata["matched"] = found
                return False, reason
        return True

    def _email(self, text: str) -> str | None:
        found = (match[0] for match in self.email.finditer(text)) if "@" in text else ()
        return next((address for address in found if not self.placeholder.search(address)), None)

    def _ip(self, text: str) -> str | None:
        found = (match[0] for match in self.ip.finditer(text)) if DOTTED.search(text) else ()
        return next((address for address in found if public_ip_validator(address)), None)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Pii) as run:
        run.counts |= job_of(run).filter(PiiFilter(run.settings), views.whole, hit=HIT)


if __name__ == "__main__":
    main()
