"""How the program's process and the tests' process talk: requests and replies as JSON frames, values as plain data.

A value crosses as data or not at all. Plain types of Python and a few of the standard library are rebuilt on the other
side; a subclass arrives as its plain base, so none of its methods do. Exceptions cross by the names of their classes
(`errors`). Any other object stays where it is, and the other side gets a `Handle` on it. Nothing that is read here can
run code: the program's process is free to send whatever it likes.
"""

from __future__ import annotations

import builtins
import collections
import collections.abc
import datetime
import decimal
import fractions
import functools
import json
import socket
import struct
import types
from collections.abc import Callable
from typing import Any

from . import errors

_HEADER = struct.Struct("!I")
_DEFAULT_FACTORIES = (int, float, str, list, dict, set, tuple, bool)
_BIG = 1 << 63


class PeerGone(BaseException):
    """The other process ended (then there is no message), or broke the protocol.

    No `except Exception` of a test may swallow it.
    """


class Endpoint:
    """One end of the conversation. While it waits for a reply it answers the other side's requests."""

    def __init__(
        self,
        connection: socket.socket,
        most_bytes: int,
        answer: Callable[[Endpoint, Any], Any],
        is_program: bool,
    ) -> None:
        self.is_program = is_program
        self._connection = connection
        self._most_bytes = most_bytes
        self._answer = answer
        self._exported: list[Any] = []
        self._exported_ids: dict[int, int] = {}
        self.shared: dict[str, type] = {}
        """Classes that both sides define (the task's setup): their instances cross as data."""
        self.stand_ins: dict[int, Any] = {}
        """The classes that stand for the other side's exception classes, by their numbers."""

    def request(self, message: Any) -> Any:
        """Send a request and wait for its reply."""
        self._send(["?", message])
        while True:
            kind, content = self._receive()
            if kind == "!":
                return content
            self._send(["!", self._answer(self, content)])

    def serve(self) -> None:
        """Answer requests until the other side is gone."""
        while True:
            kind, content = self._receive()
            if kind != "?":
                raise PeerGone("a reply without a request")
            self._send(["!", self._answer(self, content)])

    def _send(self, message: Any) -> None:
        data = json.dumps(message).encode()
        try:
            self._connection.sendall(_HEADER.pack(len(data)) + data)
        except OSError:
            raise PeerGone from None

    def _receive(self) -> tuple[str, Any]:
        (length,) = _HEADER.unpack(self._read(_HEADER.size))
        if length > self._most_bytes:
            raise PeerGone(f"a value of {length >> 20} MiB")
        try:
            kind, content = json.loads(self._read(length))
        except (ValueError, TypeError, RecursionError):
            raise PeerGone("a frame that is not JSON") from None
        return kind, content

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                part = self._connection.recv(min(length - len(data), 1 << 20))
            except OSError:
                part = b""
            if not part:
                raise PeerGone
            data += part
        return bytes(data)

    def export(self, value: Any) -> int:
        """A number by which the other side can refer to an object of this side."""
        number = self._exported_ids.get(id(value))
        if number is None:
            number = self._exported_ids[id(value)] = len(self._exported)
            self._exported.append(value)
        return number

    def exported(self, number: Any) -> Any:
        """The object of this side that has the number."""
        if not isinstance(number, int) or not 0 <= number < len(self._exported):
            raise PeerGone("a number that was never given out")
        return self._exported[number]

    def handle(self, kind: str, number: int, type_name: str) -> Any:
        """A handle on the other side's object of that number; the kind is a key of `handle_types`."""
        return handle_types[kind](self, int(number), str(type_name)[:100])

    def encode(self, value: Any) -> Any:
        """`value` as JSON: a scalar as itself, all else as [tag, content]."""
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__int__(value) if -_BIG < int.__int__(value) < _BIG else ["int", hex(int.__int__(value))]
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, Handle):
            return ["yours", object.__getattribute__(value, "_number")]
        if isinstance(value, BaseException):
            return ["error", errors.encode(self, value)]
        if isinstance(value, type) and issubclass(value, BaseException):
            return errors.encode_class(self, value)
        if _is_named_tuple(value):
            elements = [self.encode(each) for each in tuple.__iter__(value)]
            return ["named tuple", [type(value).__name__, list(value._fields), elements]]
        for kind, (tag, take) in _ENCODERS.items():
            if isinstance(value, kind):
                return [tag, take(self, value)]
        if errors.is_builtin(value) and (isinstance(value, type) or not self.is_program):
            return ["builtin", value.__name__]
        shared = self.shared.get(type(value).__name__)
        if shared is type(value):
            return ["shared", [shared.__name__, self.encode(vars(value))]]
        return ["mine", [self.export(value), type(value).__name__, _handle_type(value)]]

    def decode(self, data: Any) -> Any:
        """The value that the other side encoded; PeerGone if it is malformed."""
        if not isinstance(data, list):
            if isinstance(data, dict):
                raise PeerGone("a malformed value")
            return data
        try:
            tag, content = data
            return _DECODERS[tag](self, content)
        except PeerGone:
            raise
        except Exception as error:
            raise PeerGone(f"a malformed value: {type(error).__name__}") from None

    def decode_builtin(self, name: Any) -> Any:
        """A built-in type or, from the tests alone, function: called here, `exec` would run what the program sent."""
        value = getattr(builtins, name)
        if not isinstance(value, type) and not self.is_program:
            raise PeerGone("a built-in function in place of a value")
        return value

    def decode_shared(self, content: Any) -> Any:
        """An instance of a class that both sides have, with the attributes sent."""
        name, attributes = content
        kind = self.shared[name]
        instance: Any = object.__new__(kind)
        for attribute, value in self.decode(attributes).items():
            if callable(getattr(kind, attribute, None)):
                raise PeerGone(f"an attribute in place of the method {attribute}")
            vars(instance)[attribute] = value
        return instance


class Handle:
    """Stands for an object of the other side. Its subclasses define what can be done with it."""

    def __init__(self, endpoint: Endpoint, number: int, type_name: str) -> None:
        object.__setattr__(self, "_endpoint", endpoint)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_type_name", type_name)


handle_types: dict[str, Callable[[Endpoint, int, str], Any]] = dict.fromkeys(
    ("object", "function", "iterator", "coroutine"), Handle
)
"""What makes the handle on an object of the other side, by the object's kind. Each side sets its own."""


def _handle_type(value: Any) -> str:
    if callable(value):
        return "function"
    if isinstance(value, types.CoroutineType):
        return "coroutine"
    return "iterator" if isinstance(value, collections.abc.Iterator) else "object"


def _handle(endpoint: Endpoint, content: Any) -> Any:
    number, type_name, kind = content
    return endpoint.handle(kind, number, type_name)


def _is_named_tuple(value: Any) -> bool:
    """Whether a value is of a class made by `collections.namedtuple` or `typing.NamedTuple`."""
    fields = getattr(value, "_fields", None) if isinstance(value, tuple) else None
    return isinstance(fields, tuple) and all(type(name) is str for name in fields)


def _named_tuple(endpoint: Endpoint, content: Any) -> Any:
    name, fields, elements = content
    return _named_tuple_class(name, tuple(fields))._make(endpoint.decode(each) for each in elements)


@functools.lru_cache(maxsize=64)
def _named_tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    """A class of its own; `namedtuple` refuses names that are not identifiers, or that begin with an underscore."""
    return collections.namedtuple(name, fields)


def _items(endpoint: Endpoint, value: dict[Any, Any]) -> list[Any]:
    return [[endpoint.encode(key), endpoint.encode(each)] for key, each in dict.items(value)]


def _dict(endpoint: Endpoint, content: Any) -> dict[Any, Any]:
    return {endpoint.decode(key): endpoint.decode(each) for key, each in content}


def _elements(iterate: Callable[[Any], Any]) -> Callable[[Endpoint, Any], list[Any]]:
    return lambda endpoint, value: [endpoint.encode(each) for each in iterate(value)]


def _rebuild(kind: Callable[[list[Any]], Any]) -> Callable[[Endpoint, Any], Any]:
    return lambda endpoint, content: kind([endpoint.decode(each) for each in content])


def _defaultdict(endpoint: Endpoint, content: Any) -> Any:
    factory, items = content
    kinds = {kind.__name__: kind for kind in _DEFAULT_FACTORIES}
    return collections.defaultdict(kinds[factory] if factory else None, _dict(endpoint, items))


def _factory_name(value: Any) -> str:
    return value.default_factory.__name__ if value.default_factory in _DEFAULT_FACTORIES else ""


# A type comes before the types that it derives from: the first match is used.
_ENCODERS: dict[type, tuple[str, Callable[[Endpoint, Any], Any]]] = {
    bytes: ("bytes", lambda endpoint, value: bytes(value).hex()),
    bytearray: ("bytearray", lambda endpoint, value: bytes(value).hex()),
    list: ("list", _elements(list.__iter__)),
    tuple: ("tuple", _elements(tuple.__iter__)),
    set: ("set", _elements(set.__iter__)),
    frozenset: ("frozenset", _elements(frozenset.__iter__)),
    collections.Counter: ("Counter", _items),
    collections.OrderedDict: ("OrderedDict", _items),
    collections.defaultdict: ("defaultdict", lambda endpoint, value: [_factory_name(value), _items(endpoint, value)]),
    dict: ("dict", _items),
    complex: ("complex", lambda endpoint, value: [complex(value).real, complex(value).imag]),
    range: ("range", lambda endpoint, value: [endpoint.encode(each) for each in (value.start, value.stop, value.step)]),
    collections.deque: (
        "deque",
        lambda endpoint, value: [value.maxlen, [endpoint.encode(each) for each in collections.deque.__iter__(value)]],
    ),
    fractions.Fraction: ("Fraction", lambda endpoint, value: [hex(value.numerator), hex(value.denominator)]),
    decimal.Decimal: ("Decimal", lambda endpoint, value: decimal.Decimal.__str__(value)),
    datetime.datetime: ("datetime", lambda endpoint, value: datetime.datetime.isoformat(value)),
    datetime.date: ("date", lambda endpoint, value: datetime.date.isoformat(value)),
    datetime.time: ("time", lambda endpoint, value: datetime.time.isoformat(value)),
    datetime.timedelta: ("timedelta", lambda endpoint, value: [value.days, value.seconds, value.microseconds]),
}
_DECODERS: dict[str, Callable[[Endpoint, Any], Any]] = {
    "int": lambda endpoint, content: int(content, 16),
    "bytes": lambda endpoint, content: bytes.fromhex(content),
    "bytearray": lambda endpoint, content: bytearray.fromhex(content),
    "list": _rebuild(list),
    "tuple": _rebuild(tuple),
    "set": _rebuild(set),
    "frozenset": _rebuild(frozenset),
    "Counter": lambda endpoint, content: collections.Counter(_dict(endpoint, content)),
    "OrderedDict": lambda endpoint, content: collections.OrderedDict(_dict(endpoint, content)),
    "defaultdict": _defaultdict,
    "dict": _dict,
    "complex": lambda endpoint, content: complex(*content),
    "range": lambda endpoint, content: range(*(endpoint.decode(each) for each in content)),
    "deque": lambda endpoint, content: collections.deque([endpoint.decode(each) for each in content[1]], content[0]),
    "Fraction": lambda endpoint, content: fractions.Fraction(int(content[0], 16), int(content[1], 16)),
    "Decimal": lambda endpoint, content: decimal.Decimal(content),
    "datetime": lambda endpoint, content: datetime.datetime.fromisoformat(content),
    "date": lambda endpoint, content: datetime.date.fromisoformat(content),
    "time": lambda endpoint, content: datetime.time.fromisoformat(content),
    "timedelta": lambda endpoint, content: datetime.timedelta(*content),
    "yours": lambda endpoint, content: endpoint.exported(content),
    "mine": _handle,
    "named tuple": _named_tuple,
    "error": errors.decode,
    "error class": errors.decode_class,
    "shared class": lambda endpoint, name: endpoint.shared[name],
    "builtin": Endpoint.decode_builtin,
    "shared": Endpoint.decode_shared,
}
