"""Score candidate responses by a judge model, through the engine that samples.

`records/` has one row per candidate, in the order of cross-verification: score (0 to 1, null if none could be read),
reason (why not), and the judgement as it was generated. The judge's prompt, pattern and scale are settings.

python -m scripts.distill.judge --recipe JSON --pool MANIFEST --samples MANIFEST... --judge MANIFEST --out MANIFEST
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from scripts.common.artifacts import Artifact
from scripts.common.chat.templates import PROMPT
from scripts.common.chat.thinking import strip_thinking
from scripts.common.records import RECORDS, Message, iterate, prompt_of, write
from scripts.common.step import Run, step
from scripts.distill.gather import Candidate, by_teacher, gather
from scripts.distill.records import OVERLONG, DistillError, Row, schema_of, take
from scripts.distill.settings.judge import RESPONSE, Judge, JudgeSettings
from scripts.generation.engine import load
from scripts.generation.prompts import Completion
from scripts.generation.shards import Chat, Request, generate

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("teacher", pa.string()),
        ("sample", pa.int32()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("judgement", pa.string()),
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),
    ]
)
NO_SCORE = "no score in the judgement"
CUT_OFF = "judgement cut off before a score"
OFF_SCALE = "score outside the scale"


def question(record: Row, candidate: Candidate, judge: Judge) -> list[Message]:
    """The messages that put a candidate to the judge; it sees the answer, not the thinking before it."""
    texts = {PROMPT: prompt_of(record["messages"]), RESPONSE: strip_thinking(candidate.text)}
    # Split first, so that a placeholder inside the prompt or the response stays as it is.
    parts = re.split(f"({re.escape(PROMPT)}|{re.escape(RESPONSE)})", judge.template)
    return [{"role": "user", "content": "".join(texts.get(part, part) for part in parts)}]


def score(judgement: Completion, judge: Judge) -> tuple[float | None, str]:
    """The score scaled from 0 to 1 and an empty reason, or None and the reason."""
    matches = re.findall(judge.pattern, strip_thinking(judgement.text))
    try:
        value = float(matches[-1])
    except (IndexError, ValueError):
        return None, CUT_OFF if judgement.finish_reason == "length" else NO_SCORE
    if not judge.lowest <= value <= judge.highest:
        return None, OFF_SCALE
    return (value - judge.lowest) / (judge.highest - judge.lowest), ""


def judge_rows(run: Run[JudgeSettings], samples: Mapping[str, Artifact]) -> Iterator[Row]:
    """One row per candidate, in the order of `gather`."""
    settings, pool, model = run.settings, run.input("pool"), run.input("judge")
    judge, engine = settings.judge, settings.engine
    waiting: deque[Row] = deque()  # candidates of the current shard

    def chats() -> Iterator[Chat]:
        rows = {teacher: iterate(item.folder / RECORDS) for teacher, item in samples.items()}
        for record, candidates in gather(take(pool, settings.prompts), rows, settings.keep_original):
            for item in candidates:
                waiting.append({"id": record["id"], "teacher": item.teacher, "sample": item.sample})
                yield f"{record['id']}/{item.teacher}/{item.sample}", question(record, item, judge)

    request = Request(
        sampling=judge.sampling,
        thinking=judge.thinking,
        samples=1,
        seed=run.seed,
        model=model.digest,
        shard_size=engine.shard_size,
        skip_overlong=True,
    )
    for completions in generate(load(model.folder, engine, run.seed), chats(), request, run.work):
        yield waiting.popleft() | _columns(completions, judge)


def _columns(completions: list[Completion], judge: Judge) -> Row:
    if not completions:
        return {"score": None, "reason": OVERLONG, "judgement": None, "finish_reason": None, "tokens": 0}
    (judgement,) = completions
    value, reason = score(judgement, judge)
    return {
        "score": value,
        "reason": reason,
        "judgement": judgement.text,
        "finish_reason": judgement.finish_reason,
        "tokens": judgement.tokens,
    }


class Tally:
    """Counts of a run: candidates, those without a score by reason, and mean scores by teacher."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.scores: dict[str, list[float]] = defaultdict(list)
        self.tokens = 0
        self.first_unscored = ""

    def add(self, row: Row) -> None:
        """Count one candidate."""
        self.tokens += row["tokens"]
        if row["score"] is None:
            self.reasons[row["reason"]] += 1
            self.first_unscored = self.first_unscored or row["judgement"] or ""
        else:
            self.scores[row["teacher"]].append(row["score"])

    def counts(self) -> dict[str, Any]:
        """Counts for the manifest. Nothing is dropped: a candidate without a score is a row with its reason."""
        scored = sum(map(len, self.scores.values()))
        return {
            "in": scored + self.reasons.total(),
            "kept": scored + self.reasons.total(),
            "dropped": {},
            "scored": scored,
            "without_score": dict(sorted(self.reasons.items())),
            "mean_score": {teacher: sum(scores) / len(scores) for teacher, scores in sorted(self.scores.items())},
            "tokens": self.tokens,
        }


def judge_candidates(run: Run[JudgeSettings], samples: Mapping[str, Artifact]) -> dict[str, Any]:
    """Write one row per candidate; return the counts. Raises DistillError if no score at all could be read."""
    schema_of(run.input("pool"))  # an empty pool is an error before the model is loaded
    tally = Tally()

    def counted() -> Iterator[Row]:
        for row in judge_rows(run, samples):
            tally.add(row)
            yield row

    write(run.out / RECORDS, counted(), SCHEMA)
    if not tally.scores:
        raise DistillError(
            f"no score of {run.input('judge').folder.name} could be read: {dict(tally.reasons)}; the first judgement "
            f"is {tally.first_unscored[:200]!r}. Compare `judge.pattern` and `judge.template` with it"
        )
    return tally.counts()


def main() -> None:
    with step(__spec__, inputs=("pool", "samples", "judge"), settings=JudgeSettings) as run:
        samples = by_teacher(run.inputs["samples"], run.settings.teachers)
        run.counts |= judge_candidates(run, samples)


if __name__ == "__main__":
    main()
