"""Exceptions on their way to the other process.

A class that only one side has crosses as its number, name and bases, and a stand-in for it is made on the other side:
`except MyError` and `type(error).__name__` mean in a test what they would mean in the program's own process. An
exception crosses as its class, its arguments, its attributes and its text.
"""

from __future__ import annotations

import builtins
import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .wire import Endpoint

_TEXT_CHARS = 300


class PeerError(Exception):
    """Raised here for an exception of the other side that is not an `Exception`, or that cannot be rebuilt."""


class StandIn(type):
    """The type of the classes that stand for exception classes of the other side.

    The tests make an instance by calling the program's class; the program may not call classes of the tests.
    """

    _peer_endpoint: Endpoint
    _peer_number: int

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        if cls._peer_endpoint.is_program:
            return super().__call__(*arguments, **keywords)
        return cls._peer_endpoint.handle("function", cls._peer_number, cls.__name__)(*arguments, **keywords)


def is_builtin(value: Any) -> bool:
    """Whether the builtins have the value by its own name."""
    name = getattr(value, "__name__", None)
    return isinstance(name, str) and getattr(builtins, name, None) is value


def encode_class(endpoint: Endpoint, kind: type[BaseException]) -> list[Any]:
    """A class that both sides have crosses by its name, any other with its bases."""
    if isinstance(kind, StandIn):
        return ["yours", kind._peer_number]  # type: ignore[attr-defined]
    if is_builtin(kind):
        return ["builtin", kind.__name__]
    if endpoint.shared.get(kind.__name__) is kind:
        return ["shared class", kind.__name__]
    bases = [encode_class(endpoint, base) for base in kind.__bases__ if issubclass(base, BaseException)]
    return ["error class", [endpoint.export(kind), kind.__module__, kind.__name__, bases]]


def decode_class(endpoint: Endpoint, content: Any) -> type[BaseException]:
    """The standard library's class of that name, or the stand-in for the other side's, the same one every time."""
    number, module, name, bases = content
    own = _library_class(module, name)
    if own is not None:
        return own
    if number not in endpoint.stand_ins:
        kinds = tuple(filter(_is_exception, (endpoint.decode(base) for base in bases))) or (PeerError,)
        members = {"__str__": _text, "__getattr__": _attribute, "_peer_endpoint": endpoint, "_peer_number": int(number)}
        endpoint.stand_ins[number] = StandIn(str(name)[:100], kinds, members)
    return endpoint.stand_ins[number]


def _library_class(module: str, name: str) -> type[BaseException] | None:
    """A class of the standard library, if this process has imported its module: a test that names it has."""
    loaded = sys.modules.get(module) if module.partition(".")[0] in sys.stdlib_module_names else None
    kind = vars(loaded).get(name) if loaded is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


def encode(endpoint: Endpoint, error: BaseException) -> list[Any]:
    """[class, arguments, attributes, text, number].

    An exception of a class that only this side has keeps its attributes: the other side asks for them by the number.
    """
    kind = encode_class(endpoint, type(error))
    own = kind[0] == "error class"
    arguments: list[Any] = []
    attributes: Any = ["dict", []]
    text = ""
    with contextlib.suppress(Exception):  # what the program defines for its exceptions may raise others
        text = str(error)[:_TEXT_CHARS]
        arguments = [endpoint.encode(each) for each in error.args]
        attributes = endpoint.encode(vars(error))
    return [kind, arguments, attributes, text, endpoint.export(error.with_traceback(None)) if own else None]


def decode(endpoint: Endpoint, content: Any) -> Exception:
    """The exception to raise here; `raised_by_peer` is its description."""
    encoded_kind, encoded_arguments, attributes, text, number = content
    kind = endpoint.decode(encoded_kind)
    error = _rebuild(kind, [endpoint.decode(each) for each in encoded_arguments], text)
    details = vars(error)
    details.update(
        (name, value)
        for name, value in endpoint.decode(attributes).items()
        if not callable(getattr(kind, name, None))  # a method is never taken from the other side
    )
    details["raised_by_peer"] = f"{kind.__name__}: {text}"[:200] if text else str(kind.__name__)
    details["_peer_text"], details["_peer_number"] = str(text)[:_TEXT_CHARS], number
    return error


def _rebuild(kind: Any, arguments: list[Any], text: str) -> Exception:
    """An exception with these arguments; without the class's own `__init__` if that wants others."""
    if not _is_exception(kind):
        return PeerError(text)
    if not isinstance(kind, StandIn):
        with contextlib.suppress(Exception):
            return kind(*arguments)
    with contextlib.suppress(Exception):
        return kind.__new__(kind, *arguments)
    return PeerError(text)


def _is_exception(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def _text(error: Any) -> str:
    return str(vars(error).get("_peer_text", ""))


def _attribute(error: Any, name: str) -> Any:
    """An attribute that only the other side's exception has: a method, a property, an object."""
    endpoint, number = type(error)._peer_endpoint, vars(error).get("_peer_number")
    if endpoint.is_program or number is None or name.startswith("__"):
        raise AttributeError(name)
    return getattr(endpoint.handle("object", number, type(error).__name__), name)
