"""The jobs that rerun after an edit: real edits to a checkout, and the plan that Snakemake prints for each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read
from tests.conftest import OVERLAY, ROOT, Checkout, copy_of_the_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("plans")]

Change = Callable[[str], str]
PLANS = ROOT / "tests" / "rebuild" / "plans.yaml"
REVISION = "4f1c7a0d9be2635108fd7c42ab96e5d30c81f27e"
"""The commit to which plans.yaml pins its data set of the hub."""


@pytest.fixture(scope="module")
def unmade(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout without results."""
    return copy_of_the_project(tmp_path_factory.mktemp("unmade") / "checkout", PLANS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which everything counts as made: each output is there, with Snakemake's record of it.

    A plan reads names, times and bytes of artifacts and Snakemake's records, never what an artifact means; so
    `--touch` records what real runs would. Tests that change it put everything back.
    """
    checkout = copy_of_the_project(tmp_path_factory.mktemp("made") / "checkout", PLANS)
    shutil.copytree(ROOT / "slurm", checkout.root / "slurm")
    summary = (line.split("\t") for line in checkout.dry_run("--summary").splitlines() if "\t" in line)
    for name in sorted({fields[0] for fields in summary} - {"output_file"}):
        path = checkout.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    checkout.snakemake("--touch", "--forceall", "--no-hooks")
    return checkout


# --- Edits -----------------------------------------------------------------------------------------------------------


@contextmanager
def edited(checkout: Checkout, name: str, change: Change) -> Iterator[None]:
    """The file with `change` applied; its content is put back afterwards."""
    path = checkout.root / name
    before = path.read_text()
    after = change(before)
    assert after != before, f"the edit changes nothing in {name}"
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)


def replaced(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text, f"{old!r} is not there to be edited"
        return text.replace(old, new)

    return change


def appended(text: str) -> Change:
    return lambda before: f"{before}\n{text}\n"


COMMENT = appended("# edited")

# --- What is expected: jobs by rule -----------------------------------------------------------------------------------

SHOWN = {"draw_figures": 1, "make_table": 1, "write_report": 1}
CONE = {"generate_benchmarks": 1, "score_benchmarks": 1, "make_cell": 2, **SHOWN}
"""Jobs that depend on a model of one table with two columns."""
SCORING = {"score_benchmarks": 3, "make_cell": 7, "make_table": 3, "write_report": 1}
EVALUATION = {"generate_benchmarks": 3, **SCORING}
TRAINING = {
    "build_dataset": 6,
    "finetune_model": 4,
    "reinforce_model": 1,
    "distill_model": 2,
    "sample_attempts": 1,
    "grade_prompts": 1,
    **EVALUATION,
    "draw_figures": 1,
}
"""Jobs that depend on the verdicts of the first stage of SFT: all models but the base, and all that they sample."""
VERDICTS = {**TRAINING, "cross_verify_responses": 2, "sample_responses": 1}
"""Jobs that depend on a verifier: the base's samples are verified again, a fine-tuned teacher's also sampled again."""
SAMPLES = {**VERDICTS, "sample_responses": 2}
"""Jobs that depend on the prompts of the first stage of SFT."""
NUMERICS = {**SAMPLES, "build_dataset": 8, "pretrain_model": 1}
"""Jobs that depend on numerics: every data set and all that is made from one, but no pool and no classifier."""
DECONTAMINATION = {"curate_decontaminate": 1, "audit_decontamination": 1}
NEAR_DEDUP = {"curate_near_dedup": 1, "curate_classify": 1, "tabulate_funnel": 1, **DECONTAMINATION, **SAMPLES}
SFT_POOL = {
    **{f"curate_{step}": 1 for step in ("format", "language", "length", "repetition", "refusal", "truncation")},
    "curate_exact_dedup": 1,
    **NEAR_DEDUP,
}


@dataclass(frozen=True)
class Edit:
    """A change of one file, and the number of jobs per rule that Snakemake must plan after it."""

    about: str
    file: str
    change: Change
    expected: dict[str, int]


NOTHING: dict[str, int] = {}
EDITS = [
    Edit("a comment in the recipe", "config.yaml", replaced("# --- Models.", "# --- Other words."), NOTHING),
    Edit("a comment in the Snakefile", "Snakefile", replaced("raw corpora to tables", "corpora to tables"), NOTHING),
    Edit("the README", "README.md", appended("More words."), NOTHING),
    Edit("code that no step imports", "scripts/workflow/plan.py", COMMENT, NOTHING),
    Edit("another scale's file", "scales/paper.yaml", replaced("warmup_ratio: ", "warmup_ratio: 0.5 #"), NOTHING),
    Edit("a SLURM partition", "slurm/profile.yaml", replaced("gpu_partition: gpu", "gpu_partition: h200"), NOTHING),
    Edit("numerics", "scales/tiny.yaml", replaced("numerics: portable", "numerics: native"), NUMERICS),
    Edit(
        "the number of GPUs and the walltime",
        OVERLAY,
        appended("resources: {train.grpo: {gpus: 2, minutes: 5}, evaluate.generate: {gpus: 2}}"),
        NOTHING,
    ),
    Edit("an image's definition, where jobs run outside of images", "containers/cpu.def", COMMENT, NOTHING),
    Edit(
        "a hyperparameter of one model",
        "config.yaml",
        replaced("mopd:\n    kind: opd\n", "mopd:\n    kind: opd\n    training: {learning_rate: 1.0e-4}\n"),
        {"distill_model": 1, **CONE},
    ),
    Edit(  # invisible to Snakemake's own comparison of parameters
        "two hyperparameters that swap their values",
        "scales/tiny.yaml",
        replaced("epsilon: 0.2\n    epsilon_high: 0.28", "epsilon: 0.28\n    epsilon_high: 0.2"),
        {"reinforce_model": 1, **CONE},
    ),
    Edit(
        "a filter's threshold",
        "scales/tiny.yaml",
        replaced("similarity: 0.8}", "similarity: 0.9}"),
        NEAR_DEDUP,
    ),
    Edit(
        "the noise between trainings, which verdicts on one seed hold against",
        "scales/tiny.yaml",
        replaced("average: 2.3}", "average: 2.4}"),
        {"make_table": 3, "write_report": 1},
    ),
    Edit(
        "a mixture's ratios",
        "config.yaml",
        replaced(
            "ratios: {math: 1, code: 1, instruction: 1, knowledge: 1}\n    select: {kind: cluster}",
            "ratios: {math: 2, code: 1, instruction: 1, knowledge: 1}\n    select: {kind: cluster}",
        ),
        {"build_dataset": 1, "distill_model": 1, **CONE},
    ),
    Edit(
        "one source's revision",
        OVERLAY,
        replaced(REVISION, REVISION[::-1]),
        {"fetch_hub_dataset": 1, "normalize_source": 1, "train_classifier": 1, **SFT_POOL},
    ),
    Edit("a verifier's code", "scripts/verify/choice.py", COMMENT, VERDICTS),
    Edit("a verifier's limits", "scripts/verify/settings.py", COMMENT, VERDICTS),
    Edit("the README of a folder of data", "scripts/verify/data/README.md", appended("More words."), NOTHING),
    Edit("a helper of two stages", "scripts/generation/shards.py", COMMENT, SAMPLES),
    Edit("how a failed job is tried again", "scripts/common/retries.py", COMMENT, NOTHING),
    Edit("the settings of a filter that no pool uses", "scripts/curate/settings/pii.py", COMMENT, NOTHING),
    Edit("the settings of GRPO", "scripts/train/settings/grpo.py", COMMENT, {"reinforce_model": 1, **CONE}),
    Edit("the code of a step", "scripts/evaluate/score.py", COMMENT, SCORING),
    Edit("a benchmark's metric", "scales/tiny.yaml", replaced("metric: strict-prompt", "metric: pass@1"), SCORING),
    Edit(
        "a benchmark's prompt",
        "scales/tiny.yaml",
        replaced("source: bench-instruction\n", 'source: bench-instruction\n    template: "Q: {prompt}"\n'),
        EVALUATION,
    ),
    Edit(
        "a benchmark's sampling",
        "scales/tiny.yaml",
        replaced("&instruct {temperature: 0.7,", "&instruct {temperature: 0.6,"),
        EVALUATION,
    ),
    Edit(
        "a helper of one stage",
        "scripts/tables/measurement.py",
        COMMENT,
        {"make_cell": 7, "tabulate_funnel": 1, **SHOWN, "make_table": 3},
    ),
    Edit("the report's template", "scripts/tables/page/data/report.html.j2", appended("<!-- -->"), {"write_report": 1}),
    Edit("a table's title", "config.yaml", replaced("title: Instruct branch", "title: Another title"), SHOWN),
    Edit(
        "a heading of one table's column",
        "scales/tiny.yaml",
        replaced("title: Math\n", "title: Arithmetic\n"),
        {"make_table": 1, "write_report": 1},
    ),
    Edit("a heading of no table's column", "scales/tiny.yaml", replaced("title: Code\n", "title: Python\n"), NOTHING),
    Edit(  # of the other group: for the models of this table alone, whatever other tables show
        "another benchmark in one table",
        OVERLAY,
        replaced("columns: [ifeval, math, average]", "columns: [ifeval, code, average]"),
        {"generate_benchmarks_2": 1, "score_benchmarks_2": 1, "make_cell": 2, **SHOWN},
    ),
    Edit(
        "a renamed row",
        OVERLAY,
        replaced("{name: opd, model: opd", "{name: opd-4k, model: opd"),
        {"make_cell": 3, **SHOWN},
    ),
    Edit(
        "a key renamed: a model's",
        OVERLAY,
        lambda text: text.replace(
            "  mopd:\n    teachers",
            "  mopd: null\n  merged:\n    kind: opd\n    init: ins-sft-3\n    dataset: mopd-prompts\n    teachers",
        ).replace("model: mopd", "model: merged"),
        {"distill_model": 1, **CONE},
    ),
    Edit(
        "a new ablation",
        OVERLAY,
        lambda text: text.replace(
            "models:\n",
            "models:\n  opd-hot: {kind: opd, init: ins-sft-3, dataset: opd-prompts, teacher: teacher-math,"
            " training: {learning_rate: 1.0e-3}}\n",
        ).replace(
            "tables:\n",
            "tables:\n  rates: {title: Rates, kind: ablation, columns: [ifeval, average],"
            " rows: [{name: hot, model: opd-hot, title: Hot}]}\n",
        ),
        {"distill_model": 1, **CONE},
    ),
]


@pytest.mark.parametrize("edit", EDITS, ids=[edit.about for edit in EDITS])
def test_an_edit_reruns_exactly_what_depends_on_it(made: Checkout, edit: Edit) -> None:
    with edited(made, edit.file, edit.change):
        planned = made.planned()
    assert planned == edit.expected


# --- Changes beyond one file -----------------------------------------------------------------------------------------


@pytest.fixture
def copy(made: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the checkout and its history in another folder, which a test may change freely."""
    return Checkout(shutil.copytree(made.root, tmp_path / "elsewhere", symlinks=True))


def test_a_second_run_has_nothing_to_do(made: Checkout) -> None:
    assert made.planned() == {}


def test_a_lock_reruns_what_runs_in_that_environment(made: Checkout) -> None:
    with edited(made, "envs/cpu.txt", COMMENT):
        everything = made.planned("--forceall")
        assert made.planned() == everything and "synthesize_corpora" in everything
    with edited(made, "envs/serve.txt", COMMENT):  # no job of this scale runs in it
        assert made.planned() == {}


def test_an_images_definition_reruns_what_runs_in_it(copy: Checkout) -> None:
    contained = ("--config", "containers=true")
    copy.snakemake("--touch", "--forceall", "--no-hooks", *contained)  # as if all had been made inside of images
    assert copy.planned(*contained) == {}
    with edited(copy, "containers/cpu.def", COMMENT):
        assert copy.planned(*contained) == copy.planned("--forceall", *contained)
    with edited(copy, "containers/serve.def", COMMENT):
        assert copy.planned(*contained) == {}


def test_a_partition_and_other_defaults_of_the_cluster_rerun_nothing(made: Checkout) -> None:
    resources = ("slurm_partition=other", "gpu_partition=h200", "mem_mb=9000", "runtime=5")
    assert made.planned("--default-resources", *resources) == {}


def test_touching_everything_reruns_nothing(made: Checkout) -> None:
    for path in made.root.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert made.planned() == {}


def test_an_edit_with_an_old_time_stamp_is_seen(made: Checkout) -> None:
    def old() -> None:
        os.utime(made.root / "scripts" / "verify" / "records.py", (1_000_000_000, 1_000_000_000))

    with edited(made, "scripts/verify/records.py", COMMENT):
        old()
        planned = made.planned()
    assert planned == VERDICTS


def test_another_branch_and_back_reruns_nothing(copy: Checkout) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=copy.root, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    git("add", "scripts", "rules", "Snakefile", "config.yaml", "scales", OVERLAY)
    git("commit", "--message", "one")
    assert copy.planned() == {}
    git("checkout", "-b", "other")
    with (copy.root / "scripts" / "evaluate" / "score.py").open("a") as file:
        file.write("# another score\n")
    git("commit", "--all", "--message", "two")
    assert copy.planned() == SCORING
    git("checkout", "main")
    assert copy.planned() == {}


def test_a_deleted_intermediate_comes_back_only_when_it_is_needed(made: Checkout, tmp_path: Path) -> None:
    folder, away = made.results / "pools" / "rl" / "exact-dedup", tmp_path / "away"
    shutil.move(folder, away)
    try:
        assert made.planned() == {}
        with edited(made, "scripts/curate/decontaminate.py", COMMENT):
            planned = made.planned("results/tiny/pools/rl/decontaminate/manifest.json")
        assert planned == {"curate_exact_dedup": 1, "curate_decontaminate": 1}
    finally:
        shutil.move(away, folder)


def test_a_misspelt_setting_is_an_error_that_names_it(made: Checkout) -> None:
    with edited(made, "scales/tiny.yaml", replaced("group_size: 8", "group_sizes: 8")):
        assert "group_sizes" in made.dry_run()


# --- Targets and options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("instrct/ins-grpo/ifeval", "no table named 'instrct': did you mean instruct"),
        ("instruct/ins-grp/ifeval", "no row of instruct named 'ins-grp': did you mean ins-grpo"),
        ("instruct/ins-grpo/ifevl", "no column of instruct named 'ifevl': did you mean ifeval"),
    ],
)
def test_a_misspelt_cell_lists_the_close_matches(made: Checkout, cell: str, match: str) -> None:
    assert match in made.dry_run(f"results/tiny/cells/{cell}.json")


def test_cells_tables_and_each_table_are_targets_by_name(unmade: Checkout) -> None:
    cells, tables = unmade.planned("cells"), unmade.planned("tables")
    assert cells["make_cell"] == 7 and not {"make_table", "write_report"} & set(cells)
    assert tables.items() - cells.items() == {("make_table", 3), ("tables", 1)}
    one = unmade.planned("instruct")
    assert (one["make_table"], one["make_cell"]) == (1, 2) and "distill_model" not in one


def test_a_cell_plans_its_lineage_and_nothing_else(unmade: Checkout) -> None:
    """SFT and GRPO: no preference for what else there is, no specialist, no distillation, one table's one model."""
    planned = unmade.planned("results/tiny/cells/instruct/ins-grpo/ifeval.json")
    assert planned["finetune_model"] == 2 and planned["reinforce_model"] == planned["pretrain_model"] == 1
    assert planned["generate_benchmarks"] == planned["score_benchmarks"] == planned["make_cell"] == 1
    assert not {"distill_model", "make_table", "tabulate_funnel", "generate_benchmarks_2"} & set(planned)


def test_two_groups_of_benchmarks_have_rules_of_their_own(made: Checkout) -> None:
    planned = made.planned("results/tiny/scores/opd/code.json")
    assert planned == {"generate_benchmarks_2": 1, "score_benchmarks_2": 1}


def test_a_revision_that_is_not_pinned_stops_the_run_before_its_first_job(made: Checkout) -> None:
    with edited(made, OVERLAY, replaced(f"revision: {REVISION}", "revision: unpinned")):
        assert "fetch_hub_dataset" in made.planned()
        run = made.snakemake(check=False)
    assert run.returncode != 0 and "sources.remarks.revision: nebula/remarks is unpinned" in run.stderr
    assert "rule synthesize_corpora" not in run.stderr and "rule fetch_hub_dataset" not in run.stderr


JOB = re.compile(
    r"^ {4}(?:input: (?P<inputs>.*)\n {4})?output: (?P<outputs>.*)$(?:\n {4}.*$)*\nShell command: (?P<command>.*)$",
    re.M,
)


VERIFYING = {"cross_verify_responses", "grade_prompts", "reinforce_model", "score_benchmarks"}


def test_after_a_changed_verifier_only_what_follows_from_a_verdict_is_planned(made: Checkout) -> None:
    """Each planned job verifies or reads the output of a planned job: nothing else is sampled, judged or trained."""
    with edited(made, "scripts/verify/choice.py", COMMENT):
        jobs = list(JOB.finditer(made.dry_run("--printshellcmds")))
    outputs = {path for job in jobs for path in job["outputs"].split(", ")}
    artifacts = Artifacts(read("tiny", yaml.safe_load(PLANS.read_text())))
    rules = [artifacts.find(job["outputs"].split(", ")[0]).kind.rule for job in jobs]
    assert set(rules) >= VERIFYING
    for rule, job in zip(rules, jobs, strict=True):
        assert rule in VERIFYING or outputs & set((job["inputs"] or "").split(", ")), job[0]


SHARED_OUT = re.compile(r"curate\.(?!audit|train_classifier)|distill\.(cross_verify|grade)$|evaluate\.score$")


def test_the_map_of_artifacts_says_what_snakemake_plans(unmade: Checkout) -> None:
    """For each job: the step, the outputs, the inputs, and a level above all inputs.

    Steps with several worker processes must receive the number of threads.
    """
    artifacts = Artifacts(read("tiny", yaml.safe_load(PLANS.read_text())))
    jobs = [job for job in JOB.finditer(unmade.dry_run("--printshellcmds"))]
    assert len(jobs) > 70
    for job in jobs:
        inputs, outputs = ((job[name] or "").split(", ") for name in ("inputs", "outputs"))
        artifact = artifacts.find(outputs[0])
        assert f"scripts.{artifact.step} " in job["command"], job[0]
        assert [*artifact.outputs] == outputs
        assert set(artifact.paths_read) == set(filter(None, inputs)), job[0]
        if SHARED_OUT.match(artifact.step):
            assert job["command"].startswith("NEBULA_WORKERS=1 "), job[0]
