"""The server engine when servers fail, on an HTTP server that fails as a test scripts it.

test_vllm.py tests vLLM's own answers. Here all answers are scripted, so that status 500, dropped connections, broken
JSON and deaths happen when a test needs them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scripts.common.artifacts import open_artifact
from scripts.common.settings import Engine, Sampling
from scripts.generation import serving as serving_module
from scripts.generation.engine import load
from scripts.generation.fleet import Fleet
from scripts.generation.prompts import GenerationError, Prompt, chat_tokenizer, sample_seed, stop_ids
from scripts.generation.server_engine import ServerEngine
from scripts.generation.servers import (
    OwnServer,
    Server,
    ServerFault,
    free_port,
    group_size,
    serve_command,
    spawn,
)
from scripts.generation.serving import Serving, from_environment
from scripts.generation.shards import Request, generate
from tests.common.nano import save_model

HOT = Sampling(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5, max_tokens=8)
ENGINE = Engine(kind="vllm-server", dtype="float32", batch_size=8, shard_size=2)
WORDS = [20, 30, 40]
"""Token ids that the scripted server generates."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("nano") / "model").parent


class Script:
    """A scripted server's reaction to its requests: the entries of `plan` in order, then answers."""

    def __init__(self, root: Path, plan: list[Callable[[Any], None]] | None = None) -> None:
        self.root, self.plan, self.bodies = root, list(plan or []), list[dict]()
        self.lock = threading.Lock()

    def answer(self, request: Any) -> None:
        body = json.loads(request.rfile.read(int(request.headers["content-length"])))
        with self.lock:
            self.bodies.append(body)
            fail = self.plan.pop(0) if self.plan else None
        if fail:
            fail(request)
        else:
            reply(request, 200, {"choices": choices(body["n"])})


def choices(count: int) -> list[dict]:
    """Samples in reversed order, which a server may choose: sample i is WORDS followed by i + 1."""
    return [{"index": index, "token_ids": [*WORDS, index + 1]} for index in reversed(range(count))]


def reply(request: Any, status: int, body: Any) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request.send_response(status)
    request.send_header("content-length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def error(status: int, text: str = "boom") -> Callable[[Any], None]:
    return lambda request: reply(request, status, text)


def drop(request: Any) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


def say(body: Any) -> Callable[[Any], None]:
    return lambda request: reply(request, 200, body)


@contextmanager
def serve(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served = {"id": "nano", "root": str(script.root), "max_model_len": 96}
            reply(self, 200, {"data": [served]} if self.path == "/v1/models" else "")

        def do_POST(self) -> None:
            script.answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def engine(folder: Path, *urls: str, **policy: Any) -> ServerEngine:
    serving = {"urls": {folder.name: urls}, "wait_seconds": 0.01, "retries": 3, **policy}
    return ServerEngine(folder, ENGINE, 1, Serving(**serving))


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"id-{place}", (5, 6, 7 + place)) for place in range(count)]


# --- Requests and answers -------------------------------------------------------------------------------------------


def test_a_request_states_everything_and_samples_keep_their_order(model: Path) -> None:
    script = Script(model)
    with serve(script) as url:
        found = engine(model, url).complete(prompts(2), HOT, samples=3, seed=7)
    own = engine_texts(model, 3)
    assert [[item.text for item in one] for one in found] == [own, own]
    assert {item.finish_reason for one in found for item in one} == {"length"}
    assert len({item["seed"] for item in script.bodies}) == 2, "each prompt has a seed of its own"
    body = next(item for item in script.bodies if item["prompt"] == [5, 6, 7])
    assert body == {
        "model": "nano",
        "return_token_ids": True,
        "prompt": [5, 6, 7],
        "n": 3,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "presence_penalty": 1.5,
        "max_tokens": 8,
        "stop_token_ids": sorted(stop_ids(model, chat_tokenizer(model))),
        "skip_special_tokens": False,
        "seed": sample_seed(7, "id-0", 0),
    }


def engine_texts(model: Path, samples: int) -> list[str]:
    tokenizer = chat_tokenizer(model)
    return [tokenizer.decode([*WORDS, index + 1], skip_special_tokens=False) for index in range(samples)]


@pytest.mark.parametrize(
    "fault",
    [
        error(500),
        error(503),
        error(429),
        drop,
        say("{not json"),
        say({"choices": [{"index": 0, "text": "no ids"}]}),
        say({"choices": choices(1)}),
        say({"error": "x"}),
        say([]),
    ],
    ids=["500", "503", "429", "dropped", "no-json", "no-ids", "too-few", "no-choices", "a-list"],
)
def test_a_fault_is_tried_again(model: Path, fault: Callable) -> None:
    script = Script(model, [fault, fault])
    with serve(script) as url:
        found = engine(model, url).complete(prompts(1), HOT, samples=2, seed=7)
    assert [item.text for item in found[0]] == engine_texts(model, 2)
    assert len(script.bodies) == 3 and len({json.dumps(body) for body in script.bodies}) == 1


def test_a_server_that_never_recovers_ends_the_job_and_names_what_to_change(model: Path) -> None:
    script = Script(model, [error(503, "overloaded")] * 100)
    with (
        serve(script) as url,
        pytest.raises(GenerationError, match=r"failed 4 times, at last: .* answers 503: overloaded.*serving.retries"),
    ):
        engine(model, url).complete(prompts(1), HOT, samples=1, seed=7)
    assert len(script.bodies) == 4


def test_a_refusal_is_not_tried_again(model: Path) -> None:
    script = Script(model, [error(400, "prompt is too long")] * 100)
    with serve(script) as url, pytest.raises(GenerationError, match=r"refuses the request \(400\): prompt is too long"):
        engine(model, url).complete(prompts(1), HOT, samples=1, seed=7)
    assert len(script.bodies) == 1


def test_a_request_that_is_not_answered_in_time_is_a_fault(model: Path) -> None:
    hang = threading.Event()
    script = Script(model, [lambda request: hang.wait(5)])
    with serve(script) as url:
        found = engine(model, url, request_minutes=0.005).complete(prompts(1), HOT, samples=1, seed=7)
        hang.set()
    assert len(found[0]) == 1 and len(script.bodies) == 2


# --- Several servers ------------------------------------------------------------------------------------------------


def test_the_other_server_takes_the_requests_of_a_dead_one(model: Path) -> None:
    dead, alive = Script(model), Script(model)
    with serve(alive) as url:
        with serve(dead) as gone:
            pair = engine(model, gone, url)
        found = pair.complete(prompts(12), HOT, samples=1, seed=7)
    assert all(item for item in found) and len(alive.bodies) == 12 and not dead.bodies


def test_a_request_goes_to_the_server_with_the_fewest(model: Path) -> None:
    servers = a, b, c = [Server(f"http://{name}", Serving()) for name in "abc"]
    fleet = Fleet(servers, Serving())
    with fleet.least_busy([]) as one, fleet.least_busy([]) as two, fleet.least_busy([]) as three:
        assert [one, two, three] == [a, b, c]
    with pytest.raises(ServerFault), fleet.least_busy([]):
        raise ServerFault("a fails")
    with fleet.least_busy([]) as one, fleet.least_busy([]) as two, fleet.least_busy([]) as three:
        assert [one, two, three] == [b, c, b], "who failed in the last minute is left in peace"
    with fleet.least_busy([b, c]) as other, fleet.least_busy([a, b, c, b]) as again:
        assert [other, again] == [a, c], "a request goes first where it did not fail"
    with fleet.least_busy([]) as cleared:
        assert cleared is a, "an answer clears the failure"


def test_the_error_is_the_request_that_ended_the_job_and_not_one_stopped_with_it() -> None:
    fleet = Fleet([Server("http://a", Serving())], Serving(wait_seconds=0.5, retries=3))
    waits = threading.Event()

    def fails(server: Server) -> None:
        waits.set()
        raise ServerFault("busy")

    def refused(server: Server) -> None:
        waits.wait()
        raise GenerationError("refused")

    with pytest.raises(GenerationError, match=r"^refused$"):
        fleet.ask([fails, refused], threads=2)


# --- Errors before anything is generated ----------------------------------------------------------------------------


def test_a_server_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    with (
        serve(Script(tmp_path / "other")) as url,
        pytest.raises(GenerationError, match=r"serves .*other, not .*model: start it with `vllm serve .*serving.urls"),
    ):
        engine(model, url)


def test_a_server_that_does_not_answer_is_an_error_with_the_command_that_starts_one(model: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(GenerationError, match=rf"no vLLM server answers at {url} .*`vllm serve .*serving.urls"):
        engine(model, url)


def test_without_vllm_and_without_servers_the_setting_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.generation.servers.find_spec", lambda name: None)
    with pytest.raises(GenerationError, match=r"has no vLLM to start: .*environments.serve.*serving.urls.model"):
        ServerEngine(model, ENGINE, 1, Serving())


@pytest.mark.parametrize("url", ["node7:8000", "http://node7:8000/", "ftp://node7"])
def test_malformed_urls_are_an_error(url: str) -> None:
    with pytest.raises(ValidationError, match="give each server as http://host:port"):
        Serving(urls={"teacher": (url,)})
    with pytest.raises(ValidationError, match="teacher has none"):
        Serving(urls={"teacher": ()})


def test_a_job_reads_its_servers_from_the_environment(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serving_module.VARIABLE, raising=False)
    assert from_environment() == Serving()
    script = Script(model)
    with serve(script) as url:
        monkeypatch.setenv(serving_module.VARIABLE, json.dumps({"urls": {model.name: [url]}}))
        found = load(model, ENGINE, seed=1)
        assert isinstance(found, ServerEngine) and found.context == 96
        assert [len(item) for item in found.complete(prompts(1), HOT, samples=2, seed=1)] == [2]


# --- Shards ---------------------------------------------------------------------------------------------------------


def test_a_job_that_gave_up_resumes_after_its_last_finished_shard(model: Path, tmp_path: Path) -> None:
    chats = [(f"id-{place}", [{"role": "user", "content": f"What is {place}?"}]) for place in range(6)]
    asked = Request(HOT, False, 2, 1, open_artifact(model / "manifest.json").digest, shard_size=2)
    script = Script(model)
    with serve(script) as url:
        whole = [*generate(engine(model, url), chats, asked, tmp_path / "whole")]
    failing = Script(model, [None, None, *[error(500)] * 100])
    with serve(failing) as url, pytest.raises(GenerationError, match="Finished work is kept"):
        [*generate(engine(model, url), chats, asked, tmp_path / "killed")]
    rest = Script(model)
    with serve(rest) as url:
        assert [*generate(engine(model, url), chats, asked, tmp_path / "killed")] == whole
    assert len(rest.bodies) == 4, "of six prompts, two were finished"


# --- Servers that a step starts -------------------------------------------------------------------------------------

PROGRAM = """
import http.server, json, os, sys
port, root, lives = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.say({"data": [{"id": "x", "root": root, "max_model_len": 96}]})
    def do_POST(self):
        global lives
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        lives -= 1
        if lives < 0: os._exit(9)
        self.say({"choices": [{"index": 0, "token_ids": [20]}]})
    def say(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.generation.servers.POLL_SECONDS", 0.05)


def own(folder: Path, program: str, lives: int = 3, **policy: Any) -> OwnServer:
    def start(port: int) -> subprocess.Popen[bytes]:
        return spawn([sys.executable, "-c", program, str(port), str(folder), str(lives)], os.environ)

    return OwnServer(folder, Serving(**{"wait_seconds": 0.01, "retries": 3, **policy}), start)


def fleet_of(server: OwnServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServerEngine:
    monkeypatch.setattr("scripts.generation.server_engine.open_servers", lambda *_: [server])
    return ServerEngine(folder, ENGINE, 1, server.serving)


def test_an_own_server_that_dies_is_started_again(model: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    server = own(model, PROGRAM, lives=3)  # dies at its fourth request
    server.wait()
    found = fleet_of(server, model, monkeypatch).complete(prompts(7), HOT, samples=1, seed=1)
    assert all(len(item) == 1 for item in found) and 1 <= server.deaths <= 2
    server.close()
    assert server.process.poll() is not None


def test_an_own_server_that_always_dies_ends_the_job(model: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    server = own(model, PROGRAM, lives=0, restarts=1)
    server.wait()
    with pytest.raises(GenerationError, match=r"ended with status 9, after 1 restarts: .*serving.restarts"):
        fleet_of(server, model, monkeypatch).complete(prompts(2), HOT, samples=1, seed=1)


def test_a_server_whose_port_is_taken_gets_another(model: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("scripts.generation.servers.free_port", lambda: next(ports))
        monkeypatch.setattr("scripts.generation.servers.HEALTH_SECONDS", 0.3)
        server = own(model, PROGRAM)
        server.wait()
    assert server.deaths == 1 and server.context == 96
    server.close()


def test_a_server_that_never_answers_ends_the_job(model: Path, quick: None) -> None:
    server = own(model, "import time; time.sleep(60)", start_minutes=0.005)
    with pytest.raises(GenerationError, match=r"did not answer within 0.005 minutes.*serving.start_minutes"):
        server.wait()
    assert server.process.poll() is not None, "it does not stay behind"


def ends(pid: str) -> bool:
    """Whether the process ends within five seconds; a zombie counts as ended."""
    process = Path("/proc") / pid
    for _ in range(100):
        if not process.exists() or "Z" in (process / "stat").read_text().split()[2]:
            return True
        threading.Event().wait(0.05)
    return False


def test_processes_of_a_killed_server_end_before_the_next_one_starts(model: Path, tmp_path: Path, quick: None) -> None:
    """Like vLLM's engine, which is a process of its own and holds the GPU's memory."""
    engine = (
        f"import subprocess; open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    )
    server = own(model, f"{engine}\n{PROGRAM}")
    server.wait()
    for end in (server.process.kill, server.close):
        left = (tmp_path / "pid").read_text()
        end()
        server.process.wait()
        if end != server.close:
            server.recover()
        assert ends(left)


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, time; from scripts.generation.servers import spawn\n"
        "print(spawn(['sleep', '60'], os.environ).pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = parent.stdout.readline().strip()
    assert (Path("/proc") / child).exists()
    parent.kill()
    parent.wait()
    assert ends(child), "the server outlived a killed step"


def test_a_server_outlives_the_thread_that_restarted_it() -> None:
    found: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: found.append(spawn(["sleep", "60"], os.environ)))
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        found[0].wait(timeout=0.5)
    found[0].kill()
    found[0].wait()


def test_gpus_of_a_replica() -> None:
    """80 GB GPUs, half of each for weights: 16 GB need one, 65 GB two, 131 GB four; what nothing holds takes all."""
    sizes = [group_size(weights, 80, 8) for weights in (16, 40, 65, 131, 320, 1000)]
    assert sizes == [1, 1, 2, 4, 8, 8]
    assert [group_size(65, 80, gpus) for gpus in (1, 3, 4)] == [1, 3, 2]


def test_the_command_that_starts_vllm() -> None:
    command = serve_command(Path("/models/m"), ENGINE, seed=2**32 + 5, gpus=2, port=8123)
    assert dict(zip(command[3:-1:2], command[4::2], strict=True)) == {
        "--model": "/models/m",
        "--host": "127.0.0.1",
        "--port": "8123",
        "--dtype": "float32",
        "--seed": "5",
        "--tensor-parallel-size": "2",
        "--max-num-seqs": "8",
        "--generation-config": "vllm",
    }
