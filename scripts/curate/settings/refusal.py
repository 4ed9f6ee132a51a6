"""Settings of `scripts.curate.refusal`."""

# ruff: noqa: RUF001 (full-width punctuation)

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from scripts.common.settings import Settings

APOLOGY = (
    r"(?:(?:i'?m|i am) (?:very |so |really |truly )?(?:sorry|afraid)|i apologi[sz]e|my apologies|sorry|unfortunately)"
    r"[,.!]?(?: (?:but|however|that),?)?"
)
CANNOT = (
    r"(?:i|we)(?:'m| am|'re| are)? (?:can'?t|can ?not|(?:won'?t|will not)(?: be able to)?|not able to|unable to|"
    r"not going to|(?:do(?:n't| not) feel|not) comfortable(?: with)?|"
    r"must (?:respectfully |politely )?(?:decline|refuse) to)"
)
SERVE = (
    r"(?:help|assist|answer|compl[yi]|fulfil|provid|creat|generat|writ|produc|retriev|access|discuss|shar|giv|offer|"
    r"continu|support|engag|respond|estimat|process|complet|perform|display|open|view|brows|draw)(?:e|ing|l|t|y)?\b"
)
REQUEST = (
    r"(?:(?:that|this|these|those|your|such|any)(?: \w+)? (?:kinds?|types?|sorts?|requests?|questions?|content|topics?|"
    r"information|instructions?|material|assistance|advice|guidance)|(?:medical|legal|financial|personal) \w+|"
    r"instructions|explicit|harmful|illegal|(?:in|with|to|on) (?:that|this|your|such)\b)"
)
A_MODEL = (
    r"(?:an?|your) (?:\w+ )?(?:ai|artificial intelligence|(?:large )?language model|virtual assistant)"
    r"(?: (?:language )?(?:model|assistant|chat ?bot|system|program|agent))?"
)
MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
DEVELOPER = r"(?:openai|anthropic|google|meta|deepseek|alibaba|mistral)"
HELLO = r"(?:您好[，,！! ]*)?"
SORRY = r"(?:很?抱歉|对不起|不好意思)"
CHINESE_MODEL = (
    r"(?:一个|一名|一种|一款)?(?:人工智能|AI|(?:大型)?语言模型)(?:语言模型|助手|助理|程序|系统|机器人|模型){0,2}"
)


class Refusal(Settings):
    """Refusals and boilerplate about being a model, by regular expressions on the answer after any thinking."""

    step: Literal["refusal"]
    patterns: tuple[str, ...] = Field(
        default=(
            # "I'm sorry, but I can't assist with that", not "I'm sorry to hear that you can't sleep"
            rf"^{APOLOGY}[^.!?]{{0,30}}? {CANNOT} {SERVE}",
            # "I cannot help with that", "I can't provide medical advice", not "I cannot help but smile"
            rf"^{CANNOT} (?:help|assist)(?:ing)?(?= (?:you|with|in)\b|[.,!]|$)",
            rf"^{CANNOT} {SERVE}(?= (?:you )?(?:with )?{REQUEST})",
            rf"^(?:{APOLOGY} )?{CANNOT} do (?:that|this|so)[.!]?$",
            r"^i (?:must|have to) (?:respectfully |politely )?(?:decline|refuse)"
            r"(?= (?:this|that|your|the) request|[.!]?$)",
            r"\b(?:that|this)(?:'s| is) (?:not something (?:that )?i can|something (?:that )?i (?:can'?t|cannot)) "
            r"(?:help|assist|do|provide|discuss|support)\b",
            # what the model lacks, or the user has not given
            rf"^{APOLOGY} i (?:do not|don't) have (?:access to|the ability to|real-time)",
            r"^i (?:do not|don't) have (?:access to|the ability to \w+) (?:real-time|live|current|external|personal|"
            r"the internet|your|images?|files?|links?)\b",
            rf"^{APOLOGY} you (?:did not|didn't|have not|haven't|need to|must|will need to) "
            r"(?:provid|giv|specif|includ|suppl|shar)(?:e|en|ed|y|ied)?\b",
            # "As an AI language model, I ...", not "as an AI engineer, I ..." or "... works as an AI assistant"
            rf"\bas {A_MODEL}(?= (?:trained|developed|created|designed)\b|[,;:]? (?:i|my)\b)",
            rf"(?:^|[.!?\n] *)as {A_MODEL}(?=,[^.!?\n]{{0,80}}\b(?:i|my|me)\b)",
            # "I am an AI and ...", not "I am an AI researcher"
            rf"\b(?:i am|i'm) (?:just |only |merely )?{A_MODEL}"
            r"(?= (?:trained|developed|created|designed|and|so|but|that|without)\b|[,.;:!?)]|\s*$)",
            rf"\bi (?:was|am|have been) (?:trained|developed|created|built) by {DEVELOPER}(?=[.,;!]|\s*$)",
            r"\bmy (?:knowledge|training)(?: data)? cut-?off\b",
            r"\bmy (?:knowledge|training data) (?:ends|(?:only )?goes up to|extends (?:only )?(?:to|until)) "
            rf"(?:in |about |around )?(?:the \w+ of )?(?:\d{{4}}|{MONTH})\b",
            # an apology, then what the model cannot do, or what the user has not given
            rf"^{HELLO}{SORRY}(?!.{{0,3}}(?:听到|得知))[^。！？]{{0,60}}?(?:无法|不能|不会|不具备|未能)[^。！？]{{0,24}}?"
            r"(?:回答|提供|帮助|协助|完成|生成|创建|制作|写|给出|判断|确定|评估|评价|建议|访问|获取|查看|看到|执行|拿取)",
            rf"^{HELLO}(?:{SORRY}[^。！？]{{0,12}}?|由于|因为)?(?:您|你)(?:并)?(?:没有|未|需要)[^。！？]{{0,8}}?"
            r"(?:提供|给|指定|说明|告诉)",
            rf"^{HELLO}[^。！？]{{0,25}}?我无法(?:访问|看到|查看|获取|回答|提供)",
            rf"^{SORRY}[，, ]*我(?:并)?不(?:知道|清楚)",
            rf"(?:作为|我是){CHINESE_MODEL}(?=[，,。.；;：:！!、\s]|我|所以|因此|无法|不能|没有|$)",
        ),
        min_length=1,
        description="searched case-insensitively with straight apostrophes, in the answer without its code and without "
        "what is in quotation marks; a match that is in the prompt too is a quotation. After Tulu 3's keyword "
        "filters (open-instruct, filter_dataset_by_keywords.py and filter_cutoff_date.py)",
    )

    @field_validator("patterns")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return patterns
