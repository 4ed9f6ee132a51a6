"""The embedded corpora: their sizes, their sources, and the content and raw shape of each.

Prompts of samples, RL candidates and benchmark items are distinct. A benchmark's prompt is in no other file, except for
planted faults of the kind `leak`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Annotated, Any

from pydantic import Field, field_validator

from scripts.common.settings import Domain, Settings
from scripts.sources.faults import FAULTS, Sample
from scripts.sources.tasks import arithmetic, chat, code, instruction
from scripts.sources.tasks.base import LEVELS, Family, Task
from scripts.sources.tasks.knowledge import World, question
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS, NAMES, PLACES, THINGS

Row = dict[str, Any]
VERIFIABLE: tuple[Domain, ...] = ("math", "code", "instruction", "knowledge")
ATTEMPTS = 500  # draws for one distinct prompt before a family counts as exhausted


class CorpusError(ValueError):
    """Corpora of these sizes cannot be made."""


class Synthetic(Settings):
    """The generator of the embedded corpora: sizes, and the rate of each planted fault."""

    sft: dict[Domain, int] = Field(description="SFT samples per domain, before faults are planted")
    rl: dict[Domain, int] = Field(description="RL candidates per domain")
    pretrain: int = Field(gt=0, description="documents of the base model's corpus")
    textbook: int = Field(gt=0, description="faultless exchanges of the distillation teacher's corpus")
    creatures: int = Field(gt=0, description="subjects of the invented world's facts")
    thinking: float = Field(ge=0.0, le=1.0, description="share of responses that think first")
    benchmark: int = Field(gt=0, description="items of each held-out benchmark")
    faults: dict[str, Annotated[float, Field(ge=0.0, le=0.5)]] = Field(
        description="share of SFT samples that get the fault"
    )

    @field_validator("faults")
    @classmethod
    def _faults_are_known(cls, rates: dict[str, float]) -> dict[str, float]:
        for name in rates:
            if name not in FAULTS:
                raise ValueError(f"there is no fault {name!r}: choose among {', '.join(FAULTS)}")
        return rates


class Families:
    """The task families of one world.

    A distinct prompt is drawn once. A question that is held out for a benchmark is drawn for nothing else, in another
    wording neither.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.taken: set[str] = set()
        self.held_out: set[str] = set()
        self.by_domain: dict[Domain, Family] = {
            "math": arithmetic.draw,
            "code": code.draw,
            "instruction": instruction.draw,
            "knowledge": world.draw,
            "general": chat.draw,
        }

    def distinct(self, rng: Random, domain: Domain, count: int) -> list[Task]:
        """`count` tasks with new prompts, the levels by turns."""
        return [self._new(rng, domain, LEVELS[index % len(LEVELS)]) for index in range(count)]

    def _new(self, rng: Random, domain: Domain, level: int) -> Task:
        for _ in range(ATTEMPTS):
            task = self.by_domain[domain](rng, level)
            if task.prompt not in self.taken and question(task.prompt) not in self.held_out:
                self.taken.add(task.prompt)
                return task
        raise CorpusError(f"synthetic: {domain} level {level} has no more distinct prompts; ask for fewer items")

    def hold_out(self, rng: Random, domain: Domain, count: int) -> list[Task]:
        """`count` tasks for a benchmark, no two of them the same question."""
        tasks = []
        for index in range(count):
            tasks.append(self._new(rng, domain, LEVELS[index % len(LEVELS)]))
            self.held_out.add(question(tasks[-1].prompt))
        return tasks

    def any(self, rng: Random, domain: Domain, level: int) -> Task:
        """A task that no benchmark asks; it may repeat."""
        while question((task := self.by_domain[domain](rng, level)).prompt) in self.held_out:
            pass
        return task


# --- raw shapes -------------------------------------------------------------------------------------------------------


def qa_row(sample: Sample) -> Row:
    """question / answer, the gold value beside it, as GSM8K's files."""
    return {
        "question": sample.prompt,
        "answer": sample.response,
        "gold": f"#### {sample.task.spec.get('target', '?')}",
        "level": sample.task.level,
    }


def sharegpt_row(sample: Sample) -> Row:
    """ShareGPT turns with the gold value in a nested object."""
    turns = [{"from": "human", "value": sample.prompt}, {"from": "gpt", "value": sample.response}]
    return {
        "conversations": turns,
        "label": {"target": sample.task.spec.get("target", "?")},
        "level": sample.task.level,
    }


def instruction_row(sample: Sample) -> Row:
    """Alpaca's instruction / input / output with tests."""
    spec = sample.task.spec
    return {
        "instruction": sample.prompt,
        "input": "",
        "output": sample.response,
        "tests": spec.get("tests", ["assert False"]),
        "entry_point": spec.get("entry_point", "f"),
        "level": sample.task.level,
    }


def chat_row(sample: Sample) -> Row:
    """A chat list."""
    turns = [{"role": "user", "content": sample.prompt}, {"role": "assistant", "content": sample.response}]
    return {"messages": turns, "level": sample.task.level}


def constrained_row(sample: Sample) -> Row:
    """A chat list with IFEval's columns."""
    spec = sample.task.spec if sample.task.kind == "instructions" else {"instruction_id_list": [], "kwargs": []}
    return chat_row(sample) | spec


def completion_row(sample: Sample) -> Row:
    """prompt / completion that ends in a control token, as T0's files."""
    return {
        "prompt": sample.prompt,
        "completion": f"{sample.response}<|endoftext|>",
        "target": sample.task.spec.get("target", "?"),
        "level": sample.task.level,
    }


def verl_row(task: Task) -> Row:
    """A chat list of the prompt with a nested ground truth, as verl's RL files."""
    return {
        "prompt": [{"role": "user", "content": task.prompt}],
        "reward_model": {"ground_truth": task.spec["target"], "style": "rule"},
        "extra_info": {"level": task.level},
    }


def spec_row(task: Task) -> Row:
    """The prompt with the verifier's specification spread out."""
    return {"prompt": task.prompt, **task.spec, "level": task.level}


# --- sources ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SftSource:
    """A source of samples: its file, its share of each domain's samples, its raw shape, and whether it has answers."""

    file: str
    domains: dict[Domain, float]
    row: Callable[[Sample], Row]
    gold: bool = True


SFT_SOURCES = {
    "sums": SftSource("sums.jsonl", {"math": 0.5}, qa_row),
    "sum-chats": SftSource("sum-chats.json", {"math": 0.35}, sharegpt_row),
    "snippets": SftSource("snippets.json", {"code": 0.85}, instruction_row),
    "rules": SftSource("rules.jsonl.gz", {"instruction": 0.85}, constrained_row),
    "quiz": SftSource("quiz.txt", {"knowledge": 0.85}, completion_row),
    "chats": SftSource("chats.parquet", {"general": 0.85}, chat_row, gold=False),
    # mixed, without a stated domain or gold answer
    "forum": SftSource("forum.jsonl", dict.fromkeys((*VERIFIABLE, "general"), 0.15), qa_row, gold=False),
}
RL_FILES: dict[Domain, tuple[str, Callable[[Task], Row]]] = {
    "math": ("rl-math.parquet", verl_row),
    "code": ("rl-code.jsonl", spec_row),
    "instruction": ("rl-instruction.jsonl", spec_row),
    "knowledge": ("rl-knowledge.json", spec_row),
}
BENCHMARK_FILES: dict[Domain, str] = {domain: f"bench-{domain}.jsonl" for domain in VERIFIABLE}


def shares(samples: Sequence[Task], domain: Domain) -> Iterator[tuple[str, Sequence[Task]]]:
    """A domain's tasks divided among the sources that hold it, in order."""
    holders = [(name, source.domains[domain]) for name, source in SFT_SOURCES.items() if domain in source.domains]
    ends = [round(share * len(samples)) for share in accumulate(share for _, share in holders)]
    for (name, _), start, end in zip(holders, [0, *ends], ends, strict=False):
        yield name, samples[start:end]


def pretraining_text(families: Families, rng: Random) -> str:
    """A document of plain text: facts by their frequency, sums, sentences, or a line repeated once.

    Repeated lines teach copying, without which a small model cannot follow a prompt.
    """
    kind = rng.random()
    if kind < 0.4:
        return families.world.statements(rng, 3)
    if kind < 0.7:
        return "\n".join(families.any(rng, "math", rng.choice((1, 1, 2))).thought for _ in range(4))
    if kind < 0.8:
        return families.any(rng, "instruction", 1).response
    words = " ".join(rng.choice(COPIED) for _ in range(rng.randint(3, 6)))
    return f"{words}\n{words}"


COPIED = (*NAMES, *THINGS, *PLACES, *ANIMALS, *ADJECTIVES, *code.FUNCTIONS, *(str(number) for number in range(1, 30)))
CHAT_WEIGHTS: dict[Domain, float] = {"math": 4, "code": 0.4, "instruction": 2, "knowledge": 1, "general": 0.5}
"""Share of each domain in the pretraining dialogues: sums need the most examples."""
LEVEL_WEIGHTS = (5, 3, 2)
"""Easy tasks are more frequent in the base model's corpus, for knowledge by far (see `STATED`)."""


def dialogue(families: Families, rng: Random, weights: dict[Domain, float]) -> Task:
    """A faultless exchange on any subject but the benchmarks' items."""
    domain = rng.choices(list(weights), list(weights.values()))[0]
    level = rng.choices(LEVELS, (6, 3, 1) if domain == "knowledge" else LEVEL_WEIGHTS)[0]
    return families.any(rng, domain, level)


def truth_row(source: str, position: int, sample: Sample) -> Row:
    """A row of the truth file, which only tests read: the fault of a sample, and the original of a copy."""
    return {
        "source": source,
        "row": position,
        "prompt": sample.prompt,
        "response": sample.response,
        "fault": sample.fault,
        "of": sample.of,
        "kind": sample.task.kind,
        "spec": json.dumps(sample.task.spec, sort_keys=True),
        "domain": sample.task.domain,
        "level": sample.task.level,
    }
