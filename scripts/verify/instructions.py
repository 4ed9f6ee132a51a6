"""Instructions: IFEval's 25 constraint types, by the checkers of lm-eval (Google's, Apache-2.0), strict or loose.

Paper: Zhou et al. 2023, https://arxiv.org/abs/2311.07911. The checkers are lm-eval's files, read without the package
around them; what they would download (NLTK's punkt_tab) and draw at random (language detection, missing arguments) is
replaced: see `sentences.py`, `language.py`, `_checked_arguments`, `_check_kept`. Other types are unverifiable.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import random
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from scripts.verify import sentences
from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.settings import VerifySettings

_PACKAGE = "lm_eval.tasks.ifeval"


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """True if every constraint is followed; the reason names those that are not."""
    followed = follow(response, spec, settings)
    broken = [name for name, good in zip(spec["instruction_id_list"], followed, strict=True) if not good]
    return Verdict(not broken, f"not followed: {', '.join(broken)}" if broken else f"followed {len(followed)}")


def follow(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> list[bool]:
    """For each constraint, whether the response follows it (in `loose` mode, whether a trimmed variant does)."""
    variants = _loose_variants(response) if settings.instructions_mode == "loose" else [response]
    try:
        return [
            any(variant.strip() and checker.check_following(variant) for variant in variants)
            for checker in _checkers(spec)
        ]
    except re.error as error:
        raise AnswerError(f"a keyword is not the regular expression that IFEval takes it for: {error}") from None


def _loose_variants(response: str) -> list[str]:
    """IFEval's loose reading: without the first line, the last, both, and all that without asterisks."""
    lines = response.split("\n")
    trimmed = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    plain = [response, *trimmed]
    return [each for text in plain for each in (text, text.replace("*", ""))]


def _checkers(spec: Mapping[str, Any]) -> Iterator[Any]:
    names, arguments = spec.get("instruction_id_list"), spec.get("kwargs")
    if not isinstance(names, list) or not names or not isinstance(arguments, list) or len(names) != len(arguments):
        raise AnswerError("instructions need instruction_id_list and kwargs, lists of one length")
    try:
        constraints = [json.dumps([name, given or {}]) for name, given in zip(names, arguments, strict=True)]
    except (TypeError, ValueError, RecursionError) as error:
        raise AnswerError(f"the arguments are no JSON: {error}") from None
    return iter([_checker(constraint) for constraint in constraints])


@lru_cache(maxsize=4096)
def _checker(constraint: str) -> Any:
    """The checker of a constraint (JSON of its name and arguments), kept: many responses have the same constraints."""
    name, given = json.loads(constraint)
    known = _registry()
    if not isinstance(name, str) or name not in known:
        raise AnswerError(f"unknown constraint {name!r}: the 25 of IFEval are known")
    if not isinstance(given, dict):
        raise AnswerError(f"the arguments of {name} must be an object")
    checker = known[name](name)
    arguments = _checked_arguments(checker, name, given)
    try:
        checker.build_description(**arguments)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise AnswerError(f"the arguments of {name} do not fit: {error}") from None
    _check_kept(checker, name, arguments)
    return checker


def _checked_arguments(checker: Any, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are not null. One that the checker needs and lacks would be drawn at random: an error here."""
    arguments = {key: value for key, value in given.items() if value is not None}
    missing = sorted(set(checker.get_instruction_args_keys()) - set(arguments))
    if missing:
        raise AnswerError(f"{name} lacks {', '.join(missing)}")
    for key in sorted({"keywords", "forbidden_words"} & set(arguments)):
        if not isinstance(arguments[key], list) or not all(isinstance(word, str) for word in arguments[key]):
            raise AnswerError(f"{key} of {name} must be a list of words")
    return arguments


def _check_kept(checker: Any, name: str, arguments: dict[str, Any]) -> None:
    """Raise AnswerError if the checker has drawn something at random instead of using the argument of the spec.

    It does so for an empty word, a count below zero, a paragraph that cannot be there, and for any letter but a to z:
    a single character such as the `#` of IFEval's prompt 1122 is put back, it can be counted like any other.
    """
    letter = arguments.get("letter")
    if isinstance(letter, str) and len(letter.strip()) == 1:
        checker._letter = letter.strip().lower()
    kept = checker.get_instruction_args() or {}
    for key, value in arguments.items():
        if _normal(kept[key]) != _normal(value):
            raise AnswerError(f"{key} of {name} must not be {value!r}: IFEval's code draws another at random")


def _normal(value: object) -> object:
    """An argument up to what the checkers do to one that they accept: stripped, in lower case, each word once."""
    if isinstance(value, str):
        return value.strip().lower()
    return {_normal(each) for each in value} if isinstance(value, list) else value


def registry() -> dict[str, Any]:
    """The checkers' classes by constraint, as IFEval's code would use them."""
    return dict(_registry())


def load() -> None:
    """Load checkers and language profiles now, so that this counts against no item's time limit."""
    from scripts.verify import language

    _registry()
    language.detect("This loads the language profiles.")


@cache
def _registry() -> dict[str, Any]:
    """lm-eval's registry of checkers, loaded from its files with our tokenizers and a seeded language detection."""
    stand_in = ModuleType("nltk")
    stand_in.__dict__.update(
        data=SimpleNamespace(find=lambda name: name),  # called at import; a download is tried if data is missing
        tokenize=SimpleNamespace(RegexpTokenizer=sentences.RegexpTokenizer),
        word_tokenize=sentences.word_tokenize,
    )
    import langdetect

    from scripts.verify import language

    detector = ModuleType("langdetect")
    detector.__dict__.update(detect=language.detect, LangDetectException=langdetect.LangDetectException)
    with _modules({"nltk": stand_in, "langdetect": detector} | _bare_packages()):
        loaded = importlib.import_module(f"{_PACKAGE}.instructions_registry")
        sys.modules[f"{_PACKAGE}.instructions_util"].__dict__["count_sentences"] = sentences.count_sentences
        draws = SimpleNamespace(randint=lambda low, high: math.nan, choice=random.choice)
        sys.modules[f"{_PACKAGE}.instructions"].__dict__["random"] = draws  # no count drawn equals one that was given
    logging.getLogger(f"{_PACKAGE}.instructions").setLevel(logging.CRITICAL)  # text without letters is not an error
    return dict(loaded.INSTRUCTION_DICT)


def _bare_packages() -> dict[str, ModuleType]:
    """lm_eval and its subpackages as empty modules with a path: their own code loads torch and transformers."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise ImportError("lm-eval is not installed: its ifeval task holds the checkers")
    folder = Path(spec.origin).parent
    packages: dict[str, ModuleType] = {}
    for name in ("lm_eval", "lm_eval.tasks", _PACKAGE):
        packages[name] = ModuleType(name)
        packages[name].__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
    return packages


@contextmanager
def _modules(stand_ins: dict[str, ModuleType]) -> Iterator[None]:
    """Imports see `stand_ins`, and nothing of their packages that was loaded before; afterwards all is as it was."""
    packages = {name.partition(".")[0] for name in stand_ins}
    before = _take_out(packages)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        _take_out(packages)
        sys.modules.update(before)


def _take_out(packages: set[str]) -> dict[str, ModuleType]:
    """The loaded modules of `packages`, no longer in the table of modules."""
    names = [name for name in sys.modules if name.partition(".")[0] in packages]
    return {name: sys.modules.pop(name) for name in names}
