"""The whole configuration as one model, with every cross-reference checked before any job is planned.

`scales/<scale>.yaml` overrides `config.yaml`, and the user's own file and options override both.
`python -m scripts.workflow.config --scale paper` checks a scale and prints the resolved configuration.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from scripts.common.budget import Budget
from scripts.common.fingerprint import ROOT
from scripts.common.numerics import Numerics
from scripts.common.settings import Engine, Settings
from scripts.common.spelling import close_matches
from scripts.curate.pools import Pool
from scripts.curate.settings.classifier import Classifiers
from scripts.distill.graded_sets import GradedSet
from scripts.distill.settings.cross_verify import ResponseSet
from scripts.evaluate.benchmarks import Benchmark
from scripts.generation.serving import POLICY_SERVER, Serving
from scripts.mix.settings import Dataset
from scripts.sources.corpora import Synthetic
from scripts.sources.settings import Source
from scripts.tables.settings import AVERAGE, Reporting, Table
from scripts.train.settings.base import Optimizer, PostTrainedModel, TrainedModel
from scripts.train.settings.models import Model, Training
from scripts.train.settings.on_policy import OnPolicy
from scripts.train.settings.opd import Opd, OpdModel
from scripts.verify.settings import VerifySettings

TARGETS = frozenset({"all", "data", "cells", "tables", "containers"})
"""Built-in targets of `snakemake NAME`; every table's name is a target too."""
EnvironmentRole = Literal["data", "train", "serve"]


class ConfigError(ValueError):
    """The configuration is wrong; the message names the file, the key, the value and the fix."""


class Config(Settings):
    """The whole configuration: every key that `config.yaml` and a scale's file may have."""

    scale: str = Field(pattern=r"^[a-z0-9-]+$")
    seed: int = Field(ge=0)
    corpora_dir: str | None = Field(default=None, description="folder that `file` sources' paths are relative to")
    environments: dict[EnvironmentRole, str] = Field(description="lock file in envs/ for each kind of job")
    containers: bool = Field(
        description="jobs run in containers/<environment>.sif, whose definition is then part of identity"
    )
    numerics: Numerics = Field(
        default="native",
        description="portable: the same bytes on every x86-64 CPU with AVX2, for a little more CPU time; on no GPU",
    )
    synthetic: Synthetic | None = None
    sources: dict[str, Source]
    classifiers: Classifiers
    pools: dict[str, Pool]
    engine: Engine
    verify: VerifySettings
    responses: dict[str, ResponseSet] = Field(default={})
    graded: dict[str, GradedSet] = Field(default={})
    datasets: dict[str, Dataset] = Field(default={})
    training: Training | None = None
    models: dict[str, Model] = Field(default={})
    benchmarks: dict[str, Benchmark]
    evaluate_together: tuple[tuple[str, ...], ...] = Field(
        default=(),
        description="groups of benchmarks that one job generates and scores; any other is a group of its own",
    )
    tables: dict[str, Table] = Field(default={})
    report: Reporting = Field(default=Reporting(), description="the noise of a scale that its tables state")
    resources: dict[str, Budget] = Field(
        default={}, description="by step (`train.sft`), and `default`: never part of an artifact's identity"
    )
    trackers: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = Field(
        default=(), description="where trainings report while they run, besides results/<scale>/logs/tracking/<model>"
    )
    serving: Serving = Field(
        default=Serving(),
        description="servers of engine.kind vllm-server, their timeouts and retries: never part of identity",
    )
    image_base: str | None = Field(
        default=None, description="folder or image to build images on, instead of the pinned one"
    )
    disk_gb: int = Field(
        default=0, description="free space in GB that a run of the scale needs, checked before it starts"
    )

    @property
    def results(self) -> str:
        """Folder of this scale's artifacts; each seed other than 1 has its own folder."""
        return f"results/{self.scale}" if self.seed == 1 else f"results/{self.scale}-seed-{self.seed}"

    def training_of(self, name: str) -> Optimizer:
        """The resolved training settings of a model: the defaults of its kind, overridden by the model's `training`.

        Raises ConfigError if the model is not trained or the result is invalid.
        """
        model = self.models[name]
        if not isinstance(model, TrainedModel) or self.training is None:
            raise ConfigError(f"models.{name} is not trained: it has no training settings")
        base = getattr(self.training, model.kind) or {}
        try:
            return model.SETTINGS.model_validate(merge(base, model.training))
        except ValidationError as error:
            raise ConfigError(_explain(error, f"training.{model.kind} with models.{name}.training")) from None

    def budget_of(self, step: str) -> Budget:
        """The resources of a step's jobs: `resources.default`, overridden by `resources.<step>` (`train.sft`)."""
        default, override = self.resources.get("default", Budget()), self.resources.get(step, Budget())
        return default.model_copy(update=override.model_dump(exclude_unset=True))

    def pool_of(self, dataset: Dataset) -> str:
        """Name of the pool that a data set's records come from; empty if it reads sources or names an unknown set."""
        if dataset.responses is not None:
            return getattr(self.responses.get(dataset.responses), "pool", "")
        if dataset.graded is not None:
            return getattr(self.graded.get(dataset.graded), "pool", "")
        return dataset.pool or ""

    def evaluation_groups(self) -> list[tuple[str, ...]]:
        """The groups of benchmarks; one job generates the answers to a group and one job scores them."""
        named = {name for group in self.evaluate_together for name in group}
        return [*self.evaluate_together, *((name,) for name in self.benchmarks if name not in named)]


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Override `base` by `overlay` as Snakemake does with configuration files: mappings merge, other values replace."""
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def load(raw: Mapping[str, Any]) -> Config:
    """The checked configuration. Raises ConfigError that lists every problem, one per line."""
    try:
        config = Config.model_validate(without_nulls(raw))
    except ValidationError as error:
        raise ConfigError(_explain(error, f"config.yaml and scales/{raw.get('scale')}.yaml")) from None
    problems = list(_problems(config))
    if problems:
        raise ConfigError(f"config.yaml and scales/{config.scale}.yaml:\n  " + "\n  ".join(problems))
    return config


def without_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the sections, and the entries of sections, that a scale's file sets to null."""
    return {
        section: {name: entry for name, entry in value.items() if entry is not None}
        if isinstance(value, dict)
        else value
        for section, value in raw.items()
        if value is not None
    }


def read(scale: str, overlay: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a scale from its files, overridden by `overlay`."""
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    of_scale = yaml.safe_load(scale_file(scale).read_text()) or {}
    return load(merge(merge(merge(base, of_scale), {"scale": scale}), overlay or {}))


def scale_file(scale: str) -> Path:
    """The file of a scale. Raises ConfigError that lists the known scales."""
    path = ROOT / "scales" / f"{scale}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (ROOT / "scales").glob("*.yaml"))
        raise ConfigError(f"scale: {scale!r} has no file scales/{scale}.yaml; known scales: {', '.join(known)}")
    return path


def _explain(error: ValidationError, where: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        value = problem.get("input")
        shown = f" (value: {value!r})" if not isinstance(value, dict) else ""
        hint = ": remove it or correct its name" if problem["type"] == "extra_forbidden" else ""
        lines.append(f"{key}: {problem['msg']}{hint}{shown}")
    return f"{where}:\n  " + "\n  ".join(lines)


def _problems(config: Config) -> Iterable[str]:
    yield from _source_problems(config)
    yield from _data_problems(config)
    yield from _model_problems(config)
    yield from _table_problems(config)
    yield from _resource_problems(config)


def _unknown(key: str, name: str | None, known: Mapping[str, Any]) -> Iterable[str]:
    if name is not None and name not in known:
        yield f"{key}: {name!r} is not defined; {close_matches(name, known)}"


def _source_problems(config: Config) -> Iterable[str]:
    for name, source in config.sources.items():
        if source.kind == "synthetic" and config.synthetic is None:
            yield f"sources.{name}: kind is synthetic but there is no `synthetic:` section"
    for name, pool in config.pools.items():
        for member in pool.sources:
            yield from _unknown(f"pools.{name}.sources", member, config.sources)
        if not config.benchmarks and "decontaminate" in [step.step for step in pool.steps]:
            yield f"pools.{name}.steps: decontaminate needs `benchmarks`: name some, or leave the step out"
    for labelled in config.classifiers.domain.labels:
        yield from _unknown("classifiers.domain.labels", labelled, config.sources)
    for name, benchmark in config.benchmarks.items():
        yield from _unknown(f"benchmarks.{name}.source", benchmark.source, config.sources)
        corpus = config.sources.get(benchmark.source)
        if corpus is not None and corpus.role != "benchmark":
            yield f"benchmarks.{name}.source: {benchmark.source} has the role {corpus.role!r}; it must be `benchmark`"


def _data_problems(config: Config) -> Iterable[str]:
    for name, responses in config.responses.items():
        yield from _unknown(f"responses.{name}.pool", responses.pool, config.pools)
        for teacher in responses.teachers:
            yield from _unknown(f"responses.{name}.teachers", teacher, config.models)
        yield from _unknown(f"responses.{name}.judge.model", getattr(responses.judge, "model", None), config.models)
    for name, graded in config.graded.items():
        yield from _unknown(f"graded.{name}.pool", graded.pool, config.pools)
        yield from _unknown(f"graded.{name}.student", graded.student, config.models)
    for name, dataset in config.datasets.items():
        key = f"datasets.{name}"
        yield from _unknown(f"{key}.pool", dataset.pool, config.pools)
        yield from _unknown(f"{key}.responses", dataset.responses, config.responses)
        yield from _unknown(f"{key}.graded", dataset.graded, config.graded)
        yield from _unknown(f"{key}.select.encoder", dataset.select.encoder, config.models)
        for source in dataset.sources or ():
            yield from _unknown(f"{key}.sources", source, config.sources)
        pool = config.pools.get(config.pool_of(dataset))
        members = dict.fromkeys(dataset.sources or (pool.sources if pool else ()))
        for source in {**dataset.caps, **(dataset.source_ratios or {})} if members else ():
            yield from _unknown(f"{key}: caps and source_ratios", source, members)


def _model_problems(config: Config) -> Iterable[str]:
    if config.models and config.training is None:
        yield "training: there are models but no `training:` section"
        return
    for name, model in config.models.items():
        key = f"models.{name}"
        if isinstance(model, TrainedModel):
            yield from _unknown(f"{key}.dataset", model.dataset, config.datasets)
        if isinstance(model, PostTrainedModel):
            yield from _unknown(f"{key}.init", model.init, config.models)
        if isinstance(model, OpdModel):
            yield from _unknown(f"{key}.teacher", model.teacher, config.models)
            for domain, teacher in (model.teachers or {}).items():
                yield from _unknown(f"{key}.teachers.{domain}", teacher, config.models)
            yield from _teacher_problems(config, key, model)
        if isinstance(model, TrainedModel):
            try:
                yield from _served_problems(config, name, config.training_of(name))
                yield from _batch_problems(config, name, config.training_of(name))
            except ConfigError as error:
                yield str(error)
    yield from _cycles(config)


def _batch_problems(config: Config, name: str, training: Optimizer) -> Iterable[str]:
    """Check that a training's batch divides evenly over its GPUs."""
    step = f"train.{config.models[name].kind}"
    budget = config.budget_of(step)
    processes = max(1, budget.gpus) * budget.nodes
    if training.batch_size % (training.micro_batch_size * processes):
        yield (
            f"models.{name}.training.batch_size: {training.batch_size} is not a multiple of micro_batch_size "
            f"{training.micro_batch_size} times the {processes} GPUs of resources.{step}: change one of them"
        )


def _served_problems(config: Config, name: str, training: Optimizer) -> Iterable[str]:
    """Check the servers that a training depends on before any model is loaded."""
    if isinstance(training, Opd) and training.teacher_engine == "vllm-server":
        model = config.models[name]
        assert isinstance(model, OpdModel)
        for teacher in dict.fromkeys([model.teacher] if model.teacher else (model.teachers or {}).values()):
            if teacher not in config.serving.urls:
                yield (
                    f"models.{name}.training.teacher_engine: vllm-server, but serving.urls.{teacher} is empty: start "
                    "a server with `vllm serve <checkpoint>` and list it there, or set teacher_engine to transformers"
                )
    yield from _rollout_problems(config, name, training)


def _rollout_problems(config: Config, name: str, training: Optimizer) -> Iterable[str]:
    """Check what sampling rollouts by vLLM needs: a GPU for the training and, for vllm-server, one server."""
    if not isinstance(training, OnPolicy) or training.rollout.engine == "transformers":
        return
    key, kind, engine = f"models.{name}.training.rollout.engine", config.models[name].kind, training.rollout.engine
    if not config.budget_of(f"train.{kind}").gpus:
        why = {
            "vllm-server": "receives the weights over NCCL from a GPU of the training",
            "vllm-colocate": "shares the GPU of the training",
        }[engine]
        yield f"{key}: {engine} {why}: set resources.train.{kind}.gpus, or the engine transformers"
    if engine == "vllm-server" and len(config.serving.urls.get(name, ())) != 1:
        yield (
            f"{key}: vllm-server needs one server in serving.urls.{name}: start it on other GPUs with {POLICY_SERVER}, "
            "or set the engine vllm-colocate"
        )


def _teacher_problems(config: Config, key: str, model: OpdModel) -> Iterable[str]:
    """Check that every domain of the prompts has a teacher; training would find out only after the first rollouts."""
    dataset = config.datasets.get(model.dataset)
    for domain in (dataset.ratios or {}) if dataset and model.teachers else {}:
        if domain not in (model.teachers or {}):
            yield f"{key}.teachers: no teacher for the domain {domain!r} of datasets.{model.dataset}: add one"


def _cycles(config: Config) -> Iterable[str]:
    """Models depend on other models through init, teachers and data. A cycle cannot be built."""
    done: set[str] = set()
    for start in config.models:
        path: list[str] = []
        if cycle := _walk(config, start, path, done):
            yield f"models: {' needs '.join(cycle)}: a model cannot be needed to make itself"
            return


def _walk(config: Config, name: str, path: list[str], done: set[str]) -> list[str] | None:
    if name in path:
        return [*path[path.index(name) :], name]
    if name in done or name not in config.models:
        return None
    path.append(name)
    for parent in parents(config, name):
        if cycle := _walk(config, parent, path, done):
            return cycle
    path.pop()
    done.add(name)
    return None


def parents(config: Config, name: str) -> list[str]:
    """The models that must exist before this model can be made."""
    model = config.models[name]
    teachers = [model.teacher, *(model.teachers or {}).values()] if isinstance(model, OpdModel) else []
    dataset = config.datasets.get(model.dataset) if isinstance(model, TrainedModel) else None
    if dataset is not None and dataset.responses in config.responses:
        teachers.extend(config.responses[dataset.responses].makers)
    if dataset is not None and dataset.graded in config.graded:
        teachers.append(config.graded[dataset.graded].student)
    init = model.init if isinstance(model, PostTrainedModel) else None
    names = [init, *teachers, dataset.select.encoder if dataset else None]
    return list(dict.fromkeys(parent for parent in names if parent is not None))


def _table_problems(config: Config) -> Iterable[str]:
    for name in sorted(TARGETS & config.tables.keys()):
        yield f"tables.{name}: {name!r} is a built-in target, and every table's name is a target too: rename the table"
    for group in config.evaluate_together:
        for benchmark in group:
            yield from _unknown("evaluate_together", benchmark, config.benchmarks)
    for name, table in config.tables.items():
        for row in table.rows:
            yield from _unknown(f"tables.{name}.rows.{row.name}.model", row.model, config.models)
        for column in table.columns:
            if column != AVERAGE:
                yield from _unknown(f"tables.{name}.columns", column, config.benchmarks)


def _resource_problems(config: Config) -> Iterable[str]:
    steps = {".".join(file.with_suffix("").parts[-2:]) for file in (ROOT / "scripts").glob("*/*.py")}
    for name in config.serving.urls:
        yield from _unknown("serving.urls", name, config.models)
    for name in config.resources:
        yield from _unknown("resources", name, dict.fromkeys(steps | {"default"}))
        budget = config.resources[name]
        if budget.nodes > 1 and not name.startswith("train."):
            yield f"resources.{name}.nodes: {budget.nodes}, but only trainings run on several nodes"
        if budget.deepspeed and not (ROOT / budget.deepspeed).is_file():
            yield f"resources.{name}.deepspeed: {budget.deepspeed} does not exist: set it to scales/zero-3.json"


def main() -> None:
    """Check a scale and print the resolved configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="tiny")
    print(yaml.safe_dump(read(parser.parse_args().scale).model_dump(mode="json"), sort_keys=False))


if __name__ == "__main__":
    main()
