"""Measure the speed of the verifiers against the usual alternatives, in one run on the same items.

    python -m benchmarks.bench_verify [--items 2000] [--rounds 3]

math          a pool on all cores against sequential math-verify (whole response, its own time limits)
code          a pool on all cores against as many threads that start one `python -I` per program, without isolation
instructions  a pool on all cores against IFEval's own loop over lm-eval's checkers, in one process

Each round times both sides in turn; a row gives the median of the rounds, and the least and the largest in brackets.
Verdicts of both sides are compared item by item, and items with different verdicts are printed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import langdetect
import pyarrow.parquet as pq

from scripts.verify import Answer, VerifierPool, instructions, language, latex_value, mathematics, spelling

CORPORA = Path(os.environ.get("NEBULA_CORPORA", "../shared/corpora"))
Item = tuple[str, Answer]
_LANGUAGE = "language:response_language"


@dataclass(frozen=True)
class Row:
    """One comparison: verdicts per second of both sides, one value per round."""

    name: str
    beside: str
    items: list[Item]
    ours: list[float]
    theirs: list[float]
    differing: list[int]

    def __str__(self) -> str:
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        speeds = f"{_spread(self.ours, 0):>24s} {_spread(self.theirs, 0):>20s} {_spread(ratios, 2):>22s}"
        same = len(self.items) - len(self.differing)
        return f"{self.name:20s} {len(self.items):6d} {speeds} {same:6d}  {self.beside}"

    def differences(self) -> Iterator[str]:
        """The items on which both sides differ."""
        for index in self.differing:
            response, answer = self.items[index]
            yield f"    differs: {response[-100:]!r} against {json.dumps(answer.spec)[:200]}"


def _spread(values: list[float], places: int) -> str:
    least, median, most = min(values), statistics.median(values), max(values)
    return f"{median:,.{places}f} ({least:,.{places}f}..{most:,.{places}f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_verify")
    parser.add_argument("--items", type=int, default=2000, help="items per row (a fifth for code)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not CORPORA.is_dir():
        raise SystemExit(f"{CORPORA} is not there: set NEBULA_CORPORA to the folder of the real corpora")
    logging.disable(logging.CRITICAL)  # math-verify reports each unparsed answer
    print(f"{os.cpu_count()} cores, {arguments.rounds} rounds; verdicts per second: median (least..largest)")
    print(f"{'':20s} {'items':>6s} {'ours':>24s} {'theirs':>20s} {'ratio':>22s} {'same':>6s}  theirs")
    for make in (_math_rows, _code_rows, _instruction_rows):
        for row in make(arguments.items, arguments.rounds):
            print(row, *row.differences(), sep="\n", flush=True)


def measure(
    name: str,
    beside: str,
    items: list[Item],
    rounds: int,
    warm_up: list[Item],
    theirs: Callable[[list[Item]], list[bool]],
) -> Row:
    """Time both sides in turn. Libraries are loaded, but every round starts with a new pool and empty caches."""
    theirs(warm_up)
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        with VerifierPool(os.cpu_count() or 1) as pool:
            pool.verify_many(warm_up)
            forget()
            start = time.perf_counter()
            verdicts = pool.verify_many(items)
            middle = time.perf_counter()
        forget()
        resumed = time.perf_counter()
        expected = theirs(items)
        end = time.perf_counter()
        speeds[0].append(len(items) / (middle - start))
        speeds[1].append(len(items) / (end - resumed))
    pairs = zip(verdicts, expected, strict=True)
    differing = [index for index, (verdict, wanted) in enumerate(pairs) if verdict.correct is not wanted]
    return Row(name, beside, items, *speeds, differing)


def forget() -> None:
    """Clear the caches of this process; the workers are new in each round."""
    for remembering in (
        mathematics._clean_target,
        mathematics.number,
        latex_value.latex_values,
        spelling.spell,
        instructions._checker,
        language.detect,
    ):
        remembering.cache_clear()


def math_items(answers: list[tuple[str, str]], count: int) -> list[Item]:
    """Long responses that end in a boxed answer: in turn the right one, another problem's, one with a changed digit."""
    chance = random.Random(1)
    chosen = chance.sample(answers, count)
    items = []
    for index, (text, answer) in enumerate(chosen):
        stated = (answer, chosen[(index + 7) % count][1], one_digit_off(answer, chance))[index % 3]
        items.append(
            (f"{text}\n\nTherefore, the final answer is $\\boxed{{{stated}}}$.", Answer("math", {"target": answer}))
        )
    return items


def one_digit_off(text: str, chance: random.Random) -> str:
    """The text with one digit changed, or with `+1` added if it has no digit."""
    places = [index for index, character in enumerate(text) if character in "0123456789"]
    if not places:
        return f"{text}+1"
    place = chance.choice(places)
    digit = chance.choice([each for each in "123456789" if each != text[place]])
    return text[:place] + digit + text[place + 1 :]


def math_answers() -> dict[str, list[tuple[str, str]]]:
    """Pairs (working or problem, answer) of each set of the corpora."""
    parts = [(CORPORA / f"gsm8k/{part}.jsonl").read_text().splitlines() for part in ("train", "test")]
    gsm8k = [json.loads(line)["answer"] for part in parts for line in part]
    sets = {"GSM8K": [(text.partition("####")[0], text.partition("####")[2].strip()) for text in gsm8k]}
    for name, file in (("MATH", "math/train.parquet"), ("DAPO", "dapo_math_17k/dapo-math-17k.parquet")):
        sets[name] = [_problem(row) for row in pq.read_table(CORPORA / file).to_pylist()]
    return sets


def _problem(row: dict[str, Any]) -> tuple[str, str]:
    prompt = row["prompt"] if "prompt" in row else row["problem"]
    text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    answer = row["answer"] if "answer" in row else row["reward_model"]["ground_truth"]
    return text, str(answer)


def sequential_math_verify(items: list[Item]) -> list[bool]:
    """The library as its README uses it."""
    from math_verify import parse, verify

    return [verify(parse(f"\\boxed{{{answer.spec['target']}}}"), parse(response)) for response, answer in items]


def _math_rows(count: int, rounds: int) -> list[Row]:
    rows = []
    warm_up = [(f"\\boxed{{x + {each}}}", Answer("math", {"target": f"{each} + x"})) for each in range(64)]
    for name, answers in math_answers().items():
        items = math_items(answers, count)
        rows.append(measure(f"math, {name}", "math-verify", items, rounds, warm_up, sequential_math_verify))
    return rows


def code_items() -> list[Item]:
    """HumanEval's canonical solutions, and one-line functions like the thousands of the tiny scale."""
    with gzip.open(CORPORA / "human_eval/HumanEval.jsonl.gz", "rt") as file:
        problems = [json.loads(line) for line in file]
    return [
        (
            f"```python\n{each['prompt']}{each['canonical_solution']}\n```",
            Answer(
                "code", {"tests": [each["test"], f"check({each['entry_point']})"], "entry_point": each["entry_point"]}
            ),
        )
        for each in problems
    ]


def one_liners(count: int) -> list[Item]:
    """Functions of one line, every second one wrong."""
    items = []
    for index in range(count):
        source = f"def f(x):\n    return x * {index} + {index % 2}"
        tests = [f"assert f({x}) == {x * index}" for x in range(3)]
        items.append((source, Answer("code", {"tests": tests, "entry_point": "f"})))
    return items


def bare_subprocess(items: list[Item]) -> list[bool]:
    """Run program and tests in one `python -I`; its exit status is the verdict. No isolation, and easy to cheat."""

    def run(item: Item) -> bool:
        source = item[0].removeprefix("```python\n").removesuffix("\n```") + "\n" + "\n".join(item[1].spec["tests"])
        finished = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, timeout=60, check=False)
        return finished.returncode == 0

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(run, items))


def _code_rows(count: int, rounds: int) -> list[Row]:
    sets = {"code, one line": one_liners(count // 5), "code, HumanEval": code_items()[: count // 5]}
    return [measure(name, "python -I", items, rounds, one_liners(16), bare_subprocess) for name, items in sets.items()]


def instruction_items(count: int) -> list[Item]:
    """IFEval's prompts, each with a real response to another prompt, so that some constraints hold and some do not."""
    prompts = [json.loads(line) for line in (CORPORA / "ifeval/input_data.jsonl").open()]
    responses = [row["output"] for row in json.loads((CORPORA / "alpaca_demo/alpaca_en_demo.json").read_text())]
    keys = ("instruction_id_list", "kwargs")
    return [
        (
            responses[index % len(responses)],
            Answer("instructions", {key: prompts[index % len(prompts)][key] for key in keys}),
        )
        for index in range(count)
    ]


def reference_ifeval(items: list[Item]) -> list[bool]:
    """IFEval's own loop: build each checker and check; all must hold. Languages by langdetect's detection, seeded."""
    langdetect.DetectorFactory.seed = 0
    registry = instructions.registry()
    registry[_LANGUAGE].check_following.__globals__["langdetect"].detect = langdetect.detect
    verdicts = []
    for response, answer in items:
        followed = []
        for name, kwargs in zip(answer.spec["instruction_id_list"], answer.spec["kwargs"], strict=True):
            checker = registry[name](name)
            checker.build_description(**{key: value for key, value in kwargs.items() if value})
            followed.append(bool(response.strip()) and checker.check_following(response))
        verdicts.append(all(followed))
    return verdicts


def _instruction_rows(count: int, rounds: int) -> list[Row]:
    items = instruction_items(count + 64)
    beside = "lm-eval's checkers, one process"
    return [measure("instructions, IFEval", beside, items[64:], rounds, items[:64], reference_ifeval)]


if __name__ == "__main__":
    main()
