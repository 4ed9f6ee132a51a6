"""What decides the answer of a prompt: prompts that differ in it are different questions, however alike they are."""

from __future__ import annotations

import re

from scripts.curate.words import respelled

NUMBER_WORDS = {
    word: str(number)
    for number, names in {
        2: "two twice double 两 二", 3: "three triple 三", 4: "four quadruple 四", 5: "five 五", 6: "six 六",
        7: "seven 七", 8: "eight 八", 9: "nine 九", 10: "ten 十", 11: "eleven", 12: "twelve dozen", 13: "thirteen",
        14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty",
        30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety",
        100: "hundred 百", 1000: "thousand 千", 10000: "万", 1000000: "million", "1/2": "half", "1/3": "third",
        "1/4": "quarter",
    }.items()
    for word in names.split()
}  # fmt: skip
"""Without `one`, which mostly counts nothing; a prompt with `two` in its place differs anyway."""
EXTREMES = {
    **dict.fromkeys(("least", "minimum", "minimal", "smallest", "lowest", "shortest"), "least"),
    **dict.fromkeys(("most", "maximum", "maximal", "largest", "greatest", "highest", "longest"), "most"),
}
OPPOSITES = """
    not no never except even odd increasing decreasing increase decrease less greater fewer more quotient union
    intersection inside outside inscribed convex concave
"""
"""Without `sum`, `positive`, `after` and the like: prompts that differ in them alone mostly have the same answer."""
COMPARISONS = {"\\leq": "<=", "\\le": "<=", "≤": "<=", "\\geq": ">=", "\\ge": ">=", "≥": ">=", "\\lt": "<", "\\gt": ">"}
SPELLED = NUMBER_WORDS | EXTREMES | COMPARISONS
OPERAND = r"(?:\d|(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])|[(\\{])"
DECISIVE = re.compile(
    rf"""
      (?: (?<! [\w)\]}}$] ) [ ]? - )? \d+ (?: \.\d+ )?            # a number with its sign
    | (?<= [\w)\]}}] ) [ ]? [-+] (?= [ ]?{OPERAND} )              # between numbers or names
    | [<>]=? | (?: {"|".join(re.escape(sign) for sign in COMPARISONS)} ) (?! [a-z] )
    | \b (?: {"|".join([*(word for word in NUMBER_WORDS if word.isascii()), *EXTREMES, *OPPOSITES.split()])} ) \b
    | [{"".join(word for word in NUMBER_WORDS if not word.isascii())}]
    """,
    re.IGNORECASE | re.VERBOSE,
)


def decisive(prompt: str) -> str:
    """The numbers of a prompt with their signs, also those in words, the signs between numbers or names, comparisons,
    and words such as `not` and `least`, in their order."""
    return " ".join(_token(match[0].casefold().strip()) for match in DECISIVE.finditer(respelled(prompt)))


def _token(word: str) -> str:
    return SPELLED.get(word, word)
