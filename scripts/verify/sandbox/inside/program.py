"""The untrusted process: runs the response's program, and calls its functions when the tests' process asks.

Nothing here is relied upon: the program can change all of it. It holds no test and no expected value, and whatever it
answers is taken for the value that the program computed.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import functools
import gc
import io
import itertools
import os
import random
import site
import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from . import wire

MODULE = "solution"  # in tests, the program is a module: `if __name__ == "__main__"` is not run
FILE = "/tmp/program.py"


def serve(connection: socket.socket, most_bytes: int, isolated: bool) -> None:
    """Answer the tests' process until it is done."""
    wire.handle_types.update(function=Callback, iterator=Iterator)

    def answer(endpoint: wire.Endpoint, message: Any) -> Any:
        return _answer(endpoint, message, isolated)

    try:
        wire.Endpoint(connection, most_bytes, answer, is_program=True).serve()
    except wire.PeerGone:
        os._exit(0)


class Callback(wire.Handle):
    """A function of the tests that the program received as an argument."""

    def __call__(self, *arguments: Any) -> Any:
        return _ask(self, "call", arguments)


class Iterator(wire.Handle):
    """An iterator of the tests that the program received as an argument; it is read one element at a time."""

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        return _ask(self, "next", ())


def _ask(handle: Any, action: str, arguments: tuple[Any, ...]) -> Any:
    endpoint: wire.Endpoint = handle._endpoint
    reply = endpoint.request([action, handle._number, [endpoint.encode(each) for each in arguments]])
    if reply[0] == "error":
        raise endpoint.decode(reply[1])
    return endpoint.decode(reply[1])


def _answer(endpoint: wire.Endpoint, message: Any, isolated: bool) -> Any:
    name, *arguments = message
    try:
        if name == "load":
            return ["value", *_load(endpoint, isolated, *arguments)]
        return ["value", *_REQUESTS[name](endpoint, *arguments)]
    except wire.PeerGone:
        raise
    except BaseException as error:  # SystemExit too: a program that exits must not hide the reason
        return ["error", endpoint.encode(error)]


def _load(endpoint: wire.Endpoint, isolated: bool, setup: str, source: str) -> list[Any]:
    module = _new_module(MODULE, source, isolated)
    _execute(setup, "<setup>", module)
    names = set(classes_of(vars(module)))
    _execute(source, FILE, module)  # the program may define a class of the setup again
    endpoint.shared = {name: each for name, each in classes_of(vars(module)).items() if name in names}
    return [None]


def _new_module(name: str, source: str, isolated: bool) -> types.ModuleType:
    """The module that the program runs in, with everything that `python program.py` would have prepared for it.

    The program's file exists only if /tmp is private to the sandbox.
    """
    random.seed(0)
    site.setcopyright()  # copyright, credits, license
    site.sethelper()
    module = types.ModuleType(name)
    vars(module).update(__builtins__=builtins, __file__=FILE)
    sys.modules[name] = sys.modules["__main__"] = module
    sys.argv = [FILE]
    if isolated:
        os.chdir(os.path.dirname(FILE))  # the one folder where a program may write
        with open(FILE, "w", errors="replace") as file:
            file.write(source)
    return module


def _execute(text: str, file: str, module: types.ModuleType) -> None:
    exec(compile(text, file, "exec", dont_inherit=True), vars(module))


def classes_of(namespace: dict[str, Any]) -> dict[str, type]:
    """The plain classes that a module's namespace defines, by name."""
    return {
        name: each
        for name, each in namespace.items()
        if isinstance(each, type) and each.__module__ == namespace["__name__"] and each.__dictoffset__ != 0
    }


def _lookup(endpoint: wire.Endpoint, names: list[str]) -> list[Any]:
    namespace = vars(sys.modules[MODULE])
    return [{name: endpoint.encode(namespace[name]) for name in names if name in namespace}]


def _call(endpoint: wire.Endpoint, number: int, positional: Any, named: Any) -> list[Any]:
    """The result, and the arguments as the call left them (tests may look at a list sorted in place)."""
    arguments = [endpoint.decode(each) for each in positional]
    keywords = {name: endpoint.decode(each) for name, each in named.items()}
    result = endpoint.encode(endpoint.exported(number)(*arguments, **keywords))
    return [result, [endpoint.encode(each) for each in arguments]]


def _attribute(endpoint: wire.Endpoint, number: int, name: str) -> list[Any]:
    return [endpoint.encode(getattr(endpoint.exported(number), name))]


def _set_attribute(endpoint: wire.Endpoint, number: int, name: str, value: Any) -> list[Any]:
    setattr(endpoint.exported(number), name, endpoint.decode(value))
    return [None]


def _special(endpoint: wire.Endpoint, number: int, name: str, arguments: Any) -> list[Any]:
    decoded = [endpoint.decode(each) for each in arguments]
    return [endpoint.encode(_SPECIALS[name](endpoint.exported(number), *decoded))]


def _advance(endpoint: wire.Endpoint, number: int, count: int) -> list[Any]:
    """The next elements of an iterator, `count` at most; fewer mean that it ended."""
    return [[endpoint.encode(each) for each in itertools.islice(endpoint.exported(number), count)]]


def _await(endpoint: wire.Endpoint, number: int) -> list[Any]:
    """The result of a coroutine, future or other awaitable object."""
    awaitable = endpoint.exported(number)

    async def result() -> Any:
        return await awaitable

    return [endpoint.encode(_event_loop().run_until_complete(result()))]


@functools.cache
def _event_loop() -> Any:
    """The one event loop of all that the tests await: locks, queues and tasks of one call are used in the next."""
    import asyncio

    return asyncio.new_event_loop()


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
    "__aiter__": lambda value: value.__aiter__(),
    "__anext__": lambda value: value.__anext__(),
    "__aenter__": lambda value: value.__aenter__(),
    "__aexit__": lambda value: value.__aexit__(None, None, None),
}
_REQUESTS: dict[str, Callable[..., list[Any]]] = {
    "lookup": _lookup,
    "call": _call,
    "attribute": _attribute,
    "set_attribute": _set_attribute,
    "special": _special,
    "advance": _advance,
    "await": _await,
}


def run_as_main(setup: str, source: str, problem: int, isolated: bool) -> NoReturn:
    """Run a whole program on the standard input and output, and end the process, as `python program.py` would.

    The standard streams are the interpreter's own: closing them leaves their descriptors open, so the program may bind
    `sys.stdin` and `sys.stdout` anew. A failure is written in words to the descriptor `problem`.
    """
    module = _new_module("__main__", source, isolated)
    sys.stdin.reconfigure(newline=None)  # type: ignore[union-attr]  # test inputs may have the line ends of Windows
    if isolated:
        _name_the_standard_streams()
    code = 1
    try:
        _execute(setup, "<setup>", module)
        _execute(source, FILE, module)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1:]
        os.write(problem, "".join(text)[:300].encode(errors="replace"))
    try:
        _finalize(vars(module))
    finally:
        os._exit(code & 255)


def _finalize(namespace: dict[str, Any]) -> None:
    """What the interpreter's own end does, without the milliseconds that it takes to free every module.

    Threads are joined, exit functions run, the program's objects are freed, which closes the files it left open, and
    the standard output is flushed, also the first one if the program has put another in its place.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    for name in sorted(namespace, key=lambda name: not str(name).startswith("_")):
        if name != "__builtins__":
            namespace[name] = None  # one by one: a finalizer may still need what was defined after its object
    gc.collect()
    _flush()
    ctypes.CDLL(None).fflush(None)  # what the program printed through C's own streams


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(Exception):  # it may be closed, None, or an object that only has `write`
            stream.flush()  # type: ignore[union-attr]


_STANDARD_STREAMS = {
    f"{folder}/{name}": number
    for number, stream in enumerate(("stdin", "stdout", "stderr"))
    for folder, name in (("/dev", stream), ("/dev/fd", number), ("/proc/self/fd", number))
}


def _name_the_standard_streams() -> None:
    """Let `open` find /dev/stdin and the like, which are links into /proc: the sandbox has none."""
    opened = functools.partial(_open, io.open)  # like the built-in function, and unlike a method, it binds no object
    functools.update_wrapper(opened, io.open)
    builtins.open = io.open = opened


def _open(original: Callable[..., Any], file: Any, *arguments: Any, **keywords: Any) -> Any:
    path = os.fspath(file) if isinstance(file, str | os.PathLike) else None
    number = _STANDARD_STREAMS.get(path) if isinstance(path, str) else None
    return original(file if number is None else os.dup(number), *arguments, **keywords)
