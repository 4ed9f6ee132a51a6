"""The untrusted process: runs the response's program, and calls its functions when the tests' process asks.

Nothing here is relied upon: the program can change all of it. It holds no test and no expected value, and whatever it
answers is taken for the value that the program computed.
"""

from __future__ import annotations

import atexit
import itertools
import os
import random
import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any

from . import wire

MODULE = "solution"  # `if __name__ == "__main__"` is not the tests' business


def serve(connection: socket.socket, most_bytes: int) -> None:
    """Answer the tests' process until it is done."""
    random.seed(0)
    wire.handle_types[True] = Callback
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    endpoint = wire.Endpoint(connection, most_bytes, lambda endpoint, message: _answer(endpoint, message, module), True)
    try:
        endpoint.serve()
    except wire.PeerGone:
        os._exit(0)


class Callback(wire.Handle):
    """A function of the tests that the program was given as an argument."""

    def __call__(self, *arguments: Any) -> Any:
        endpoint: wire.Endpoint = self._endpoint  # type: ignore[attr-defined]
        reply = endpoint.request(["call", self._number, [endpoint.encode(each) for each in arguments]])  # type: ignore[attr-defined]
        if reply[0] == "error":
            raise endpoint.decode_error(reply[1])
        return endpoint.decode(reply[1])


def _answer(endpoint: wire.Endpoint, message: Any, module: types.ModuleType) -> Any:
    name, *arguments = message
    try:
        return ["value", *_REQUESTS[name](endpoint, module, *arguments)]
    except wire.PeerGone:
        raise
    except BaseException as error:  # SystemExit too: a program that exits must not take the reason along
        return ["error", endpoint.encode_error(error)]


def _load(endpoint: wire.Endpoint, module: types.ModuleType, setup: str, source: str) -> list[Any]:
    exec(compile(setup, "<setup>", "exec"), module.__dict__)
    names = set(classes_of(module.__dict__))
    exec(compile(source, "<program>", "exec"), module.__dict__)  # it may well repeat a class of the setup
    endpoint.shared = {name: each for name, each in classes_of(module.__dict__).items() if name in names}
    return [None]


def classes_of(namespace: dict[str, Any]) -> dict[str, type]:
    """The plain classes that a module's namespace defines, by name."""
    return {
        name: each
        for name, each in namespace.items()
        if isinstance(each, type)
        and each.__module__ == namespace["__name__"]
        and each.__dictoffset__ != 0
        and not issubclass(each, BaseException)
    }


def _lookup(endpoint: wire.Endpoint, module: types.ModuleType, names: list[str]) -> list[Any]:
    return [{name: endpoint.encode(vars(module)[name]) for name in names if name in vars(module)}]


def _call(endpoint: wire.Endpoint, module: types.ModuleType, number: int, positional: Any, named: Any) -> list[Any]:
    """The result, and the arguments as the call left them (tests may look at a list sorted in place)."""
    arguments = [endpoint.decode(each) for each in positional]
    keywords = {name: endpoint.decode(each) for name, each in named.items()}
    result = endpoint.encode(endpoint.exported(number)(*arguments, **keywords))
    return [result, [endpoint.encode(each) for each in arguments]]


def _attribute(endpoint: wire.Endpoint, module: types.ModuleType, number: int, name: str) -> list[Any]:
    return [endpoint.encode(getattr(endpoint.exported(number), name))]


def _set_attribute(endpoint: wire.Endpoint, module: types.ModuleType, number: int, name: str, value: Any) -> list[Any]:
    setattr(endpoint.exported(number), name, endpoint.decode(value))
    return [None]


def _special(endpoint: wire.Endpoint, module: types.ModuleType, number: int, name: str, arguments: Any) -> list[Any]:
    decoded = [endpoint.decode(each) for each in arguments]
    return [endpoint.encode(_SPECIALS[name](endpoint.exported(number), *decoded))]


def _advance(endpoint: wire.Endpoint, module: types.ModuleType, number: int, count: int) -> list[Any]:
    """The next elements of an iterator, `count` at most; fewer mean that it ended."""
    return [[endpoint.encode(each) for each in itertools.islice(endpoint.exported(number), count)]]


_SPECIALS: dict[str, Callable[..., Any]] = {
    "__iter__": iter,
    "__len__": len,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
    "__int__": int,
    "__float__": float,
    "__getitem__": lambda value, key: value[key],
    "__setitem__": lambda value, key, item: value.__setitem__(key, item),
    "__delitem__": lambda value, key: value.__delitem__(key),
    "__enter__": lambda value: value.__enter__(),
    "__exit__": lambda value: value.__exit__(None, None, None),
}
_REQUESTS: dict[str, Callable[..., list[Any]]] = {
    "load": _load,
    "lookup": _lookup,
    "call": _call,
    "attribute": _attribute,
    "set_attribute": _set_attribute,
    "special": _special,
    "advance": _advance,
}


def run_as_main(source: str, problem: int) -> None:
    """Run a whole program on the standard input and output, as `python program.py` would, and end the process.

    What went wrong is written in words to the descriptor `problem`.
    """
    random.seed(0)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 (the process's own)
    sys.argv = ["program.py"]
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    code = 1
    try:
        exec(compile(source, "<program>", "exec"), module.__dict__)
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter's own end would do
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1:]
        os.write(problem, "".join(text)[:300].encode(errors="replace"))
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    finally:
        os._exit(code & 255)
