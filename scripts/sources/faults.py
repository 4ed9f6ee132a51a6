"""Planted faults: what is wrong with raw data in the wild, at a stated rate and with the truth kept.

Eight faults spoil a sample in its place; four add a sample (`exact`, `near` copy another one, `leak` a
benchmark's item, `language` speaks another language). A sample has one fault at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from scripts.common.chat.thinking import THINK_END, THINK_START, thinking_response
from scripts.common.settings import Domain
from scripts.sources.foreign import FOREIGN, OPENINGS
from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import NAMES

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "As an AI language model, I am not able to answer this question.",
)
MAIL = ("gmail.com", "outlook.com", "uni-jena.de", "mail.co.uk")
NEAR_ENDINGS = (" Please.", " Thanks!", " Thank you in advance.")


@dataclass(frozen=True)
class Sample:
    """One SFT sample before it takes its source's raw shape."""

    task: Task
    prompt: str
    response: str
    fault: str = ""
    of: str = ""
    """The prompt that a copy or a leak is made from."""


def sample_of(task: Task, thinking: bool) -> Sample:
    """The faultless sample of a task."""
    return Sample(task, task.prompt, task.thinking() if thinking else task.response)


def plant(samples: Sequence[Sample], leaks: Sequence[Task], rates: Mapping[str, float], rng: Random) -> list[Sample]:
    """The samples with faults: round(rate * n) of each kind, at places that `rng` draws."""
    order = list(range(len(samples)))
    rng.shuffle(order)
    planted = list(samples)
    added: list[Sample] = []
    for fault in sorted(rates):
        for _ in range(round(rates[fault] * len(samples))):
            if fault in ADDING:
                added.append(ADDING[fault](rng, samples, leaks))
            else:
                place = _take(order, planted, fault)
                planted[place] = SPOILING[fault](rng, planted[place])
    return [*planted, *added]


def _take(order: list[int], samples: Sequence[Sample], fault: str) -> int:
    """The next place in the drawn order where the fault can stand."""
    for position, place in enumerate(order):
        if _fits(samples[place], fault):
            return order.pop(position)
    raise ValueError(f"faults: no sample is left for {fault!r}; lower the rates")


def _fits(sample: Sample, fault: str) -> bool:
    if fault == "wrong":
        return bool(sample.task.wrong)
    if fault == "truncated":
        return bool(_cuts(sample.task.response))
    return True


def _wrong(rng: Random, sample: Sample) -> Sample:
    """The working may still be right: it is the answer that a verifier sees."""
    response = sample.task.wrong
    if sample.response.startswith(THINK_START):
        response = sample.task.thinking(response)
    return replace(sample, response=response, fault="wrong")


def _truncated(rng: Random, sample: Sample) -> Sample:
    """Cut amid a word in the second half, as a length limit does."""
    text = sample.task.response
    return replace(sample, response=text[: rng.choice(_cuts(text))], fault="truncated")


def _cuts(text: str) -> list[int]:
    """Places in the second half of a text with a letter on both sides."""
    return [end for end in range(len(text) // 2, len(text)) if text[end - 1].isalpha() and text[end].isalpha()]


def _refusal(rng: Random, sample: Sample) -> Sample:
    return replace(sample, response=rng.choice(REFUSALS), fault="refusal")


def _loop(rng: Random, sample: Sample) -> Sample:
    """The last line over and over, as a model stuck in a loop writes it."""
    line = sample.task.response.splitlines()[-1]
    return replace(sample, response=sample.task.response + f"\n{line}" * rng.randint(12, 20), fault="loop")


def _format(rng: Random, sample: Sample) -> Sample:
    """A think block that is never closed, an empty one, or no answer at all."""
    spoiled = rng.choice(
        (
            f"{THINK_START}\n{sample.task.thought}\n{sample.task.response}",
            f"{thinking_response('', sample.task.response)}\n{THINK_END}",
            "",
        )
    )
    return replace(sample, response=spoiled, fault="format")


def _encoding(rng: Random, sample: Sample) -> Sample:
    """UTF-8 read as Windows-1252, or a letter that no encoding knew."""
    text = sample.response
    place = len(text) - 1 - rng.randrange(len(sample.task.response))  # in the answer, not in a think tag
    damage = rng.choice(("\u2019s", "\u2013", "\u00e9", "\u201c")).encode().decode("cp1252")
    spoiled = rng.choice((f"{text[:place]} {damage} {text[place:]}", f"{text[:place]}\ufffd{text[place + 1 :]}"))
    return replace(sample, response=spoiled, fault="encoding")


def _pii(rng: Random, sample: Sample) -> Sample:
    """A person's address, or a machine's, in the prompt or in the response."""
    name = f"{rng.choice(NAMES)}.{rng.choice(NAMES)}{rng.randint(1, 99)}".lower()
    network = ".".join(str(rng.randint(1, 255)) for _ in range(3))
    address = rng.choice((f"{name}@{rng.choice(MAIL)}", f"{rng.choice((8, 17, 34, 93))}.{network}"))
    if rng.random() < 0.5:
        return replace(sample, prompt=f"{sample.prompt} Write to {address}.", fault="pii", of=sample.prompt)
    return replace(sample, response=f"{sample.response}\n\nAsk {address} for more.", fault="pii")


def _exact(rng: Random, samples: Sequence[Sample], leaks: Sequence[Task]) -> Sample:
    copied = rng.choice(samples)
    return replace(copied, fault="exact", of=copied.prompt)


def _near(rng: Random, samples: Sequence[Sample], leaks: Sequence[Task]) -> Sample:
    copied = rng.choice(samples)
    return replace(copied, prompt=copied.prompt + rng.choice(NEAR_ENDINGS), fault="near", of=copied.prompt)


def _leak(rng: Random, samples: Sequence[Sample], leaks: Sequence[Task]) -> Sample:
    task = rng.choice(leaks)
    return replace(sample_of(task, thinking=False), fault="leak", of=task.prompt)


def _language(rng: Random, samples: Sequence[Sample], leaks: Sequence[Task]) -> Sample:
    prompt, response = rng.choice(FOREIGN)
    domain: Domain = "general"
    task = Task(domain, 1, rng.choice(OPENINGS) + prompt, response, "", "")
    return replace(sample_of(task, thinking=False), fault="language")


Spoil = Callable[[Random, Sample], Sample]
Add = Callable[[Random, Sequence[Sample], Sequence[Task]], Sample]
SPOILING: dict[str, Spoil] = {
    "wrong": _wrong,
    "truncated": _truncated,
    "refusal": _refusal,
    "loop": _loop,
    "format": _format,
    "encoding": _encoding,
    "pii": _pii,
}
ADDING: dict[str, Add] = {"exact": _exact, "near": _near, "leak": _leak, "language": _language}
