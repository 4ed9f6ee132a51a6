"""How languages say `the answer is (B)`: the noun and the verb, after which the option's letter comes.

The forms of MMLU-ProX's instructions in its 29 languages, and those of some languages more. Between noun and verb an
adjective may be; a colon, a dash or the bracket of the letter stands in for the verb.
"""

from __future__ import annotations

# Python's \b needs letters on one side: it does not end words of scripts whose vowel signs are marks, nor Chinese.
_ALPHABETIC = {
    "Afrikaans, Dutch": ("antwoord", "is"),
    "Czech": ("odpov\u011b\u010f", "je"),
    "Danish, Norwegian, Swedish": ("svaret", "er|\u00e4r"),
    "Finnish": ("vastaus", "on"),
    "French": ("r\u00e9ponse", "est"),
    "German": ("antwort", "ist|lautet"),
    "Hungarian": ("v\u00e1lasz", "az?"),
    "Indonesian": ("jawaban(?:nya)?", "adalah"),
    "Italian": ("risposta", "\u00e8"),
    "Polish": ("odpowied\u017a", "to|jest"),
    "Portuguese": ("resposta", "\u00e9"),
    "Russian": ("\u043e\u0442\u0432\u0435\u0442", "\u044d\u0442\u043e"),
    "Serbian": ("odgovor|\u043e\u0434\u0433\u043e\u0432\u043e\u0440", "je|\u0458\u0435"),
    "Spanish": ("respuesta", "es"),
    "Swahili": ("jibu", "ni"),
    "Turkish": ("cevap", ""),
    "Ukrainian": ("\u0432\u0456\u0434\u043f\u043e\u0432\u0456\u0434\u044c", "\u0446\u0435"),
    "Vietnamese": ("c\u00e2u tr\u1ea3 l\u1eddi|\u0111\u00e1p \u00e1n", "l\u00e0"),
    "Wolof": ("tontu bi", "mooy"),
    "Yoruba": ("\u00ecd\u00e1h\u00f9n n\u00e1\u00e0", "ni"),
    "Zulu": ("impendulo", "ithi"),
}
_OTHER = {
    "Arabic": ("\u0627\u0644\u0625\u062c\u0627\u0628\u0629", "\u0647\u064a"),
    "Bengali": ("\u0989\u09a4\u09cd\u09a4\u09b0", "\u09b9\u09b2\u09cb?"),
    "Hindi, Marathi, Nepali": ("\u0909\u0924\u094d\u0924\u0930", "\u0939\u0948|\u0906\u0939\u0947"),
    "Telugu": ("\u0c38\u0c2e\u0c3e\u0c27\u0c3e\u0c28\u0c02", ""),
    "Thai": ("\u0e04\u0e33\u0e15\u0e2d\u0e1a", "\u0e04\u0e37\u0e2d"),
    "Urdu": ("\u062c\u0648\u0627\u0628", "\u06c1\u06d2"),
}
_ADJECTIVE = r"(?:\s+(?:correcta|correta|corretta|correcte|final|finale))?"


def _statement(noun: str, verb: str, word_end: str) -> str:
    verb_or_sign = rf"(?:{verb}){word_end}\s*:?|" if verb else ""
    subject = rf"{word_end}(?:{noun}){word_end}{_ADJECTIVE}[*_]*\s*"
    return rf"{subject}(?:{verb_or_sign}[:=\u2014\u2013-]|(?=\())[*_]*\s*:?[*_]*\s*"


OTHER_LANGUAGES = "|".join(
    [_statement(*words, word_end=r"\b") for words in _ALPHABETIC.values()]
    + [_statement(*words, word_end="") for words in _OTHER.values()]
)
"""A regular expression, up to the option's letter; without regard to case."""

CHINESE_AND_JAPANESE = (
    r"(?:\u7b54\u6848|\u7b54\u3048|\u6b63\u89e3|\u89e3\u7b54|\u56de\u7b54|\u9009\u9879|\u9078\u9805|\u9078\u629e\u80a2"
    r"|\u6b63[\u786e\u78ba]\u7684(?![\u9009\u9078]))[*_]*\s*"
    r"(?:(?:[\u5e94\u61c9][\u8be5\u8a72\u5f53\u7576]?|\u5c31)?(?:[\u662f\u4e3a\u70ba\u306f]|\u9009\u62e9?)|:"
    r"|(?:(?<=\u7b54\u6848)|(?<=\u7b54\u3048)|(?<=\u6b63\u786e\u9009\u9879))(?=\s?[(A-Z]))[*_]*\s*:?[*_]*\s*"
    # "choose", unless it is denied or a condition
    r"|(?<!\u4e0d)(?<!\u4e0d\u80fd)(?<!\u4e0d\u5e94)(?<!\u4e0d\u8be5)(?<!\u4e0d\u4f1a)(?<!\u5982\u679c)(?<!\u82e5)"
    r"[\u9009\u9078][\u62e9\u64c7]?(?!\u629e)[*_]*\s*:?\s*"
)
KOREAN = r"(?:\uc815\ub2f5|\ub2f5\ubcc0|\ub2f5)[*_]*(?:[\uc740\ub294\uc774]\s*:?|\s*:|\s+(?=[(A-Z]))[*_]*\s*"
