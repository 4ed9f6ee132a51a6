"""The kinds of artifacts: for each, the rule and step that make it, its files, its inputs and its settings.

The rules in `rules/` take their inputs, outputs, logs and recipes from this list. The driver, the plan, the estimates,
the progress line and `make why` search it through `scripts.workflow.artifacts`. A new kind of artifact needs one entry
here and one rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.curate.pools import STEPS, module_of
from scripts.workflow.config import Config, EnvironmentRole
from scripts.workflow.paths import Paths

Names = Mapping[str, str]
"""The values of a path's wildcards, such as `{"model": "opd"}`."""
Inputs = dict[str, str | list[str]]
"""The paths that a step reads, by the name of the rule's input."""


@dataclass(frozen=True)
class Kind:
    """One kind of artifact."""

    rule: str
    step: str
    """The step's module below `scripts`, such as `train.sft`."""
    role: EnvironmentRole
    """The role whose environment its jobs run in."""
    outputs: tuple[str, ...]
    """The tracked files of one job, with Snakemake's wildcards."""
    log: str
    settings: Callable[[Names], Any]
    """The settings in the recipe: everything that the step reads from the configuration."""
    inputs: Callable[[Names], Inputs] = field(default=lambda names: {})
    wildcards: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Wildcard to the values that it may take; a wildcard that is not listed takes any."""

    @property
    def stage(self) -> str:
        """The stage of its step, such as `train`."""
        return self.step.partition(".")[0]


def kinds(config: Config) -> list[Kind]:
    """Every kind of artifact of a configuration, in the order of the pipeline."""
    paths = Paths(config)
    parts = (_sources, _curation, _responses, _grading, _mixing, _models, _evaluation, _tables, _report)
    return [kind for part in parts for kind in part(config, paths)]


def _sources(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="synthesize_corpora",
        step="sources.synthesize",
        role="data",
        outputs=(paths.folder("synthetic"),),
        log=paths.log("synthetic"),
        settings=lambda names: config.synthetic,
    )
    yield Kind(
        rule="fetch_hub_dataset",
        step="sources.download",
        role="data",
        outputs=(paths.folder("downloads", "{source}"),),
        log=paths.log("downloads", "{source}"),
        wildcards={"source": [name for name, source in config.sources.items() if source.kind == "hub"]},
        settings=lambda names: _download_settings(config, names["source"]),
    )
    yield Kind(
        rule="normalize_source",
        step="sources.normalize",
        role="data",
        outputs=(paths.raw("{source}"),),
        log=paths.log("raw", "{source}"),
        wildcards={"source": config.sources},
        inputs=lambda names: {"files": _source_files(config, paths, names["source"])},
        settings=lambda names: {"name": names["source"], "source": config.sources[names["source"]]},
    )


def _download_settings(config: Config, name: str) -> dict[str, Any]:
    source = config.sources[name]
    assert source.kind == "hub"
    return {"name": name, "dataset": source.dataset, "revision": source.revision, "files": source.files}


def _source_files(config: Config, paths: Paths, name: str) -> list[str]:
    """The manifest that a source is read from; empty if no job makes it."""
    kind = config.sources[name].kind
    made = {"synthetic": [paths.folder("synthetic")], "hub": [paths.folder("downloads", name)]}
    return made.get(kind, [])


def _curation(config: Config, paths: Paths) -> Iterator[Kind]:
    sources = dict.fromkeys(source for pool in config.pools.values() for source in pool.sources)
    benchmarks = paths.raws(benchmark.source for benchmark in config.benchmarks.values())
    yield Kind(
        rule="train_classifier",
        step="curate.train_classifier",
        role="data",
        outputs=(paths.classifier(),),
        log=paths.log("classifiers", "domain"),
        inputs=lambda names: {"sources": paths.raws(sources)},
        settings=lambda names: config.classifiers.domain,
    )
    extra = {"classify": [paths.classifier()], "decontaminate": benchmarks}
    for step in STEPS:
        yield _pool_step(config, paths, step, extra.get(step, []))
    if paths.decontaminated():
        yield Kind(
            rule="audit_decontamination",
            step="curate.audit",
            role="data",
            outputs=tuple(paths.audit()),
            log=paths.log("audit"),
            inputs=lambda names: {"pools": paths.decontaminated(), "benchmarks": benchmarks},
            settings=lambda names: {},
        )


def _pool_step(config: Config, paths: Paths, step: str, extra: list[str]) -> Kind:
    module = module_of(step)
    return Kind(
        rule=f"curate_{module}",
        step=f"curate.{module}",
        role="data",
        outputs=(paths.pool_step("{pool}", step),),
        log=paths.log("pools", "{pool}", step),
        wildcards={"pool": [name for name, pool in config.pools.items() if step in [item.step for item in pool.steps]]},
        inputs=lambda names: {"records": paths.pool_input(names["pool"], step), "extra": extra},
        settings=lambda names: _pool_step_settings(config, names["pool"], step),
    )


def _pool_step_settings(config: Config, pool: str, step: str) -> Any:
    """The settings of a pool's step; a deduplication also gets the priorities of the pool's sources."""
    settings = next(item for item in config.pools[pool].steps if item.step == step)
    overrides = getattr(settings, "priorities", None)
    if overrides is None:
        return settings
    priorities = {source: config.sources[source].priority for source in config.pools[pool].sources}
    return settings.model_copy(update={"priorities": {**priorities, **overrides}})


def _responses(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="sample_responses",
        step="distill.sample",
        role="serve",
        outputs=(paths.samples("{set}", "{teacher}"),),
        log=paths.log("responses", "{set}", "{teacher}"),
        wildcards={"set": config.responses, "teacher": config.models},
        inputs=lambda names: {
            "pool": paths.pool(config.responses[names["set"]].pool),
            "teacher": paths.model(names["teacher"]),
        },
        settings=lambda names: {"responses": config.responses[names["set"]].draw, "engine": config.engine},
    )
    yield Kind(
        rule="judge_responses",
        step="distill.judge",
        role="serve",
        outputs=(paths.folder("responses", "{set}", "scores"),),
        log=paths.log("responses", "{set}", "scores"),
        wildcards={"set": [name for name, responses in config.responses.items() if responses.judge]},
        inputs=lambda names: _judge_inputs(config, paths, names["set"]),
        settings=lambda names: _judge_settings(config, names["set"]),
    )
    yield Kind(
        rule="cross_verify_responses",
        step="distill.cross_verify",
        role="data",
        outputs=(paths.verdicts("{set}"),),
        log=paths.log("responses", "{set}", "verdicts"),
        wildcards={"set": config.responses},
        inputs=lambda names: {
            "pool": paths.pool(config.responses[names["set"]].pool),
            "samples": paths.all_samples(names["set"]),
            "scores": paths.judge_scores(names["set"]),
        },
        settings=lambda names: {"responses": config.responses[names["set"]], "verify": config.verify},
    )


def _grading(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="sample_attempts",
        step="distill.sample",
        role="serve",
        outputs=(paths.attempts("{set}"),),
        log=paths.log("attempts", "{set}"),
        wildcards={"set": config.graded},
        inputs=lambda names: {
            "pool": paths.pool(config.graded[names["set"]].pool),
            "student": paths.model(config.graded[names["set"]].student),
        },
        settings=lambda names: {
            "responses": config.graded[names["set"]].draw,
            "engine": config.engine,
            "only_verifiable": True,
        },
    )
    yield Kind(
        rule="grade_prompts",
        step="distill.grade",
        role="data",
        outputs=(paths.graded("{set}"),),
        log=paths.log("graded", "{set}"),
        wildcards={"set": config.graded},
        inputs=lambda names: {"attempts": paths.attempts(names["set"])},
        settings=lambda names: {
            "bands": config.graded[names["set"]].bands,
            "samples": config.graded[names["set"]].samples,
            "verify": config.verify,
        },
    )


def _judge_inputs(config: Config, paths: Paths, name: str) -> Inputs:
    responses = config.responses[name]
    assert responses.judge is not None
    return {
        "pool": paths.pool(responses.pool),
        "samples": paths.all_samples(name),
        "judge": paths.model(responses.judge.model),
    }


def _judge_settings(config: Config, name: str) -> dict[str, Any]:
    responses = config.responses[name]
    return {
        "judge": responses.judge,
        "teachers": responses.teachers,
        "keep_original": responses.keep_original,
        "prompts": responses.prompts,
        "engine": config.engine,
    }


def _mixing(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="encode_prompts",
        step="mix.encode",
        role="serve",
        outputs=(paths.embeddings("{encoder}", "{pool}"),),
        log=paths.log("embeddings", "{encoder}", "{pool}"),
        wildcards={"encoder": config.models, "pool": config.pools},
        inputs=lambda names: {"pool": paths.pool(names["pool"]), "encoder": paths.model(names["encoder"])},
        settings=lambda names: config.engine,
    )
    yield Kind(
        rule="build_dataset",
        step="mix.build",
        role="data",
        outputs=(paths.dataset("{dataset}"),),
        log=paths.log("datasets", "{dataset}"),
        wildcards={"dataset": config.datasets},
        inputs=lambda names: {
            "origin": paths.dataset_origin(config.datasets[names["dataset"]])[1],
            "vectors": paths.vectors(config.datasets[names["dataset"]]),
        },
        settings=lambda names: _dataset_settings(config, names["dataset"]),
    )


def _dataset_settings(config: Config, name: str) -> dict[str, Any]:
    dataset = config.datasets[name]
    sources = dataset.sources if dataset.sources is not None else config.pools[config.pool_of(dataset)].sources
    licences = {source: config.sources[source].licence for source in sources}
    return {"name": name, "dataset": dataset, "licences": licences}


def _models(config: Config, paths: Paths) -> Iterator[Kind]:
    def model(rule: str, kind: str, inputs: Callable[[str], Inputs], settings: Callable[[str], Any]) -> Kind:
        return Kind(
            rule=rule,
            step=f"train.{kind}",
            role="train",
            outputs=(paths.model("{model}"),),
            log=paths.log("models", "{model}"),
            wildcards={"model": [name for name, model in config.models.items() if model.kind == kind]},
            inputs=lambda names: inputs(names["model"]),
            settings=lambda names: settings(names["model"]),
        )

    def dataset(name: str) -> Inputs:
        return {"dataset": paths.dataset(getattr(config.models[name], "dataset", ""))}

    def trained(name: str) -> Inputs:
        return dataset(name) | {"init": paths.model(getattr(config.models[name], "init", ""))}

    def distilled(name: str) -> Inputs:
        teachers = dict.fromkeys(paths.teachers(name).values())
        return trained(name) | {"teachers": [paths.model(teacher) for teacher in teachers]}

    def training(name: str) -> dict[str, Any]:
        return {"training": config.training_of(name)}

    def sampled(name: str) -> dict[str, Any]:
        return training(name) | {"thinking": config.models[name].thinking}

    yield model("fetch_hub_model", "hub", lambda name: {}, lambda name: config.models[name])
    yield model("pretrain_model", "pretrain", dataset, training)
    yield model("finetune_model", "sft", trained, training)
    yield model("reinforce_model", "grpo", trained, lambda name: sampled(name) | {"verify": config.verify})
    yield model("distill_model", "opd", distilled, sampled)


def _evaluation(config: Config, paths: Paths) -> Iterator[Kind]:
    """One pair of rules per group of benchmarks (`evaluate_together`): one generates the answers, one scores them."""
    for group in config.evaluation_groups():
        yield _generation(config, paths, group)
        yield _scoring(config, paths, group)


def _generation(config: Config, paths: Paths, group: tuple[str, ...]) -> Kind:
    return Kind(
        rule=f"generate_{_group_name(config, group)}",
        step="evaluate.generate",
        role="serve",
        outputs=tuple(paths.generations("{model}", name) for name in group),
        log=paths.log("generations", "{model}", group[0]),
        wildcards={"model": config.models},
        inputs=lambda names: {
            "model": paths.model(names["model"]),
            "benchmarks": paths.raws(config.benchmarks[name].source for name in group),
        },
        settings=lambda names: _generation_settings(config, names["model"], group),
    )


def _generation_settings(config: Config, model: str, group: tuple[str, ...]) -> dict[str, Any]:
    thinking = config.models[model].thinking
    questions = {name: config.benchmarks[name].questions(thinking) for name in group}
    return {"benchmarks": questions, "engine": config.engine, "thinking": thinking}


def _scoring(config: Config, paths: Paths, group: tuple[str, ...]) -> Kind:
    return Kind(
        rule=f"score_{_group_name(config, group)}",
        step="evaluate.score",
        role="data",
        outputs=tuple(paths.scores("{model}", name) for name in group),
        log=paths.log("scores", "{model}", group[0]),
        wildcards={"model": config.models},
        inputs=lambda names: {"generations": [paths.generations(names["model"], name) for name in group]},
        settings=lambda names: {
            "model": names["model"],
            "benchmarks": {name: config.benchmarks[name].metric for name in group},
            "verify": config.verify,
        },
    )


def _group_name(config: Config, group: tuple[str, ...]) -> str:
    """The suffix of a group's rule names: the name of a lone benchmark, else `benchmarks`, `benchmarks_2`, ..."""
    if len(group) == 1:
        return group[0]
    number = [other for other in config.evaluation_groups() if len(other) > 1].index(group) + 1
    return "benchmarks" if number == 1 else f"benchmarks_{number}"


def _tables(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="make_cell",
        step="tables.cell",
        role="data",
        outputs=(paths.cell("{table}", "{row}", "{column}"),),
        log=paths.log("cells", "{table}", "{row}", "{column}"),
        inputs=lambda names: {"scores": paths.cell_scores(names["table"], names["row"], names["column"])},
        settings=lambda names: _cell_settings(config, paths, names),
    )
    yield Kind(
        rule="make_table",
        step="tables.table",
        role="data",
        outputs=tuple(paths.table("{table}", suffix) for suffix in ("json", "md", "csv", "tex")),
        log=paths.log("tables", "{table}"),
        inputs=lambda names: {
            "cells": paths.cells(names["table"]),
            "scores": [paths.scores(*answer) for answer in paths.answers(names["table"])],
        },
        settings=lambda names: _table_settings(config, names["table"]),
    )


def _report(config: Config, paths: Paths) -> Iterator[Kind]:
    yield Kind(
        rule="tabulate_funnel",
        step="tables.funnel",
        role="data",
        outputs=(paths.at("funnel.json"), paths.at("funnel.md")),
        log=paths.log("funnel"),
        inputs=lambda names: {
            "pools": [paths.pool_step(name, step.step) for name, pool in config.pools.items() for step in pool.steps]
        },
        settings=lambda names: {
            "pools": {name: [step.step for step in pool.steps] for name, pool in config.pools.items()}
        },
    )
    yield Kind(
        rule="draw_figures",
        step="tables.figures",
        role="data",
        outputs=(paths.folder("figures"),),
        log=paths.log("figures"),
        inputs=lambda names: {
            "models": [paths.model(name) for name, model in config.models.items() if model.kind != "hub"],
            "datasets": [paths.dataset(name) for name in config.datasets],
            "graded": [paths.graded(name) for name in config.graded],
            "funnel": paths.at("funnel.json"),
        },
        settings=lambda names: {
            "tables": config.tables,
            "kinds": {name: model.kind for name, model in config.models.items()},
        },
    )
    yield Kind(
        rule="write_report",
        step="tables.report",
        role="data",
        outputs=(paths.at("report.html"),),
        log=paths.log("report"),
        inputs=lambda names: _report_inputs(config, paths),
        settings=lambda names: {"scale": config.scale},
    )


def _cell_settings(config: Config, paths: Paths, names: Names) -> dict[str, Any]:
    row = paths.row(names["table"], names["row"], names["column"])
    return {
        "table": names["table"],
        "row": row.name,
        "column": names["column"],
        "model": row.model,
        "reported": row.reported.get(names["column"]),
        "scale": config.scale,
    }


def _table_settings(config: Config, name: str) -> dict[str, Any]:
    table = config.tables[name]
    titles = {column: config.benchmarks[column].title for column in table.columns[:-1]}
    return {"name": name, "table": table, "titles": titles, "training_noise": config.report.training_noise}


def _report_inputs(config: Config, paths: Paths) -> Inputs:
    answers = list(dict.fromkeys(answer for name in config.tables for answer in paths.answers(name)))
    return {
        "tables": [paths.table(name) for name in config.tables],
        "cells": [cell for name in config.tables for cell in paths.cells(name)],
        "scores": [paths.scores(*answer) for answer in answers],
        "generations": [paths.generations(*answer) for answer in answers],
        "figures": paths.folder("figures"),
        "funnel": paths.at("funnel.json"),
        "pools": paths.decontaminated(),
    }
