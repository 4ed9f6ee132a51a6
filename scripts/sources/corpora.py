"""The embedded corpora: which sources there are, what stands in them and in which raw shape.

Prompts of samples, RL candidates and benchmark items are distinct; a benchmark's prompt stands nowhere
else but where the fault `leak` is planted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from scripts.common.settings import Domain
from scripts.sources.faults import Sample
from scripts.sources.tasks import arithmetic, chat, code, instruction
from scripts.sources.tasks.base import LEVELS, Family, Task
from scripts.sources.tasks.knowledge import World, question
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS, NAMES, PLACES, THINGS

Row = dict[str, Any]
VERIFIABLE: tuple[Domain, ...] = ("math", "code", "instruction", "knowledge")
ATTEMPTS = 500  # draws for one distinct prompt before a family counts as exhausted


class CorpusError(ValueError):
    """The sizes asked for cannot be made."""


class Families:
    """The task families of one world.

    Prompts that were given out as distinct are not given out again, and what is held out is asked nowhere else,
    in no other wording of the same question either.
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
        """`count` tasks with new prompts, the levels in turn."""
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
    """A source of samples: its file, its share of each domain's samples, and its raw shape."""

    file: str
    domains: dict[Domain, float]
    row: Callable[[Sample], Row]


SFT_SOURCES = {
    "sums": SftSource("sums.jsonl", {"math": 0.5}, qa_row),
    "sum-chats": SftSource("sum-chats.json", {"math": 0.35}, sharegpt_row),
    "snippets": SftSource("snippets.json", {"code": 0.85}, instruction_row),
    "rules": SftSource("rules.jsonl.gz", {"instruction": 0.85}, constrained_row),
    "quiz": SftSource("quiz.txt", {"knowledge": 0.85}, completion_row),
    "chats": SftSource("chats.parquet", {"general": 0.85}, chat_row),
    # mixed, without a stated domain or gold answer
    "forum": SftSource("forum.jsonl", dict.fromkeys((*VERIFIABLE, "general"), 0.15), qa_row),
}
RL_FILES: dict[Domain, tuple[str, Callable[[Task], Row]]] = {
    "math": ("rl-math.parquet", verl_row),
    "code": ("rl-code.jsonl", spec_row),
    "instruction": ("rl-instruction.jsonl", spec_row),
    "knowledge": ("rl-knowledge.json", spec_row),
}
BENCHMARK_FILES: dict[Domain, str] = {domain: f"bench-{domain}.jsonl" for domain in VERIFIABLE}


def shares(samples: Sequence[Task], domain: Domain) -> Iterator[tuple[str, Sequence[Task]]]:
    """A domain's tasks parted among the sources that hold it, in order."""
    holders = [(name, source.domains[domain]) for name, source in SFT_SOURCES.items() if domain in source.domains]
    ends = [round(share * len(samples)) for share in accumulate(share for _, share in holders)]
    for (name, _), start, end in zip(holders, [0, *ends], ends, strict=False):
        yield name, samples[start:end]


def pretraining_text(families: Families, rng: Random) -> str:
    """A document of plain text: facts by their frequency, sums, sentences, or a line said twice.

    Lines said twice teach copying, without which a small model cannot follow a prompt.
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
"""Easy tasks are commoner in what the base reads, for knowledge by far (see `STATED`)."""


def dialogue(families: Families, rng: Random, weights: dict[Domain, float]) -> Task:
    """A faultless exchange on any subject but the benchmarks' items."""
    domain = rng.choices(list(weights), list(weights.values()))[0]
    level = rng.choices(LEVELS, (6, 3, 1) if domain == "knowledge" else LEVEL_WEIGHTS)[0]
    return families.any(rng, domain, level)


def truth_row(source: str, position: int, sample: Sample) -> Row:
    """What only tests read: the fault of a sample, and what a copy is made from."""
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
