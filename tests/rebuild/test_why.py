"""make why: real edits to a checkout whose results really ran, and the first cause that it names for each."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from scripts.common.artifacts import read_json, write_json
from tests.conftest import OVERLAY, Checkout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

OPD = "results/tiny/models/opd"
CELL = ("--cell", "opd/opd/average")


def why(checkout: Checkout, *arguments: str) -> str:
    """The output of the command."""
    command = [checkout.python, "-m", "scripts.results.why", *arguments, "--configfile", OVERLAY]
    return checkout.run(command).stdout


def edit(checkout: Checkout, name: str, old: str, new: str) -> None:
    path = checkout.root / name
    text = path.read_text()
    assert old in text, f"{old!r} is not in {name}"
    path.write_text(text.replace(old, new, 1))


def append(checkout: Checkout, name: str) -> None:
    with (checkout.root / name).open("a") as file:
        file.write("\n# edited\n")


def test_what_was_just_made_is_current(built: Checkout) -> None:
    assert why(built, OPD).startswith(f"{OPD}/manifest.json is current")
    assert "is current" in why(built, *CELL)


def test_a_setting_names_key_and_values(copy: Checkout) -> None:
    edit(copy, "config.yaml", "mopd:\n    kind: opd\n", "mopd:\n    kind: opd\n    training: {learning_rate: 3.0e-5}\n")
    header, setting, model = why(copy, "--cell", "mopd/mopd/ifeval").splitlines()
    assert header == "results/tiny/cells/mopd/mopd/ifeval.json would be made again:"
    assert re.fullmatch(r"  setting: training.learning_rate: 0\.\d+ -> 3e-05", setting)
    assert model == "      results/tiny/models/mopd/manifest.json"


def test_a_file_of_the_code_is_named_with_the_commit_that_changed_it(copy: Checkout) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=copy.root, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    git("add", "scripts")
    git("commit", "--message", "one")
    append(copy, "scripts/train/opd_trainer.py")
    assert "  code: scripts/train/opd_trainer.py, edited, not committed\n" in why(copy, OPD)
    git("commit", "--all", "--message", "A gentler loss")
    answer = why(copy, *CELL)
    assert re.search(r"code: scripts/train/opd_trainer.py, last changed by [0-9a-f]+ of .*: A gentler loss\n", answer)
    assert answer.count("code:") == 1 and f"      {OPD}/manifest.json" in answer


def test_a_changed_lock_is_an_environment(copy: Checkout) -> None:
    append(copy, "envs/cpu.txt")
    answer = why(copy, OPD)
    assert answer.count("environment: cpu.txt: ") == 1 and "      results/tiny/synthetic/manifest.json" in answer


def test_an_input_that_was_replaced_is_named(copy: Checkout) -> None:
    manifest = copy.results / "datasets" / "opd-prompts" / "manifest.json"
    write_json(manifest, read_json(manifest) | {"counts": {"more": 1}})
    lines = why(copy, OPD).splitlines()
    assert len(lines) == 3 and lines[2] == f"      {OPD}/manifest.json"
    assert lines[1].startswith("  input: results/tiny/datasets/opd-prompts/manifest.json has other content: ")


def test_a_missing_target_is_a_cause_and_a_missing_intermediate_is_not(copy: Checkout) -> None:
    shutil.rmtree(copy.root / OPD)
    assert f"missing: {OPD}/manifest.json is not there" in why(copy, OPD)
    assert "is current" in why(copy, "results/tiny/generations/opd/ifeval.parquet")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("results/tiny/models/nobody", "results/tiny/models/nobody: no rule of the scale tiny makes this path"),
        ("models/opd", "is not an artifact: name a path such as results/tiny/models/opd"),
        ("results/tny/models/opd", "'tny' has no file scales/tny.yaml"),
    ],
)
def test_an_unknown_path_is_one_line(copy: Checkout, name: str, match: str) -> None:
    run = copy.run([copy.python, "-m", "scripts.results.why", name], check=False)
    assert run.returncode == 1 and match in run.stderr and "Traceback" not in run.stderr


def test_a_record_without_its_files_says_so(copy: Checkout) -> None:
    record = copy.root / OPD / "run.json"
    content = read_json(record)
    write_json(record, {key: value for key, value in content.items() if key != "files"})
    append(copy, "scripts/train/opd_trainer.py")
    assert "code: of scripts.train.opd changed; its record does not say which file" in why(copy, OPD)


def test_the_seed_and_the_numerics_are_named_by_their_values(copy: Checkout) -> None:
    edit(copy, "scales/tiny.yaml", "numerics: portable", "numerics: native")
    answer = why(copy, OPD)
    assert answer.count("numerics:") == 1 and '  numerics: "portable" -> "native"\n' in answer
