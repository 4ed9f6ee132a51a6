"""Checkpoints of the hub: pinned, from the cache or a mirror, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scripts.train.hub import HubError, check
from scripts.train.settings.hub import HubModel

REVISION = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "nano/base"
ROOT = Path(__file__).resolve().parents[2]


class Mirror(BaseHTTPRequestHandler):
    """As much of the hub's interface as serves one repository out of a folder at one revision."""

    def __init__(self, *args: Any, folder: Path, requests: list[str]) -> None:
        self.folder, self.requests = folder, requests
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.requests.append(path)
        api, file = f"/api/models/{REPOSITORY}/", f"/{REPOSITORY}/resolve/{REVISION}/"
        if path.startswith(f"{api}revision/{REVISION}"):
            names = sorted(entry.name for entry in self.folder.iterdir())
            listed = [{"rfilename": name} for name in names]
            self._send(json.dumps({"id": REPOSITORY, "sha": REVISION, "siblings": listed}).encode(), body)
        elif path.startswith(f"{api}tree/{REVISION}"):
            tree = [
                {"type": "file", "path": entry.name, "size": entry.stat().st_size, "oid": "0" * 40}
                for entry in sorted(self.folder.iterdir())
            ]
            self._send(json.dumps(tree).encode(), body)
        elif path.startswith(file) and (self.folder / path.removeprefix(file)).is_file():
            self._send((self.folder / path.removeprefix(file)).read_bytes(), body)
        else:
            self.send_error(404)

    def _send(self, content: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Be quiet."""


@pytest.fixture
def mirror(lab: types.SimpleNamespace, tmp_path: Path) -> Iterator[types.SimpleNamespace]:
    """A server with the nano base beside things that are no part of a checkpoint."""
    folder = tmp_path / "repository"
    shutil.copytree(lab.base.parent, folder, ignore=shutil.ignore_patterns("manifest.json", "log.jsonl"))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("words")
    requests: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, folder=folder, requests=requests)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield types.SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", folder=folder, requests=requests)
        server.shutdown()


def brought(out: Path, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The step run by its command."""
    settings = {"kind": "hub", "repository": REPOSITORY, "revision": REVISION, "thinking": False}
    return subprocess.run(
        [
            *(sys.executable, "-m", "scripts.train.hub", "--out", str(out / "manifest.json")),
            *("--recipe", json.dumps({"settings": settings, "seed": 1})),
        ],
        cwd=out.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_from_a_mirror_and_then_from_the_cache(
    mirror: types.SimpleNamespace, lab: types.SimpleNamespace, tmp_path: Path
) -> None:
    done = brought(tmp_path / "first", tmp_path / "cache", HF_ENDPOINT=mirror.url, HF_HUB_OFFLINE="0")
    assert done.returncode == 0, done.stderr
    files = json.loads((tmp_path / "first" / "manifest.json").read_text())["files"]
    assert set(files) == {
        *("chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    weights = (tmp_path / "first" / "model.safetensors").read_bytes()
    assert weights == (lab.base.parent / "model.safetensors").read_bytes()
    before = len(mirror.requests)
    again = brought(tmp_path / "second", tmp_path / "cache", HF_ENDPOINT=mirror.url, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert len(mirror.requests) == before, "offline nothing is requested"
    assert (tmp_path / "second" / "manifest.json").read_bytes() == (tmp_path / "first" / "manifest.json").read_bytes()


def test_neither_cache_nor_network(tmp_path: Path) -> None:
    done = brought(tmp_path / "model", tmp_path / "cache", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert f"{REPOSITORY} at {REVISION} is not in the cache and could not be downloaded" in done.stderr
    assert f"hf download {REPOSITORY} --revision {REVISION}" in done.stderr
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_with_a_shard_missing_is_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(lab.base.parent, tmp_path / "model")
    check(tmp_path / "model", "model")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model" / "model-00001-of-00002.safetensors").touch()
    with pytest.raises(HubError, match=r"not a whole checkpoint: model-00002-of-00002\.safetensors missing"):
        check(tmp_path / "model", "model")


def test_a_branch_is_no_revision() -> None:
    with pytest.raises(ValidationError, match="revision"):
        HubModel(kind="hub", repository="a/b", revision="main")
