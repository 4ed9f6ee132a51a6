"""Sentences and words as NLTK's tokenizers find them, without NLTK's downloads.

The sentence tokenizer is NLTK's Punkt with parameters of this project's own (`data/punkt_english.json`), the word
tokenizer NLTK's improved Treebank one after it, as in `nltk.word_tokenize`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PARAMETERS = Path(__file__).parent / "data" / "punkt_english.json"


def count_sentences(text: str) -> int:
    """The number of sentences that Punkt finds."""
    return len(_punkt().tokenize(text))


def word_tokenize(text: str) -> list[str]:
    """Words and punctuation, sentence by sentence."""
    words = _tokenizers().NLTKWordTokenizer()
    return [word for sentence in _punkt().tokenize(text) for word in words.tokenize(sentence)]


def RegexpTokenizer(pattern: str) -> Any:
    """NLTK's tokenizer by regular expression, under the name by which the checkers ask for it."""
    return _tokenizers().RegexpTokenizer(pattern)


@cache
def _punkt() -> Any:
    punkt = _tokenizers().punkt
    tables = json.loads(PARAMETERS.read_text())
    parameters = punkt.PunktParameters()
    parameters.abbrev_types.update(tables["abbreviations"])
    parameters.sent_starters.update(tables["starters"])
    for word in tables["lower"]:
        parameters.add_ortho_context(word, punkt._ORTHO_MID_LC)
    for word in tables["either"]:
        parameters.add_ortho_context(word, punkt._ORTHO_MID_LC | punkt._ORTHO_MID_UC)
    return punkt.PunktSentenceTokenizer(parameters)


@cache
def _tokenizers() -> Any:
    """`nltk.tokenize`, without `nltk` around it: that would load scipy and take seconds."""
    if "nltk" in sys.modules:
        return importlib.import_module("nltk.tokenize")
    spec = importlib.util.find_spec("nltk")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("nltk is not installed: the checkers of instructions need its tokenizers")
    bare = ModuleType("nltk")
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules["nltk"] = bare
    try:
        return importlib.import_module("nltk.tokenize")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "nltk"]:
            del sys.modules[name]
