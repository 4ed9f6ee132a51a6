"""Pinning: only the placeholder changes, and commits come from the hub's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow.pin import PinError, pin

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SCALE = """# a comment
sources:
  a:  # why a
    kind: hub
    dataset: some/a
    revision: unpinned   # to be pinned
  b: {kind: hub, dataset: some/b, revision: "1111111111111111111111111111111111111111"}
  c: {kind: hub, dataset: some/c, revision: 'unpinned', split: train}
notes: unpinned
"""


def test_only_the_placeholders_of_sources_change() -> None:
    commits = {"some/a": COMMIT, "some/c": COMMIT[::-1]}
    text, pinned = pin(SCALE, commits.__getitem__)
    assert pinned == {"a": COMMIT, "c": COMMIT[::-1]}
    expected = SCALE.replace("revision: unpinned ", f"revision: {COMMIT} ").replace("'unpinned'", COMMIT[::-1])
    assert text == expected


@pytest.mark.parametrize("answer", ["", "main", COMMIT[:39]])
def test_an_answer_that_is_not_a_commit_is_refused(answer: str) -> None:
    with pytest.raises(PinError, match=r"sources\.a: the hub gave"):
        pin(SCALE, lambda dataset: answer)


def test_a_placeholder_without_its_data_set_is_refused() -> None:
    with pytest.raises(PinError, match=r"sources\.a: .* no `dataset:`"):
        pin("sources:\n  a: {revision: unpinned}\n", lambda dataset: COMMIT)


class Hub(BaseHTTPRequestHandler):
    """Answers requests about a data set as the hub does."""

    def do_GET(self) -> None:
        known = self.path.startswith("/api/datasets/some/a")
        body = json.dumps({"id": "some/a", "sha": COMMIT, "tags": [], "siblings": []} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """No lines between the tests'."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(endpoint: str, dataset: str) -> subprocess.CompletedProcess[str]:
    code = f"from scripts.workflow.pin import hub_commit; print(hub_commit({dataset!r}))"
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_commit_comes_from_the_hub(hub: str) -> None:
    process = ask(hub, "some/a")
    assert process.stdout.strip() == COMMIT, process.stderr


def test_an_unknown_data_set_is_an_error_that_names_it(hub: str) -> None:
    process = ask(hub, "some/unknown")
    assert process.returncode and "PinError: some/unknown" in process.stderr
