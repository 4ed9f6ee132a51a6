"""The map of artifacts: for each path, the step that makes it, its inputs, its recipe and its level in the pipeline.

    artifacts = Artifacts(read("tiny"))
    opd = artifacts.find("results/tiny/models/opd/manifest.json")
    opd.step        # "train.opd"
    opd.inputs      # {"dataset": "results/tiny/datasets/opd-prompts/manifest.json", ...}
    opd.recipe      # Snakemake compares it, and the record of the run states it

`scripts.workflow.kinds` lists the kinds of artifacts. A path that no rule makes raises UnknownArtifact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from scripts.common import numerics
from scripts.common.artifacts import canonical_json
from scripts.common.fingerprint import fingerprint, packages
from scripts.containers import images
from scripts.workflow.config import Config, ConfigError
from scripts.workflow.kinds import Inputs, Kind, Names, kinds
from scripts.workflow.paths import Paths

WILDCARD = re.compile(r"\{(\w+)\}")


class UnknownArtifact(LookupError):
    """No rule makes this path with this configuration."""


@dataclass(frozen=True)
class Artifact:
    """The files that one job makes, as the configuration plans them."""

    config: Config
    kind: Kind
    names: Names
    """The values of the path's wildcards."""

    @property
    def step(self) -> str:
        """The step that makes it, such as `train.sft`."""
        return self.kind.step

    @property
    def stage(self) -> str:
        """The stage of that step, such as `train`."""
        return self.kind.stage

    @property
    def outputs(self) -> tuple[str, ...]:
        """All files that the job makes."""
        return tuple(pattern.format(**self.names) for pattern in self.kind.outputs)

    @property
    def inputs(self) -> Inputs:
        """Name of the rule's input to the paths that the job reads."""
        return self.kind.inputs(self.names)

    @property
    def paths_read(self) -> list[str]:
        """The paths that the job reads, each once."""
        values = ([value] if isinstance(value, str) else value for value in self.inputs.values())
        return list(dict.fromkeys(path for paths in values for path in paths))

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings, seed, code and environment: a change of them, or of an input, makes the artifact again."""
        return recipe(self.config, self.kind, self.names)


def recipe(config: Config, kind: Kind, names: Names) -> dict[str, Any]:
    """The recipe of an artifact: see `Artifact.recipe`."""
    return {
        "settings": plain(kind.settings(names)),
        "seed": config.seed,
        "code": fingerprint(f"scripts.{kind.step}"),
        "environment": environment(config, kind.role),
        **numerics_of(config, kind),
    }


def numerics_of(config: Config, kind: Kind) -> dict[str, str]:
    """The setting `numerics`, for steps whose code reaches a package that computes by it; nothing for all others."""
    return {"numerics": config.numerics} if packages(f"scripts.{kind.step}") & numerics.DEPENDENT else {}


def recipe_text(config: Config, kind: Kind, names: Names) -> str:
    """The recipe as one string: Snakemake compares parameters as a set and would not notice that two were swapped."""
    return canonical_json(recipe(config, kind, names))


def environment(config: Config, role: str) -> dict[str, str]:
    """Identity of the environment that a role's jobs run in: its lock, and its image's definition.

    Raises ConfigError that names the file if one is missing.
    """
    name = config.environments[role]  # type: ignore[index]
    try:
        return dict(_identity(name, config.containers))
    except FileNotFoundError as error:
        raise ConfigError(f"environments.{role}: {name!r} needs {error.filename}") from None


@cache
def _identity(name: str, contained: bool) -> dict[str, str]:
    """Hashed once per process: the recipe of every job states it."""
    return images.identity(name, contained)


def plain(value: Any) -> Any:
    """Settings models as plain JSON values, also inside dictionaries."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of a configuration."""

    config: Config
    _levels: dict[str, int] = field(default_factory=dict, repr=False)

    @cached_property
    def paths(self) -> Paths:
        """The artifacts' paths by name."""
        return Paths(self.config)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kinds, by the name of the rule that makes them."""
        return {kind.rule: kind for kind in kinds(self.config)}

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Kind]]:
        return [(_pattern(output, kind), kind) for kind in self.kinds.values() for output in kind.outputs]

    def find(self, path: str) -> Artifact:
        """The artifact that the file at `path` belongs to. Raises UnknownArtifact."""
        for pattern, kind in self._patterns:
            if match := pattern.fullmatch(path):
                return Artifact(self.config, kind, match.groupdict())
        raise UnknownArtifact(
            f"{path}: no rule of the scale {self.config.scale} makes this path. Kinds of artifacts are listed in "
            "scripts/workflow/kinds.py, names in config.yaml and the scale's file"
        )

    def jobs(self, paths: Iterable[str]) -> list[tuple[Artifact, list[str]]]:
        """The jobs that make the paths, each with the paths that it makes. Raises UnknownArtifact."""
        by_outputs: dict[tuple[str, ...], tuple[Artifact, list[str]]] = {}
        for path in paths:
            artifact = self.find(path)
            by_outputs.setdefault(artifact.outputs, (artifact, []))[1].append(path)
        return list(by_outputs.values())

    def behind(self, paths: Iterable[str]) -> dict[str, Artifact]:
        """The paths and every file that they depend on, each with the artifact that it belongs to."""
        files: dict[str, Artifact] = {}
        todo = list(paths)
        while todo:
            path = todo.pop()
            if path not in files:
                artifact = self.find(path)
                files |= dict.fromkeys(artifact.outputs, artifact)
                todo += artifact.paths_read
        return files

    def level(self, path: str) -> int:
        """0 for an artifact without inputs, else 1 more than its inputs' highest level; lower levels are made first."""
        if path not in self._levels:
            read = self.find(path).paths_read
            self._levels[path] = 1 + max((self.level(item) for item in read), default=-1)
        return self._levels[path]


def _pattern(output: str, kind: Kind) -> re.Pattern[str]:
    """The regular expression that an output's paths match; its groups are the wildcards."""
    parts = WILDCARD.split(output)
    text = [re.escape(part) if index % 2 == 0 else _group(part, kind) for index, part in enumerate(parts)]
    return re.compile("".join(text))


def _group(wildcard: str, kind: Kind) -> str:
    return f"(?P<{wildcard}>{constraint(kind, wildcard)})"


def constraint(kind: Kind, wildcard: str) -> str:
    """The regular expression of a wildcard's values: exactly the known names, or any name without a slash."""
    if wildcard not in kind.wildcards:
        return "[^/]+"
    return "|".join(re.escape(name) for name in sorted(kind.wildcards[wildcard])) or "(?!)"
