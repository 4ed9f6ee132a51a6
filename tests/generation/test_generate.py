"""Generation: decoding against `generate` of transformers, random streams per sample, shards that resume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.common.artifacts import Artifact, open_artifact
from scripts.common.records import Message
from scripts.common.settings import Engine, Sampling
from scripts.generation.decode import decode, draw, left_padded, streams
from scripts.generation.engine import load
from scripts.generation.prompts import (
    Completion,
    GenerationError,
    Prompt,
    chat_tokenizer,
    completion,
    encode,
    sample_seed,
    stop_ids,
)
from scripts.generation.shards import Request, generate
from scripts.generation.transformers_engine import TransformersEngine
from tests.common.nano import MATH, save_model

GREEDY = Sampling(temperature=0.0, max_tokens=16)
HOT = Sampling(temperature=1.0, max_tokens=16)
SETTINGS = Engine(kind="transformers", dtype="float32", batch_size=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return open_artifact(save_model(tmp_path_factory.mktemp("nano") / "model"))


@pytest.fixture(scope="module")
def engine(model: Artifact) -> TransformersEngine:
    return TransformersEngine(model.folder, SETTINGS)


def chats(count: int = 6) -> list[tuple[str, list]]:
    """Prompts of different lengths."""
    return [
        (f"id-{place}", [{"role": "user", "content": " ".join([prompt] * (1 + place % 3))}])
        for place, (prompt, _) in enumerate(MATH[:count])
    ]


def ask(checkpoint: Artifact, **changes: Any) -> Request:
    stated = {"sampling": HOT, "thinking": False, "samples": 2, "seed": 1, "model": checkpoint.digest, "shard_size": 2}
    return Request(**(stated | changes))


# --- The decoding loop ----------------------------------------------------------------------------------------------


def test_greedy_equals_transformers_token_by_token(engine: TransformersEngine) -> None:
    prompts = encode(engine.tokenizer, chats(), thinking=False)
    own = decode(engine.model, [item.tokens for item in prompts], range(6), [0] * 6, GREEDY, engine.stops)
    for prompt, tokens in zip(prompts, own, strict=True):
        whole = engine.model.generate(
            torch.tensor([prompt.tokens]),
            attention_mask=torch.ones(1, len(prompt.tokens), dtype=torch.long),
            max_new_tokens=GREEDY.max_tokens,
            do_sample=False,
            eos_token_id=sorted(engine.stops),
            pad_token_id=0,
        )
        assert tokens == whole[0, len(prompt.tokens) :].tolist()
    assert len({tuple(tokens) for tokens in own}) > 1, "all the same: the model is too simple to tell anything"


def test_a_row_ends_at_any_stop_id_while_others_go_on(engine: TransformersEngine) -> None:
    prompts = [item.tokens for item in encode(engine.tokenizer, chats(), thinking=False)]
    free = decode(engine.model, prompts, range(6), [0] * 6, GREEDY, {9999})
    stops = {free[0][8], free[1][0], free[4][4]}  # rows leave the batch at different steps
    expected = [
        tokens[: next((place for place, token in enumerate(tokens) if token in stops), len(tokens) - 1) + 1]
        for tokens in free
    ]
    assert decode(engine.model, prompts, range(6), [0] * 6, GREEDY, stops) == expected
    assert len({len(tokens) for tokens in expected}) > 3


def test_a_sample_does_not_depend_on_the_rows_beside_it(engine: TransformersEngine) -> None:
    prompts = encode(engine.tokenizer, chats(), thinking=False)
    together = engine.complete(prompts, HOT, samples=4, seed=7)
    alone = [engine.complete([prompt], HOT, samples=4, seed=7)[0] for prompt in reversed(prompts)][::-1]
    assert together == alone
    assert [found[:2] for found in together] == engine.complete(prompts, HOT, samples=2, seed=7)
    assert len({item.text for found in together for item in found}) > 12
    assert engine.complete(prompts, HOT, samples=4, seed=8) != together


def test_sampling_follows_the_softmax() -> None:
    """20,000 draws from logits (log 1, log 2, log 5): shares 1/8, 2/8, 5/8 within 5 standard errors."""
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]])).expand(20_000, 3)
    uniforms = streams([sample_seed(1, "key", sample) for sample in range(20_000)], HOT)[:, 0]
    counts = Counter(draw(logits, uniforms, HOT).tolist())
    for token, share in enumerate((0.125, 0.25, 0.625)):
        assert abs(counts[token] / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


def drawn(probabilities: Sequence[float], **sampling: float) -> list[int]:
    """The token that each of nine even uniforms draws."""
    uniforms = torch.arange(0.05, 0.95, 0.1, dtype=torch.float64)
    logits = torch.log(torch.tensor([list(probabilities)])).expand(len(uniforms), -1)
    return draw(logits, uniforms, Sampling(max_tokens=1, **({"temperature": 1.0} | sampling))).tolist()


def test_filters_by_hand() -> None:
    masses = (0.2, 0.5, 0.05, 0.25)
    assert drawn(masses) == [0, 0, 1, 1, 1, 1, 1, 3, 3]  # cumulative .2 .7 .75 1
    assert drawn(masses, top_k=1) == [1] * 9
    assert drawn(masses, top_k=2) == [1, 1, 1, 1, 1, 1, 1, 3, 3]  # 2/3 and 1/3, likeliest first
    assert drawn(masses, top_p=0.5) == [1] * 9  # the first token's mass reaches it
    assert set(drawn(masses, top_p=0.51)) == {1, 3}
    assert set(drawn(masses, top_p=0.95)) == {0, 1, 3}
    assert set(drawn(masses, top_k=3, top_p=0.6)) == {1, 3}  # .5/.95 = .53 is not enough
    assert drawn(masses, temperature=0.0) == [1] * 9
    assert drawn(masses, temperature=1e-4) == [1] * 9


def test_a_token_without_mass_is_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]] * 2)
    assert draw(logits, torch.tensor([0.0, 1 - 1e-16], dtype=torch.float64), HOT).tolist() == [1, 1]


def test_a_prohibitive_presence_penalty_lets_no_token_come_twice(engine: TransformersEngine) -> None:
    prompts = [item.tokens for item in encode(engine.tokenizer, chats(2), thinking=False)]
    free, fined = (
        decode(engine.model, prompts, range(2), [0] * 2, GREEDY.model_copy(update={"presence_penalty": size}), {9999})
        for size in (0.0, 1e6)
    )
    assert [len(set(tokens)) for tokens in fined] == [16, 16]
    assert all(len(set(tokens)) < 16 for tokens in free)


def test_a_diverged_model_is_refused(engine: TransformersEngine) -> None:
    weight = engine.model.model.norm.weight
    kept = weight.data.clone()
    weight.data.fill_(float("nan"))
    try:
        with pytest.raises(GenerationError, match=r"the logits of .* are NaN, so its training has diverged"):
            decode(engine.model, [[5, 6]], [0], [0], GREEDY, engine.stops)
    finally:
        weight.data.copy_(kept)


def test_left_padding() -> None:
    ids, mask = left_padded([[5], [6, 7, 8]])
    assert ids.tolist() == [[0, 0, 5], [6, 7, 8]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]


# --- Prompts and completions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("thinking", [True, False])
def test_prompts_are_rendered_as_in_training(engine: TransformersEngine, thinking: bool) -> None:
    """A prompt's ids are the context of the row that fine-tuning makes of it, and those that transformers makes."""
    from scripts.train.rows import IGNORED, chat_row

    answer: Message = {"role": "assistant", "content": "<think>\n1 + 2\n</think>\n\n3" if thinking else "3"}
    for (_, messages), prompt in zip(chats(), encode(engine.tokenizer, chats(), thinking), strict=True):
        row = chat_row([*messages, answer], engine.tokenizer)
        assert list(prompt.tokens) == row["input_ids"][: row["labels"].count(IGNORED)]
        assert list(prompt.tokens) == engine.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, enable_thinking=thinking, return_dict=False
        )
        assert engine.tokenizer.decode(prompt.tokens).endswith("</think>\n\n") is not thinking


def test_stop_ids_hold_the_end_of_text_and_of_a_turn(model: Artifact, engine: TransformersEngine) -> None:
    tokens = {engine.tokenizer.convert_ids_to_tokens(item) for item in engine.stops}
    assert tokens == {"<|endoftext|>", "<|im_end|>"}
    (model.folder / "generation_config.json").rename(model.folder / "aside")  # as a base model without the turn's end
    try:
        assert stop_ids(model.folder, engine.tokenizer) == engine.stops
    finally:
        (model.folder / "aside").rename(model.folder / "generation_config.json")


def test_completion_keeps_thinking_and_cuts_at_the_end_of_turn(engine: TransformersEngine) -> None:
    def ids(text: str) -> list[int]:
        return engine.tokenizer(text, add_special_tokens=False)["input_ids"]

    thought = "<think>\n1 + 2\n</think>\n\n3"
    assert completion(engine.tokenizer, ids(thought + "<|im_end|>rest"), engine.stops) == Completion(
        thought, "stop", len(ids(thought)) + 1
    )
    assert completion(engine.tokenizer, ids("The sum is"), engine.stops) == Completion(
        "The sum is", "length", len(ids("The sum is"))
    )
    assert completion(engine.tokenizer, ids("<|im_end|>"), engine.stops) == Completion("", "stop", 1)


def test_a_checkpoint_without_chat_template_is_refused(model: Artifact, tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(model.folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(GenerationError, match="no chat template"):
        chat_tokenizer(tmp_path)


# --- Shards ---------------------------------------------------------------------------------------------------------


class Counting:
    """An engine that counts its prompts, and fails after a number of them if told to."""

    def __init__(self, engine: TransformersEngine, fail_at: int | None = None) -> None:
        self.engine, self.fail_at, self.seen = engine, fail_at, list[str]()
        self.tokenizer, self.context = engine.tokenizer, engine.context

    def complete(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int) -> list:
        if self.fail_at is not None and len(self.seen) >= self.fail_at:
            raise KeyboardInterrupt
        self.seen += [prompt.key for prompt in prompts]
        return self.engine.complete(prompts, sampling, samples, seed)


def test_a_killed_job_resumes_after_its_last_finished_shard(
    engine: TransformersEngine, model: Artifact, tmp_path: Path
) -> None:
    whole = [*generate(engine, chats(), ask(model), tmp_path / "whole")]
    with pytest.raises(KeyboardInterrupt):
        [*generate(Counting(engine, fail_at=4), chats(), ask(model), tmp_path / "killed")]
    again = Counting(engine)
    assert [*generate(again, chats(), ask(model), tmp_path / "killed")] == whole
    assert sorted(again.seen) == ["id-4", "id-5"]
    names = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("whole", "killed")]
    assert names[0] == names[1]
    for name in names[0]:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


@pytest.mark.parametrize("change", [{"model": "another"}, {"seed": 2}, {"sampling": GREEDY}, {"thinking": True}])
def test_a_shard_of_another_job_is_not_taken(
    engine: TransformersEngine, model: Artifact, tmp_path: Path, change: dict
) -> None:
    [*generate(engine, chats(2), ask(model), tmp_path)]
    other = Counting(engine)
    [*generate(other, chats(2), ask(model, **change), tmp_path)]
    assert sorted(other.seen) == ["id-0", "id-1"]


def test_shards_change_no_completion(engine: TransformersEngine, model: Artifact, tmp_path: Path) -> None:
    small = [*generate(engine, chats(), ask(model, shard_size=1), tmp_path)]
    assert small == [*generate(engine, chats(), ask(model, shard_size=100), tmp_path)]
    assert [len(found) for found in small] == [2] * 6


def test_greedy_samples_are_drawn_once(engine: TransformersEngine, model: Artifact, tmp_path: Path) -> None:
    found = [*generate(engine, chats(2), ask(model, samples=3, sampling=GREEDY), tmp_path)]
    assert all(len(items) == 3 and len(set(items)) == 1 for items in found)


def test_overlong_prompts_are_an_error_or_get_nothing(
    engine: TransformersEngine, model: Artifact, tmp_path: Path
) -> None:
    asked = [*chats(1), ("long", [{"role": "user", "content": "What is 1 plus 2? " * 20}])]
    with pytest.raises(GenerationError, match=r"1 prompts do not fit: long has \d+ tokens.*context of 96"):
        [*generate(engine, asked, ask(model), tmp_path)]
    found = [*generate(engine, asked, ask(model, skip_overlong=True), tmp_path)]
    assert [len(items) for items in found] == [2, 0]


def test_no_prompt_no_completion(engine: TransformersEngine, model: Artifact, tmp_path: Path) -> None:
    assert [*generate(engine, [], ask(model), tmp_path)] == []


def test_load_chooses_the_engine(model: Artifact) -> None:
    assert isinstance(load(model.folder, SETTINGS, seed=1), TransformersEngine)
