"""An image is refused if its lock or its definition has changed since it was built."""

from __future__ import annotations

import hashlib
import platform

import pytest

from scripts.common.artifacts import run_path, write_json
from scripts.containers import images
from scripts.containers.build import LAST_LINES, BuildError, ImageSettings, build_arguments, run_logged

LOCK = "numpy==2.4.0\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one environment, whose image was built from its current lock and definition."""
    monkeypatch.setattr(images, "ROOT", tmp_path)
    for name, content in {
        "envs/small.txt": LOCK,
        "containers/small.def": "From: x\n",
        "containers/install.sh": "#\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    image = images.image_file("small")
    image.write_bytes(b"SIF")
    write_json(run_path(image), {"recipe": {"environment": images.identity("small", contained=True)}})
    return tmp_path


def test_identity_is_the_lock_alone_outside_of_images(project):
    digest = hashlib.sha256(LOCK.encode()).hexdigest()[:16]
    assert images.identity("small", contained=False) == {"small.txt": digest, "python": platform.python_version()}


def test_identity_of_an_image_has_its_definition_too(project):
    assert set(images.identity("small", contained=True)) == {"small.txt", "small.def", "install.sh"}


def test_an_image_of_its_lock_has_no_problem(project):
    assert images.problem("small") is None


@pytest.mark.parametrize("file", ["envs/small.txt", "containers/small.def", "containers/install.sh"])
def test_an_image_of_another_lock_or_definition_is_refused(project, file):
    (project / file).write_text("changed\n")
    assert f"built from another {file.split('/')[1]}: rebuild it with `{images.BUILD}`" in images.problem("small")


@pytest.mark.parametrize("file", ["containers/small.sif", "containers/small.sif.run"])
def test_a_missing_image_is_named_with_the_command_that_builds_it(project, file):
    (project / file).unlink()
    assert images.problem("small").endswith(f"small.sif is missing: build it with `{images.BUILD}`")


def test_an_environment_without_lock_is_an_error(project):
    with pytest.raises(FileNotFoundError, match=r"envs/other\.txt"):
        images.identity("other", contained=True)


def test_a_base_of_the_site_replaces_the_pinned_one(tmp_path):
    arguments = build_arguments(ImageSettings(environment="cpu", base=str(tmp_path)))
    assert (arguments["BOOTSTRAP"], arguments["BASE"]) == ("localimage", str(tmp_path))


def test_the_pinned_base_is_the_definitions_own():
    assert set(build_arguments(ImageSettings(environment="cpu", base=None))) == {"LOCK", "COMMIT"}


def test_a_base_that_does_not_exist_is_named():
    with pytest.raises(BuildError, match="image_base: /nowhere does not exist"):
        build_arguments(ImageSettings(environment="cpu", base="/nowhere"))


@pytest.mark.parametrize("environment", ["cpu", "data", "train", "serve"])
def test_definitions_differ_in_what_they_must_alone(environment):
    """Each installs exactly its own lock on the one pinned base; the shared rest is in install.sh."""
    text = images.definition_file(environment).read_text()
    assert f"envs/{environment}.txt /opt/env.txt" in text
    pinned = [line for line in text.splitlines() if "sha256:" in line]
    reference = [line for line in images.definition_file("cpu").read_text().splitlines() if "sha256:" in line]
    assert len(pinned) == 1 and pinned == reference


def test_a_failed_command_is_quoted_by_its_last_lines(capfd: pytest.CaptureFixture[str]) -> None:
    """A retry shows the error of the attempt before, whose log is gone: so the error must hold the reason."""
    with pytest.raises(BuildError) as error:
        run_logged(["bash", "-c", "seq 100; echo no capability >&2; exit 3"])
    said = str(error.value).splitlines()
    assert said[0] == "bash -c seq 100; echo no capability >&2; exit 3 ... ended with 3:"
    assert said[1:] == [*map(str, range(102 - LAST_LINES, 101)), "no capability"]
    assert capfd.readouterr().out.splitlines() == [*map(str, range(1, 101)), "no capability"]
