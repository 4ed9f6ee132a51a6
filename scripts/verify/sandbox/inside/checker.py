"""The tests' process: runs the tests against stand-ins for the program's functions, and writes the verdict.

The tests' code runs here as written. The name of the program's function stands for a call into the program's process,
which returns data; so results are compared with the expected values where no code of the program ever runs.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from typing import Any

from . import errors, wire
from .program import classes_of

_AHEAD = 256  # elements of a program's iterator that are fetched at once


class Unverifiable(BaseException):
    """The test's outcome depends on code of the program that could lie."""


def verify(job: dict[str, Any], connection: socket.socket, most_bytes: int, result: int) -> None:
    """Run the job's tests and write {"correct", "reason", "gone"} as JSON to the descriptor `result`.

    `gone` is true if the program's process ended before the tests did.
    """
    random.seed(0)
    wire.handle_types.update(object=Object, iterator=Object, function=Function, coroutine=_coroutine)
    endpoint = wire.Endpoint(connection, most_bytes, _answer, is_program=False)
    try:
        correct, reason = _run(job, endpoint)
        gone = False
    except wire.PeerGone as error:
        correct, reason, gone = False, str(error), True
    except Unverifiable as error:
        correct, reason, gone = None, f"unverifiable test: {error}", False
    except (RecursionError, MemoryError) as error:
        correct, reason, gone = False, f"wrong: a value that the tests cannot hold ({type(error).__name__})", False
    except BaseException as error:
        by_program = hasattr(error, "raised_by_peer")
        correct, gone = False if by_program else None, False
        reason = f"{'program raised' if by_program else 'bad test:'} {_describe(error)}"
    os.write(result, json.dumps({"correct": correct, "reason": reason[:500], "gone": gone}).encode())


def _run(job: dict[str, Any], endpoint: wire.Endpoint) -> tuple[bool | None, str]:
    namespace: dict[str, Any] = {"__name__": "tests"}
    exec(compile(job["setup"], "<setup>", "exec"), namespace)
    endpoint.shared = classes_of(namespace)
    trees = [ast.parse(test) for test in job["tests"]]
    reply = endpoint.request(["load", job["setup"], job["source"]])
    if reply[0] == "error":
        return False, f"program raised {_describe(endpoint.decode(reply[1]))}"
    entry_point = job["entry_point"]
    namespace.pop(entry_point, None)
    own = set(namespace) | {name for tree in trees for name in _bound_names(tree)}
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    wanted = sorted(name for name in used if name == entry_point or not _is_known(name, own))
    for index, tree in enumerate(trees):
        namespace.update(_lookup(endpoint, wanted))
        failure = _run_one(tree, namespace, own, entry_point)
        if failure is not None:
            return failure[0], f"{failure[1]} (test {index + 1} of {len(trees)})"
    _lookup(endpoint, [""])  # a test's bare `except:` may have passed over the program's end
    if not _State.used:
        return None, "bad test: the tests never use the program (is a check() defined and not called?)"
    return True, f"passed {len(trees)} tests"


class _State:
    """Whether the tests have used anything of the program yet."""

    used = False


def _bound_names(tree: ast.Module) -> set[str]:
    """Names that the test itself assigns, imports, or defines at its top level."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def _is_known(name: str, own: set[str]) -> bool:
    """Whether a name is defined without the program; then the program cannot define it."""
    return name in own or hasattr(builtins, name) or name in sys.stdlib_module_names


def _lookup(endpoint: wire.Endpoint, names: list[str]) -> dict[str, Any]:
    if not names:
        return {}
    encoded = _value(endpoint, ["lookup", names])
    if not isinstance(encoded, dict):
        raise wire.PeerGone("a malformed reply")
    values = {name: endpoint.decode(each) for name, each in encoded.items() if name in names}
    if any(not isinstance(value, Function | errors.StandIn) for value in values.values()):
        _State.used = True  # a variable of the program
    return values


def _run_one(
    tree: ast.Module, namespace: dict[str, Any], own: set[str], entry_point: str
) -> tuple[bool | None, str] | None:
    """None if the test passes, else (verdict, reason). A module that it uses without an import is imported."""
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else ""
        if name in sys.stdlib_module_names and name != entry_point and name not in own and not hasattr(builtins, name):
            namespace[name] = importlib.import_module(name)
    try:
        exec(compile(tree, "<test>", "exec"), namespace)
    except AssertionError as error:
        return False, f"wrong: {_describe(error)}" if hasattr(error, "raised_by_peer") else "wrong: assertion failed"
    except NameError as error:
        missing = getattr(error, "name", None)
        if hasattr(error, "raised_by_peer"):
            return False, f"program raised {_describe(error)}"
        if entry_point and missing != entry_point:
            return None, f"bad test: it uses {missing}, which neither it nor the program defines"
        return False, f"wrong: the program does not define {missing}"
    except Exception as error:
        by_program = hasattr(error, "raised_by_peer")
        return False, f"{'program raised' if by_program else 'wrong: the test raised'} {_describe(error)}"
    return None


def _describe(error: BaseException) -> str:
    """The exception's class and text; of the program's, as it came: asking for its text would run the program."""
    if hasattr(error, "raised_by_peer"):
        return str(error.raised_by_peer)
    name = type(error).__name__
    return f"{name}: {error}"[:200] if str(error) else name


def _value(endpoint: wire.Endpoint, message: Any) -> Any:
    """The still encoded value of a request's reply; what the program raised is raised here."""
    return _reply(endpoint, message)[1]


def _reply(endpoint: wire.Endpoint, message: Any) -> Any:
    reply = endpoint.request(message)
    if not isinstance(reply, list) or len(reply) < 2 or reply[0] not in ("value", "error"):
        raise wire.PeerGone("a malformed reply")
    if reply[0] == "error":
        error = endpoint.decode(reply[1])
        if not isinstance(error, Exception) or "raised_by_peer" not in vars(error):
            raise wire.PeerGone("a malformed error")
        raise error
    return reply


def _answer(endpoint: wire.Endpoint, message: Any) -> Any:
    """All that the program may request: to call a function, or to read an iterator, that it received."""
    try:
        action, number, arguments = message
        value = endpoint.exported(number)
        if action == "call" and callable(value) and not isinstance(value, type):
            return ["value", endpoint.encode(value(*[endpoint.decode(each) for each in arguments]))]
        if action == "next" and isinstance(value, Iterator):
            return ["value", endpoint.encode(next(value))]
        raise wire.PeerGone("a request that is not allowed")
    except Exception as error:
        return ["error", endpoint.encode(error)]


async def _coroutine(endpoint: wire.Endpoint, number: int, type_name: str) -> Any:
    """A coroutine that runs a coroutine of the program's in the program's process, from start to end in one step."""
    _State.used = True
    return endpoint.decode(_value(endpoint, ["await", number]))


class Object(wire.Handle):
    """An object of the program's. The program computes its attributes and operators, except comparison.

    It is equal to no data. Only the program's own code could compare two such objects, and that code may lie: a test
    that does is unverifiable.
    """

    _endpoint: wire.Endpoint
    _number: int
    _type_name: str

    def __getattr__(self, name: str) -> Any:
        _State.used = True
        return self._endpoint.decode(_value(self._endpoint, ["attribute", self._number, name]))

    def __setattr__(self, name: str, value: Any) -> None:
        _value(self._endpoint, ["set_attribute", self._number, name, self._endpoint.encode(value)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            return False
        if self._number == other._number:
            return True
        raise Unverifiable(f"it compares two objects of the program's class {self._type_name}")

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Object, self._number))

    def __instancecheck__(self, instance: object) -> bool:
        if not isinstance(instance, Object):
            return False
        raise Unverifiable("it asks for the class of an object of the program's")

    def __iter__(self) -> Any:
        iterator = self._special("__iter__")
        while True:
            block = _value(self._endpoint, ["advance", iterator._number, _AHEAD])
            yield from (self._endpoint.decode(each) for each in block)
            if len(block) < _AHEAD:
                return

    def __next__(self) -> Any:
        block = _value(self._endpoint, ["advance", self._number, 1])
        if not block:
            raise StopIteration
        return self._endpoint.decode(block[0])

    def _special(self, name: str, *arguments: Any) -> Any:
        _State.used = True
        encoded = [self._endpoint.encode(each) for each in arguments]
        return self._endpoint.decode(_value(self._endpoint, ["special", self._number, name, encoded]))

    def __len__(self) -> int:
        return int(self._special("__len__"))

    def __bool__(self) -> bool:
        return self._special("__bool__") is True

    def __str__(self) -> str:
        return str(self._special("__str__"))

    def __repr__(self) -> str:
        return str(self._special("__repr__"))

    def __int__(self) -> int:
        return int(self._special("__int__"))

    def __float__(self) -> float:
        return float(self._special("__float__"))

    def __getitem__(self, key: Any) -> Any:
        return self._special("__getitem__", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._special("__setitem__", key, value)

    def __delitem__(self, key: Any) -> None:
        self._special("__delitem__", key)

    def __enter__(self) -> Any:
        return self._special("__enter__")

    def __exit__(self, *exception: object) -> None:
        self._special("__exit__")

    def __await__(self) -> Any:
        return _coroutine(self._endpoint, self._number, self._type_name).__await__()

    def __aiter__(self) -> Any:
        return self._special("__aiter__")

    def __anext__(self) -> Any:
        return self._special("__anext__")

    def __aenter__(self) -> Any:
        return self._special("__aenter__")

    def __aexit__(self, *exception: object) -> Any:
        return self._special("__aexit__")


class Function(Object):
    """A function or class of the program's."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        _State.used = True
        endpoint = self._endpoint
        sent = [endpoint.encode(each) for each in arguments]
        named = {name: endpoint.encode(each) for name, each in keywords.items()}
        reply = _reply(endpoint, ["call", self._number, sent, named])
        if len(reply) != 3 or not isinstance(reply[2], list) or len(reply[2]) != len(sent):
            raise wire.PeerGone("a malformed reply")
        for argument, before, after in zip(arguments, sent, reply[2], strict=True):
            if before != after:
                _update(argument, endpoint.decode(after))
        return endpoint.decode(reply[1])


def _update(argument: Any, changed: Any) -> None:
    """Change the tests' own list (set, dict, ...) as the program changed its copy."""
    if type(argument) is not type(changed):
        return
    if isinstance(argument, list | bytearray):
        argument[:] = changed
    elif isinstance(argument, set | dict):
        argument.clear()
        argument.update(changed)
    elif hasattr(argument, "extend"):  # deque
        argument.clear()
        argument.extend(changed)
    elif hasattr(argument, "__dict__"):
        vars(argument).update(vars(changed))
