"""The map of artifacts: each path has one maker, levels rise along the chain, and an unknown path is an error."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow.artifacts import Artifact, Artifacts, UnknownArtifact, recipe_text
from scripts.workflow.config import Config, parents, read


@pytest.fixture(scope="module")
def tiny() -> Artifacts:
    return Artifacts(read("tiny"))


@pytest.fixture(scope="module")
def paper() -> Artifacts:
    return Artifacts(read("paper"))


def everything(artifacts: Artifacts) -> list[Artifact]:
    """All artifacts behind the report and the data sets, each once."""
    paths = artifacts.paths
    known = artifacts.behind([paths.at("report.html"), *paths.audit(), *map(paths.dataset, artifacts.config.datasets)])
    return list({artifact.outputs: artifact for artifact in known.values()}.values())


@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_every_artifact_is_made_by_a_step_that_exists_from_artifacts_of_lower_levels(scale: str) -> None:
    artifacts = Artifacts(read(scale))
    for artifact in everything(artifacts):
        assert (ROOT / "scripts" / f"{artifact.step.replace('.', '/')}.py").is_file(), artifact.outputs
        for output in artifact.outputs:
            assert artifacts.find(output).outputs == artifact.outputs
            assert all(artifacts.level(path) < artifacts.level(output) for path in artifact.paths_read)


def test_levels_rise_along_the_chain(tiny: Artifacts) -> None:
    config, paths, level = tiny.config, tiny.paths, tiny.level
    assert level(paths.folder("synthetic")) == 0 and level(paths.raw("sums")) == 1
    for name, pool in config.pools.items():
        levels = [level(paths.pool_step(name, step.step)) for step in pool.steps]
        assert levels == sorted(set(levels))
    for name in config.models:
        assert all(level(paths.model(parent)) < level(paths.model(name)) for parent in parents(config, name))
        assert level(paths.model(name)) < level(paths.generations(name, "ifeval")) < level(paths.scores(name, "ifeval"))
    cell = level(paths.cell("instruct", "base", "ifeval"))
    assert level(paths.scores("base", "ifeval")) < cell < level(paths.table("instruct"))
    assert level(paths.table("instruct")) < level(paths.at("report.html"))


def test_a_path_tells_its_names_and_inputs(tiny: Artifacts) -> None:
    samples = tiny.find("results/tiny/responses/instruct/samples/teacher/manifest.json")
    assert (samples.step, samples.stage, samples.names) == (
        "distill.sample",
        "distill",
        {"set": "instruct", "teacher": "teacher"},
    )
    assert samples.inputs == {"pool": tiny.paths.pool("sft"), "teacher": "results/tiny/models/teacher/manifest.json"}
    opd = tiny.find("results/tiny/models/mopd/manifest.json")
    assert opd.step == "train.opd"
    assert [path for path in opd.paths_read if "/models/" in path] == [
        f"results/tiny/models/{name}/manifest.json"
        for name in ("ins-sft-3", *tiny.config.models["mopd"].teachers.values())
    ]


def test_outputs_of_one_job_come_together(paper: Artifacts) -> None:
    outputs = [
        f"results/paper/{path}"
        for path in (
            "generations/opd/ifeval.parquet",
            "generations/opd/mbpp.parquet",
            "generations/opd/aime-2024.parquet",
            "tables/opd.json",
            "tables/opd.md",
            "funnel.json",
            "funnel.md",
        )
    ]
    jobs = [(artifact.step, paths) for artifact, paths in paper.jobs(outputs)]
    assert jobs == [
        ("evaluate.generate", outputs[:2]),
        ("evaluate.generate", outputs[2:3]),
        ("tables.table", outputs[3:5]),
        ("tables.funnel", outputs[5:]),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "results/tiny/models/nobody/manifest.json",
        "results/tiny/raw/sums/records/00000.parquet",
        "results/tiny/new-stage/x.json",
        "results/paper/models/opd/manifest.json",
        "containers/cpu.sif",
    ],
)
def test_a_path_that_nothing_makes_is_an_error(tiny: Artifacts, path: str) -> None:
    for ask in (tiny.find, tiny.level):
        with pytest.raises(UnknownArtifact, match=r"no rule of the scale tiny makes this path"):
            ask(path)


@pytest.mark.parametrize("scale", ["tiny", "small", "paper"])
def test_every_planned_recipe_is_one_that_its_step_accepts(scale: str) -> None:
    """Settings that a step would refuse are found here and not by the job."""
    artifacts = Artifacts(read(scale))
    if scale == "small":
        seen = [artifacts.find(path) for path in map(artifacts.paths.dataset, artifacts.config.datasets)]
    else:
        seen = everything(artifacts)
    for artifact in {artifact.kind.rule: artifact for artifact in seen}.values():
        model = settings_of(artifact.step)
        model.model_validate(artifact.recipe["settings"])


def settings_of(step: str) -> type:
    """The settings model that a step hands to `step()`: read from its source, `settings=` of that call."""
    module = importlib.import_module(f"scripts.{step}")
    tree = ast.parse(inspect.getsource(module))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("step", "job")
    ]
    names = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "settings"]
    values = names or [call.args[-1] for call in calls]
    return getattr(module, values[0].id)  # type: ignore[attr-defined]


def test_a_recipe_is_one_line_that_holds_all_that_a_step_reads(tiny: Artifacts) -> None:
    opd = tiny.find("results/tiny/models/opd/manifest.json")
    text = recipe_text(tiny.config, opd.kind, opd.names)
    assert "\n" not in text and set(opd.recipe) == {"settings", "seed", "code", "environment", "numerics"}
    assert opd.recipe["seed"] == 1 and opd.recipe["settings"]["training"]["learning_rate"] > 0


def changed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"seed": seed})


def test_another_seed_is_another_recipe_in_another_folder(tiny: Artifacts) -> None:
    other = Artifacts(changed(tiny.config, 2)).find("results/tiny-seed-2/models/opd/manifest.json")
    mine = tiny.find("results/tiny/models/opd/manifest.json")
    assert {key for key in mine.recipe if mine.recipe[key] != other.recipe[key]} == {"seed"}


def test_the_architecture_page_names_every_rule_and_step(paper: Artifacts) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for rule, kind in paper.kinds.items():
        stage, step = kind.step.split(".")
        names = (f"`{rule}`", f"`{rule.partition('_')[0]}_*`", f"`{rule.partition('_')[0]}_{{step}}`")
        assert any(name in page for name in names), rule
        assert re.search(rf"`{stage}\.({step}|\{{[\w,]*\b{step}\b[\w,]*\}}|\{{step\}})`", page), kind.step
