"""Make `data/punkt_english.json`, the parameters of the sentence tokenizer that two IFEval checkers need.

    python -m scripts.verify.train_punkt ../shared/corpora scripts/verify/data/punkt_english.json

NLTK's own parameters (punkt_tab) are a download. The algorithm (Kiss and Strunk 2006,
https://aclanthology.org/J06-4003) uses four tables. Abbreviations and sentence starters are closed classes of English
and are listed here, without those that are plain words too (`mass`); which words are written in lower case within
sentences is counted by NLTK's trainer; collocations, which concern names after initials and numbers, are left empty.
docs/verifiers.md says what that changes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nltk.tokenize.punkt import _ORTHO_LC, _ORTHO_MID_UC, PunktTrainer

MIN_COUNT = 3  # occurrences of a word before its spelling counts as evidence
ABBREVIATIONS = """
mr mrs ms messrs dr prof rev hon fr st ste mt ft gen col lt maj capt cmdr sgt cpl gov sen rep pres supt adm
jr sr esq ph.d m.d b.a m.a b.s m.s m.b.a j.d d.d.s r.n
inc corp co ltd bros cos cie plc assn dept est mfg chg
jan feb mar apr aug sept oct nov dec tues wed thurs
a.m p.m a.d b.c b.c.e c.e
u.s u.k u.n e.u u.s.a u.s.s.r d.c n.y n.j n.c s.c n.d s.d n.h n.m r.i w.va l.a p.o
ala ariz ark calif colo conn fla ga ky md mich minn mont neb nev okla tenn tex va vt wis wyo ont que
ave blvd rd hwy no nos vol pp ed eds fig figs approx vs v viz cf e.g i.e a.k.a
mph ft lb lbs oz yr yrs hr hrs
"""
STARTERS = """
a additionally after although an and as at because before but by despite during each finally first for from further
furthermore he her here his how however i if in instead it its later many meanwhile moreover my nevertheless no now of
on once one other our overall second several she since so some still such that the their then there therefore these
they third this those though thus to today unfortunately unlike until we what when where whether which while who why
with yet you your
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.verify.train_punkt")
    parser.add_argument("corpora", type=Path, help="folder with gsm8k/, alpaca_demo/ and t0/ (MIT and Apache-2.0)")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    trainer = PunktTrainer()
    words: Counter[str] = Counter()
    for text in _texts(arguments.corpora):
        trainer.train(text, finalize=False)
        words.update(text.split())
    context = trainer.get_params().ortho_context
    common = sorted(word for word in context if word.isalpha() and word.isascii() and words[word] >= MIN_COUNT)
    tables = {
        "abbreviations": sorted(set(ABBREVIATIONS.split())),
        "starters": sorted(set(STARTERS.split())),
        "lower": [word for word in common if context[word] & _ORTHO_LC and not context[word] & _ORTHO_MID_UC],
        "either": [word for word in common if context[word] & _ORTHO_LC and context[word] & _ORTHO_MID_UC],
    }
    arguments.output.write_text(json.dumps(tables, separators=(",", ":")) + "\n")
    print({name: len(table) for name, table in tables.items()})


def _texts(corpora: Path) -> Iterator[str]:
    for line in (corpora / "gsm8k/train.jsonl").open():
        yield json.loads(line)["question"]
    for row in json.loads((corpora / "alpaca_demo/alpaca_en_demo.json").read_text()):
        yield from (row["instruction"], row["output"])
    for path in sorted((corpora / "t0").glob("*.jsonl")):
        for line in path.open():
            row = json.loads(line)
            yield from (row["prompt"], row["completion"])


if __name__ == "__main__":
    main()
