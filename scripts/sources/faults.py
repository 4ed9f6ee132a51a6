"""Planted faults: what is wrong with raw data in the wild, at a stated rate and with the truth kept.

`FAULTS`, at the end, is the list of them: some spoil a sample in its place, others add one. Another fault is a function
and its entry there. A sample has one fault at most.
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
    """The prompt that a copy, a leak or a prompt with an address is made from."""


def sample_of(task: Task, thinking: bool) -> Sample:
    """The faultless sample of a task."""
    return Sample(task, task.prompt, task.thinking() if thinking else task.response)


@dataclass(frozen=True)
class Spoils:
    """A fault that changes a sample."""

    change: Callable[[Random, Sample], Sample]
    fits: Callable[[Sample], bool] = lambda sample: True
    """Whether the sample can have the fault."""
    needs_gold: bool = False
    """Whether it can be found by a gold answer alone, so that sources without gold answers do not get it."""


@dataclass(frozen=True)
class Adds:
    """A fault that is a sample of its own, made from the source's samples and the benchmarks' tasks."""

    make: Callable[[Random, Sequence[Sample], Sequence[Task]], Sample]
    needs_gold = False


def plant(samples: Sequence[Sample], leaks: Sequence[Task], rates: Mapping[str, float], rng: Random) -> list[Sample]:
    """The samples with faults: round(rate * n) of each kind, at places that `rng` draws."""
    order = list(range(len(samples)))
    rng.shuffle(order)
    planted = list(samples)
    added: list[Sample] = []
    for name in sorted(rates):
        fault = FAULTS[name]
        for _ in range(round(rates[name] * len(samples))):
            if isinstance(fault, Adds):
                added.append(fault.make(rng, samples, leaks))
            else:
                place = _take(order, planted, name, fault)
                planted[place] = fault.change(rng, planted[place])
    return [*planted, *added]


def _take(order: list[int], samples: Sequence[Sample], name: str, fault: Spoils) -> int:
    """The next place in the drawn order whose sample can have the fault."""
    for position, place in enumerate(order):
        if fault.fits(samples[place]):
            return order.pop(position)
    raise ValueError(f"faults: no sample is left for {name!r}; lower the rates")


def _wrong(rng: Random, sample: Sample) -> Sample:
    """The wrong response of the task. A think block before it may still be right: a verifier sees the answer alone."""
    response = sample.task.wrong
    if sample.response.startswith(THINK_START):
        response = sample.task.thinking(response)
    return replace(sample, response=response, fault="wrong")


def _truncated(rng: Random, sample: Sample) -> Sample:
    """Cut within a word of the second half, as a length limit cuts."""
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


FAULTS: dict[str, Spoils | Adds] = {
    "wrong": Spoils(_wrong, fits=lambda sample: bool(sample.task.wrong), needs_gold=True),
    "truncated": Spoils(_truncated, fits=lambda sample: bool(_cuts(sample.task.response))),
    "refusal": Spoils(_refusal),
    "loop": Spoils(_loop),
    "format": Spoils(_format),
    "encoding": Spoils(_encoding),
    "pii": Spoils(_pii),
    "exact": Adds(_exact),
    "near": Adds(_near),
    "leak": Adds(_leak),
    "language": Adds(_language),
}
"""Every fault by its name in `synthetic: faults:`."""
