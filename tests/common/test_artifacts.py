"""Artifacts: they are written whole, damage is detected, and one value has one spelling."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import fingerprint as fingerprints
from scripts.common.artifacts import (
    ArtifactError,
    canonical_json,
    check,
    digest_json,
    open_artifact,
    read_json,
    replace_folder,
    write_json,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished folder artifact: two files of content, one of them nested."""
    made = tmp_path / "pool"
    (made / "records").mkdir(parents=True)
    (made / "records" / "00000.parquet").write_bytes(b"rows")
    (made / "card.md").write_text("card")
    write_manifest(made, {"kept": 1})
    return made


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A finished single-file artifact."""
    path = tmp_path / "ifeval.json"
    path.write_text("{}")
    write_json(tmp_path / "ifeval.json.run", {"output": hashlib.sha256(b"{}").hexdigest()})
    return path


def test_manifest_holds_content_alone(folder: Path) -> None:
    write_json(folder / "run.json", {"host": "somewhere"})
    (folder / ".snakemake_timestamp").touch()
    write_manifest(folder, {"kept": 1})
    assert read_json(folder / "manifest.json") == {
        "files": {
            "card.md": {"sha256": hashlib.sha256(b"card").hexdigest(), "bytes": 4},
            "records/00000.parquet": {"sha256": hashlib.sha256(b"rows").hexdigest(), "bytes": 4},
        },
        "counts": {"kept": 1},
    }


def test_whole_artifacts_open(folder: Path, single: Path) -> None:
    opened = open_artifact(folder / "manifest.json")
    assert opened.counts == {"kept": 1}
    assert opened.folder == folder
    assert opened.digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert open_artifact(single).digest == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda f: (f / "card.md").write_text("cart"), "does not have the content"),
        (lambda f: (f / "card.md").unlink(), "is missing though its manifest lists it"),
        (lambda f: (f / "records" / "00001.parquet").write_bytes(b"more"), "is not in the manifest"),
        (lambda f: (f / "records" / "manifest.json").write_text("{}"), "is not in the manifest"),
        (lambda f: (f / "manifest.json").write_text("[]"), "is not a manifest"),
        (lambda f: (f / "manifest.json").write_text('{"files": {"card.md"'), "is not a manifest"),
        (lambda f: (f / "manifest.json").write_text('{"files": {"card.md": 3}}'), "is not a manifest"),
        (lambda f: (f / "manifest.json").unlink(), "is missing"),
    ],
)
def test_damaged_folder_is_refused(folder: Path, damage, word: str) -> None:
    damage(folder)
    with pytest.raises(ArtifactError, match=word) as caught:
        open_artifact(folder / "manifest.json")
    assert "Remake it: delete" in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda p: p.write_text("{} "), "does not have the content"),
        (lambda p: p.with_name("ifeval.json.run").unlink(), "has no ifeval.json.run beside it"),
        (lambda p: p.with_name("ifeval.json.run").write_text("{"), "is not the record of a run"),
        (lambda p: p.with_name("ifeval.json.run").write_text("[]"), "is not the record of a run"),
        (lambda p: p.unlink(), "is missing"),
    ],
)
def test_damaged_file_is_refused(single: Path, damage, word: str) -> None:
    damage(single)
    with pytest.raises(ArtifactError, match=word):
        open_artifact(single)


def test_a_card_is_not_content(folder: Path) -> None:
    """People edit the card; below the root, a file of that name is content like any other."""
    before = open_artifact(folder / "manifest.json").digest
    (folder / "README.md").write_text("about this model")
    assert open_artifact(folder / "manifest.json").digest == before
    write_manifest(folder, {"kept": 1})
    assert open_artifact(folder / "manifest.json").digest == before
    (folder / "records" / "README.md").write_text("about these records")
    with pytest.raises(ArtifactError, match="is not in the manifest"):
        open_artifact(folder / "manifest.json")


def test_every_problem_is_named(folder: Path) -> None:
    (folder / "card.md").write_text("cart")
    (folder / "records" / "00000.parquet").unlink()
    assert len(check(folder / "manifest.json")) == 2


def test_replaced_folder_holds_only_the_new_content(tmp_path: Path, folder: Path) -> None:
    partial = tmp_path / ".pool.partial-1"
    partial.mkdir()
    (partial / "new").write_text("new")
    replace_folder(partial, folder)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert not partial.exists()


def test_manifest_goes_first_when_a_folder_is_replaced(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill during the removal of the old folder must not leave its manifest over half of its files."""

    def killed(path: Path, ignore_errors: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.common.artifacts.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "partial", folder)
    assert check(folder / "manifest.json") == [f"{folder / 'manifest.json'} is missing"]


def test_write_json_failing_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"value": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert read_json(tmp_path / "a.json") == {"value": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_canonical_json_has_one_spelling(value: dict) -> None:
    shuffled = dict(reversed(list(value.items())))
    assert canonical_json(shuffled) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_by_hand() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é", "c": {"y": 1, "x": True}}) == (
        '{"a":"é","b":[1,2.5,null],"c":{"x":true,"y":1}}'
    )


@pytest.mark.parametrize("value", [{"a": float("inf")}, {"a": float("nan")}, {"a": Path("x")}, {"a": {1, 2}}])
def test_canonical_json_refuses_values_without_a_unique_spelling(value: dict) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


def test_swapped_values_have_another_digest() -> None:
    """Snakemake compares parameters as a set of values; the recipe must tell these two apart."""
    assert digest_json({"lr": 1, "wd": 2}) != digest_json({"lr": 2, "wd": 1})
    assert digest_json({"lr": 1, "wd": 2}) == digest_json({"wd": 2, "lr": 1})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A small project to fingerprint; `fresh(module)` forgets what was read before."""
    files = {
        "scripts/__init__.py": "",
        "scripts/train/__init__.py": "",
        "scripts/train/sft.py": "import os\nfrom scripts.common import helper\nfrom .loss import masked\n",
        "scripts/train/loss.py": "def masked(): ...\n",
        "scripts/train/grpo.py": "import scripts.train.loss\n",
        "scripts/common/__init__.py": "",
        "scripts/common/helper.py": "VALUE = 1\n",
        "scripts/page/__init__.py": "",
        "scripts/page/__main__.py": "import scripts.train.loss, scripts.common.retries\nPAGE = 'page.html'\n",
        "scripts/page/data/page.html": "<p>{% include 'style.css' %}",
        "scripts/page/data/style.css": "p {}",
        "scripts/page/data/unnamed.txt": "",
        "scripts/page/data/README.md": "page.html",
        "scripts/common/retries.py": "import scripts.unused\n",
        "scripts/unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)

    def fresh(module: str) -> str:
        fingerprints.forget()
        return fingerprints.fingerprint(module)

    yield tmp_path, fresh
    monkeypatch.undo()
    fresh("scripts.common.step")


@pytest.mark.parametrize(
    ("module", "changed", "seen"),
    [
        ("scripts.train.sft", "scripts/train/sft.py", True),
        ("scripts.train.sft", "scripts/common/helper.py", True),
        ("scripts.train.sft", "scripts/train/loss.py", True),
        ("scripts.train.sft", "scripts/train/__init__.py", True),
        ("scripts.train.sft", "scripts/train/grpo.py", False),
        ("scripts.train.sft", "scripts/unused.py", False),
        ("scripts.train.grpo", "scripts/train/loss.py", True),
        ("scripts.train.grpo", "scripts/common/helper.py", False),
        ("scripts.page", "scripts/page/__main__.py", True),
        ("scripts.page", "scripts/page/data/page.html", True),
        ("scripts.page", "scripts/page/data/style.css", True),
        ("scripts.page", "scripts/page/data/unnamed.txt", False),
        ("scripts.page", "scripts/page/data/README.md", False),
        ("scripts.page", "scripts/train/loss.py", True),
        ("scripts.page", "scripts/common/retries.py", False),
        ("scripts.page", "scripts/unused.py", False),
        ("scripts.train.sft", "scripts/page/data/page.html", False),
    ],
)
def test_fingerprint_follows_exactly_the_imports(project, module: str, changed: str, seen: bool) -> None:
    root, fresh = project
    before = fresh(module)
    (root / changed).write_text((root / changed).read_text() + "# edited\n")
    assert (fresh(module) != before) is seen


@pytest.mark.parametrize(
    "place",
    [
        "def late():\n    import scripts.unused\n",
        "class Late:\n    async def load(self):\n        from scripts import unused\n",
        "try:\n    pass\nexcept ImportError:\n    import scripts.unused\n",
        "try:\n    pass\nfinally:\n    import scripts.unused\n",
        "if False:\n    pass\nelif True:\n    import scripts.unused\n",
        "for _ in ():\n    pass\nelse:\n    import scripts.unused\n",
        "with open('x'):\n    while True:\n        import scripts.unused\n",
        "match 1:\n    case 1:\n        import scripts.unused\n",
    ],
)
def test_an_import_anywhere_in_a_module_counts(project, place: str) -> None:
    root, fresh = project
    (root / "scripts/common/helper.py").write_text(place)
    before = fresh("scripts.train.sft")
    (root / "scripts/unused.py").write_text("# edited\n")
    assert fresh("scripts.train.sft") != before


def test_fingerprint_is_of_content_not_time(project) -> None:
    """An edit that keeps the old time stamp is seen, a touched file is not a change (rsync -t, git checkout)."""
    root, fresh = project
    helper = root / "scripts/common/helper.py"
    before, stat = fresh("scripts.train.sft"), helper.stat()
    os.utime(helper, (stat.st_atime + 1000, stat.st_mtime + 1000))
    assert fresh("scripts.train.sft") == before
    helper.write_text("VALUE = 2\n")
    os.utime(helper, (stat.st_atime, stat.st_mtime))
    assert fresh("scripts.train.sft") != before
    helper.write_text("VALUE = 1\n")
    assert fresh("scripts.train.sft") == before


def test_the_digests_of_a_closures_files_make_its_fingerprint(project) -> None:
    _, fresh = project
    before = fresh("scripts.train.sft")
    digests = fingerprints.file_digests("scripts.train.sft")
    assert sorted(digests) == [
        path.relative_to(project[0]).as_posix() for path in fingerprints.closure("scripts.train.sft")
    ]
    assert fingerprints.digest_of(digests) == before
    assert fingerprints.digest_of(digests | {"scripts/train/loss.py": "0" * 64}) != before


def test_unknown_module_is_an_error(project) -> None:
    with pytest.raises(FileNotFoundError, match=r"no module scripts\.train\.stf"):
        project[1]("scripts.train.stf")
