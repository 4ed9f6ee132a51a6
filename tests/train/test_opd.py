"""On-policy distillation: the divergence computed by hand, one teacher per domain, and teachers that do not fit."""

from __future__ import annotations

import shutil
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from scripts.train import opd
from scripts.train.opd_trainer import MultiTeacherTrainer, UnknownDomainError, log_ratio, route
from scripts.train.settings.opd import Opd, OpdStep
from scripts.train.trainer import TrainingError
from tests.train.lab import OPD, ROLLOUT, a_run, finished, load, log_of, perturbed, with_sampling


def distilled(lab: types.SimpleNamespace, folder: Path, teachers: dict[str, Path], **changes: Any) -> Any:
    """A finished distillation of the nano chat model with settings changed."""
    init = changes.pop("init", lab.ins)
    settings = OpdStep(training=OPD | changes, thinking=False)
    names = {"teachers": list(teachers)}
    run = a_run(settings, folder, names=names, dataset=lab.prompts, init=init, teachers=list(teachers.values()))
    opd.distill(run)
    return run


@pytest.fixture(scope="module")
def others(lab: types.SimpleNamespace) -> dict[str, Path]:
    """Two teachers that differ from the student and from each other."""
    return {
        name: perturbed(lab.ins.parent, lab.folder / f"teacher-{name}", seed)
        for seed, name in enumerate(("knowledge", "math"))
    }


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The micro batches whose loss was computed."""
    batches: list[dict[str, Any]] = []
    compute = MultiTeacherTrainer._compute_loss

    def computed(self: MultiTeacherTrainer, student: Any, inputs: Any, items: Any) -> Any:
        batches.append({name: value.clone() for name, value in inputs.items() if torch.is_tensor(value)})
        return compute(self, student, inputs, items)

    monkeypatch.setattr(MultiTeacherTrainer, "_compute_loss", computed)
    return batches


def log_probabilities(model: Any, batch: dict[str, Any], temperature: float) -> torch.Tensor:
    """log p of every token of the vocabulary at each completion token: (rows, tokens, vocabulary), float64."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    logits = model(ids, attention_mask=attention, position_ids=positions).logits
    return torch.log_softmax(logits[:, -batch["completion_ids"].size(1) - 1 : -1] / temperature, -1)


def divergence(student: torch.Tensor, teacher: torch.Tensor, beta: float) -> torch.Tensor:
    """Generalised JSD per token from log probabilities: the formula of GKD (arXiv 2306.13649); beta 0 and 1 are KLs."""

    def kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return (first.exp() * (first - second)).sum(-1)

    if beta == 1:
        return kl(student, teacher)
    if beta == 0:
        return kl(teacher, student)
    mixture = torch.log((1 - beta) * student.exp() + beta * teacher.exp())
    return beta * kl(teacher, mixture) + (1 - beta) * kl(student, mixture)


@pytest.mark.parametrize(
    ("beta", "sampling", "teaching"),
    [(1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.5, 1.0, 1.0), (0.1, 0.8, 1.0), (1.0, 0.7, 1.3)],
)
def test_the_loss_is_the_divergence_to_the_rows_own_teacher(
    lab: types.SimpleNamespace,
    others: dict[str, Path],
    seen: list[dict[str, Any]],
    tmp_path: Path,
    beta: float,
    sampling: float,
    teaching: float,
) -> None:
    run = distilled(
        lab,
        tmp_path,
        others,
        beta=beta,
        rollout=ROLLOUT | {"temperature": sampling},
        teacher_temperature=teaching,
        max_steps=1,
        max_grad_norm=1e9,
    )
    student = load(lab.ins.parent, torch.float64)
    teachers = [load(others[name].parent, torch.float64) for name in sorted(others)]
    sums, counts = [torch.zeros((), dtype=torch.float64)] * 2, [0, 0]
    for batch in seen:
        own = log_probabilities(student, batch, sampling)
        for index, teacher in enumerate(teachers):
            with torch.no_grad():
                taught = log_probabilities(teacher, batch, teaching)
            chosen = batch["completion_mask"].bool() & (batch["domain"] == index)[:, None]
            sums[index] = sums[index] + divergence(own, taught, beta)[chosen].sum()
            counts[index] += int(chosen.sum())
    assert len(seen) == 2 and min(counts) > 0
    loss = (sums[0] + sums[1]) / sum(counts)
    loss.backward()
    norm = torch.stack([weight.grad.norm() for weight in student.parameters()]).norm()
    entry = log_of(run.out)[0]
    assert entry["loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert entry["grad_norm"] == pytest.approx(float(norm), rel=1e-3)


def test_the_sampled_token_estimates_the_reverse_divergence(
    lab: types.SimpleNamespace, others: dict[str, Path], seen: list[dict[str, Any]], tmp_path: Path
) -> None:
    """By hand: log p(student) - log p(teacher) of the sampled token, times the gradient of log p(student)."""
    rollout = ROLLOUT | {"temperature": 0.7}
    changes = {"estimate": "sampled-token", "teacher_temperature": 1.3, "rollout": rollout, "max_grad_norm": 1e9}
    run = distilled(lab, tmp_path, others, max_steps=1, **changes)
    student = load(lab.ins.parent, torch.float64)
    teachers = [load(others[name].parent, torch.float64) for name in sorted(others)]
    surrogate, value, count = torch.zeros((), dtype=torch.float64), 0.0, 0
    for batch in seen:
        ids = batch["completion_ids"][..., None]
        drawn = log_probabilities(student, batch, 0.7).gather(2, ids)[..., 0]
        for index, teacher in enumerate(teachers):
            chosen = batch["completion_mask"].bool() & (batch["domain"] == index)[:, None]
            with torch.no_grad():
                ratio = drawn - log_probabilities(teacher, batch, 1.3).gather(2, ids)[..., 0]
            surrogate = surrogate + (ratio * drawn)[chosen].sum()
            value, count = value + float(ratio[chosen].sum()), count + int(chosen.sum())
    (surrogate / count).backward()
    norm = torch.stack([weight.grad.norm() for weight in student.parameters()]).norm()
    entry = log_of(run.out)[0]
    assert entry["loss"] == pytest.approx(value / count, rel=1e-4)
    assert entry["grad_norm"] == pytest.approx(float(norm), rel=1e-3)
    assert entry["entropy"] > 0


def test_the_sampled_tokens_mean_is_the_divergence_and_its_gradient() -> None:
    """Over a vocabulary of five tokens, weighted by their probabilities."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.log_softmax(torch.randn(5, generator=generator, dtype=torch.float64), -1)
    student = torch.log_softmax(logits, -1)
    exact = divergence(student, teacher, 1.0)
    (wanted,) = torch.autograd.grad(exact, logits, retain_graph=True)
    ratios, _ = log_ratio(student, student, teacher)
    mean = (student.exp().detach() * ratios).sum()
    (gradient,) = torch.autograd.grad(mean, logits)
    assert float(mean.detach()) == pytest.approx(float(exact.detach()))
    assert gradient.tolist() == pytest.approx(wanted.tolist())


def test_states_in_bfloat16_as_deepspeed_gives_them(
    lab: types.SimpleNamespace, others: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exact = log_of(distilled(lab, tmp_path / "exact", others, max_steps=1).out)[0]
    states = MultiTeacherTrainer._hidden
    monkeypatch.setattr(MultiTeacherTrainer, "_hidden", lambda *args: states(*args).bfloat16())
    rounded = log_of(distilled(lab, tmp_path / "rounded", others, max_steps=1).out)[0]
    for name in ("loss", "entropy", "divergence/math", "divergence/knowledge"):
        assert rounded[name] == pytest.approx(exact[name], rel=0.02)
        assert rounded[name] != exact[name]


def test_each_row_keeps_its_domain_through_shuffle_and_split(
    lab: types.SimpleNamespace, others: dict[str, Path], seen: list[dict[str, Any]], tokenizer: Any, tmp_path: Path
) -> None:
    distilled(lab, tmp_path, others, max_steps=4)
    rows = [
        (tokenizer.decode(ids), int(domain))
        for batch in seen
        for ids, domain in zip(batch["prompt_ids"], batch["domain"], strict=True)
    ]
    assert len(rows) == 32
    for text, domain in rows:
        number = int(text.rpartition("user\n")[2].partition(":")[0].split("\n")[-1])
        assert domain == (0 if number % 2 else 1), text  # the corpus alternates: odd numbers are knowledge


def test_a_teacher_that_is_the_student_teaches_nothing(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    run = distilled(lab, tmp_path, {"all": lab.ins}, max_steps=1)
    entry = log_of(run.out)[0]
    assert abs(entry["loss"]) < 1e-6 and entry["grad_norm"] < 1e-5
    assert abs(entry["divergence/all"]) < 1e-6


def test_one_teacher_for_all_is_two_teachers_that_are_the_same(
    lab: types.SimpleNamespace, others: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    teacher, loaded, load_teacher = others["math"], [], MultiTeacherTrainer._load
    monkeypatch.setattr(
        MultiTeacherTrainer, "_load", lambda self, path: loaded.append(path) or load_teacher(self, path)
    )
    one = distilled(lab, tmp_path / "one", {"all": teacher}, max_steps=3)
    two = distilled(lab, tmp_path / "two", {"knowledge": teacher, "math": teacher}, max_steps=3)
    assert (one.out / "model.safetensors").read_bytes() == (two.out / "model.safetensors").read_bytes()
    assert len(loaded) == 2, "one copy in each run, whatever the number of domains"


def test_distillation_brings_the_student_to_the_teacher(
    lab: types.SimpleNamespace, others: dict[str, Path], tmp_path: Path
) -> None:
    run = distilled(lab, tmp_path, others, max_steps=16, learning_rate=1e-2)
    losses = [entry["loss"] for entry in log_of(run.out)]
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])


def test_the_recipe_alone_decides_how_the_student_samples(
    lab: types.SimpleNamespace, others: dict[str, Path], tmp_path: Path
) -> None:
    """Nothing of the checkpoint's generation_config.json reaches the rollouts."""
    plain = distilled(lab, tmp_path / "plain", others, max_steps=1)
    init = with_sampling(lab.ins.parent, tmp_path / "init")
    other = distilled(lab, tmp_path / "other", others, init=init, max_steps=1)
    assert log_of(other.out) == log_of(plain.out)
    assert (other.out / "model.safetensors").read_bytes() == (plain.out / "model.safetensors").read_bytes()


def test_an_unknown_domain_is_an_error_before_anything_is_sampled(
    lab: types.SimpleNamespace, others: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UnknownDomainError, match=r"32 prompts are of the domain 'knowledge'.*\(teachers: math\)"):
        distilled(lab, tmp_path, {"math": others["math"]})


def test_a_sampled_token_estimates_the_reverse_kl_alone() -> None:
    with pytest.raises(ValidationError, match=r"set beta to 1 \(is 0\.5\)"):
        Opd(**OPD | {"estimate": "sampled-token", "beta": 0.5})


def test_route_names_every_unknown_domain() -> None:
    prompts = [{"domain": name} for name in ("math", "code", "", "code")]
    with pytest.raises(
        UnknownDomainError, match=r"3 prompts are of the domain '', 'code'.*\(teachers: general, math\)"
    ):
        route(prompts, ["math", "general"])
    assert {row["domain"] for row in route(prompts, ["all"])} == {"all"}


def test_a_teacher_of_another_vocabulary_is_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(lab.ins.parent, tmp_path / "teacher")
    model = load(lab.ins.parent)
    model.resize_token_embeddings(400)
    model.save_pretrained(tmp_path / "teacher")
    with pytest.raises(TrainingError, match="vocabularies of 400 and 301 tokens"):
        distilled(lab, tmp_path / "run", {"all": finished(tmp_path / "teacher")})


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("chat_template.jinja", "<|im_start|>assistant", "<|im_start|>robot", "give both one chat template"),
        ("tokenizer.json", '"!":', '"!!":', "do not have the same tokens"),
    ],
)
def test_a_teacher_of_another_tokenizer_is_an_error(
    lab: types.SimpleNamespace, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    shutil.copytree(lab.ins.parent, tmp_path / "teacher")
    changed = tmp_path / "teacher" / file
    text = changed.read_text()
    assert old in text
    changed.write_text(text.replace(old, new))
    with pytest.raises(TrainingError, match=message):
        distilled(lab, tmp_path / "run", {"all": finished(tmp_path / "teacher")})


def test_a_teacher_without_a_domain_is_refused(
    lab: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inputs = ["--dataset", str(lab.prompts), "--init", str(lab.ins), "--teachers", str(lab.ins)]
    monkeypatch.setattr("sys.argv", ["opd", "--recipe", "{}", *inputs, "--out", str(tmp_path / "manifest.json")])
    with pytest.raises(SystemExit):
        opd.main()
    assert "must be NAME=PATH" in capsys.readouterr().err
