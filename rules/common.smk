"""Shared by the files of rules: the checked configuration, recipes, paths and input functions.

Nothing here reads a file per job: configuration, fingerprints and digests are computed once a process.
"""

import os
import shlex
import subprocess
import sys
import uuid
from functools import cache

from scripts.workflow import config as configuration
from scripts.workflow import targets
from scripts.common.artifacts import canonical_json
from scripts.common.retries import RUN_VARIABLE
from scripts.common.fingerprint import fingerprint
from scripts.generation import serving
from scripts.containers import images
from scripts.curate.pools import STEPS, module_of

CONFIG = configuration.load(config)
R = CONFIG.results

# Jobs outside of an image run in the environment that Snakemake runs in.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def git(*arguments):
    """Output of a git command in the project, empty where there is no git or no repository."""
    try:
        run = subprocess.run(["git", *arguments], cwd=workflow.basedir, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


# One name for this run and all its jobs, so that a retry knows what the attempt before it met.
os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)


def in_prefix(text):
    """A word of the shell's prefix: quoted, and its braces doubled, since Snakemake formats the prefix."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


# The prefix is no part of a rule's tracked text: commits and thread counts must not rerun anything. With `exec`, a
# rule's one command takes the shell's place and gets the signals that a job is sent before its time is over.
COMMIT = git("rev-parse", "HEAD") or "unknown"
DIRTY = "true" if git("status", "--porcelain") else "false"
shell.prefix(
    f"set -euo pipefail; export NEBULA_COMMIT={COMMIT} NEBULA_DIRTY={DIRTY} PYTHONPATH={in_prefix(str(workflow.basedir))}"
    f" {RUN_VARIABLE}={os.environ[RUN_VARIABLE]}"
    f" {serving.VARIABLE}={in_prefix(CONFIG.serving.model_dump_json(exclude_defaults=True))}"
    " OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 PYTHONHASHSEED=0; exec env "
)


@cache
def environment(role):
    """Identity of the environment that a role's jobs run in: its lock, and its image's definition."""
    try:
        return images.identity(CONFIG.environments[role], CONFIG.containers)
    except FileNotFoundError as error:
        raise WorkflowError(f"environments.{role}: {CONFIG.environments[role]!r} needs {error.filename}") from None


def recipe(module, role, settings):
    """Params function: the one string that says what a job makes. `settings` takes the wildcards."""

    @cache
    def text(**wildcards):
        resolved = settings(Wildcards(wildcards))
        return canonical_json(
            {
                "settings": plain(resolved),
                "seed": CONFIG.seed,
                "code": fingerprint(module),
                "environment": environment(role),
            }
        )

    return lambda wildcards: text(**dict(wildcards.items()))


class Wildcards(dict):
    """Wildcard values by attribute, as Snakemake's own, but usable from a cache."""

    __getattr__ = dict.__getitem__


def plain(value):
    """Settings models as plain JSON values, inside dictionaries too."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def one_of(names):
    """Wildcard constraint: exactly these names; none at all where there are none."""
    return "|".join(sorted(names)) or "(?!)"


def models_of(*kinds):
    """Names of the models of the kinds given."""
    return [name for name, model in CONFIG.models.items() if model.kind in kinds]


def raw(names):
    """Manifests of normalised sources."""
    return [f"{R}/raw/{name}/manifest.json" for name in names]


def source_files(wildcards):
    """What a source is read from, if another job makes it."""
    kind = CONFIG.sources[wildcards.source].kind
    folders = {"synthetic": "synthetic", "hub": f"downloads/{wildcards.source}", "file": None}
    return f"{R}/{folders[kind]}/manifest.json" if folders[kind] else []


def pool(name):
    """Manifest of a pool after its last step."""
    return f"{R}/pools/{name}/{CONFIG.pools[name].steps[-1].step}/manifest.json"


def model(name):
    """Manifest of a model."""
    return f"{R}/models/{name}/manifest.json"


def dataset(name):
    """Manifest of a data set."""
    return f"{R}/datasets/{name}/manifest.json"


def samples(name):
    """Manifests of the teachers' samples of a response set."""
    return [f"{R}/responses/{name}/samples/{teacher}/manifest.json" for teacher in CONFIG.responses[name].teachers]


def verdicts(name):
    """Manifest of a response set's verdicts."""
    return f"{R}/responses/{name}/verdicts/manifest.json"


def graded(name):
    """Manifest of a graded set."""
    return f"{R}/graded/{name}/manifest.json"


def group_name(group):
    """What the rules of a group of benchmarks are called: a lone one by its name, several `benchmarks`, numbered from 2."""
    if len(group) == 1:
        return group[0]
    number = [other for other in CONFIG.evaluation_groups() if len(other) > 1].index(group) + 1
    return "benchmarks" if number == 1 else f"benchmarks_{number}"


def table_cells(name):
    """Every cell of a table, row by row."""
    table = CONFIG.tables[targets.known("table", name, CONFIG.tables)]
    return [f"{R}/cells/{name}/{row.name}/{column}.json" for row in table.rows for column in table.columns]


def table_answers(name):
    """What a table shows of whom: its rows' models with each of its benchmarks."""
    table = CONFIG.tables[name]
    models = dict.fromkeys(row.model for row in table.rows)
    return [(model, column) for model in models for column in table.columns[:-1]]


def table_scores(name):
    """Every score behind a table: each row's model on each benchmark."""
    return [f"{R}/scores/{model}/{benchmark}.json" for model, benchmark in table_answers(name)]


def dataset_origin(settings):
    """What a data set is made from: the step's option and the manifests."""
    if settings.pool is not None:
        return "--pool", [pool(settings.pool)]
    if settings.responses is not None:
        return "--verdicts", [verdicts(settings.responses)]
    if settings.graded is not None:
        return "--graded", [graded(settings.graded)]
    return "--sources", raw(settings.sources)


def vectors(settings):
    """The vectors by which a data set is selected: its pool's, where it names an encoder."""
    encoder = settings.select.encoder
    return [f"{R}/embeddings/{encoder}/{CONFIG.pool_of(settings)}/manifest.json"] if encoder else []


def sources_of(settings):
    """The raw sources that a data set's records come from."""
    return settings.sources if settings.sources is not None else CONFIG.pools[CONFIG.pool_of(settings)].sources


def teachers_of(name):
    """The teachers of a distilled model by domain; one teacher alone stands under `all`."""
    found = CONFIG.models[name]
    return {"all": found.teacher} if found.teacher is not None else dict(found.teachers)


def pool_step(name, step):
    """The settings of a pool's step; a deduplication also gets the priorities of the pool's sources."""
    found = next(item for item in CONFIG.pools[name].steps if item.step == step)
    if "priorities" not in type(found).model_fields:
        return found
    priorities = {source: CONFIG.sources[source].priority for source in CONFIG.pools[name].sources}
    return found.model_copy(update={"priorities": {**priorities, **found.priorities}})


def before(name, step):
    """Manifests that a pool's step reads: the step before it, or the pool's raw sources."""
    steps = [item.step for item in CONFIG.pools[name].steps]
    position = steps.index(step)
    if position == 0:
        return raw(CONFIG.pools[name].sources)
    return [f"{R}/pools/{name}/{steps[position - 1]}/manifest.json"]


def row_of(wildcards):
    """The row that a cell names."""
    return targets.row_of(CONFIG, wildcards.table, wildcards.row, wildcards.column)


def cell_columns(wildcards):
    """The benchmarks that a cell is made from: its own, or all of its row's for the average."""
    row_of(wildcards)
    columns = CONFIG.tables[wildcards.table].columns
    return list(columns[:-1]) if wildcards.column == columns[-1] else [wildcards.column]


def cell_scores(wildcards):
    """Score files that a cell reads."""
    return [f"{R}/scores/{row_of(wildcards).model}/{column}.json" for column in cell_columns(wildcards)]


def cell_settings(wildcards):
    """What a cell says of itself."""
    row = row_of(wildcards)
    return {
        "table": wildcards.table,
        "row": row.name,
        "column": wildcards.column,
        "model": row.model,
        "reported": row.reported.get(wildcards.column),
        "scale": CONFIG.scale,
    }
