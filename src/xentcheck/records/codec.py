"""Plain data that survives a round trip through JSON: one strict codec, by the annotations of a dataclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Reader = Callable[[str, Any], Any]
"""The value of a field from its JSON, given the field's name. Raises TypeError, ValueError or OverflowError."""


Self = TypeVar("Self", bound="Plain")


class Plain:
    """A dataclass that travels as JSON."""

    def to_json(self) -> dict[str, Any]:
        """The fields for JSON; an empty one, or False, that has a default is left out, a number never.

        Infinities and nan become strings.
        """
        readers, optional = _fields(type(self))
        given = ((name, getattr(self, name)) for name in readers)
        return {name: plain(value) for name, value in given if name not in optional or not _empty(value)}

    @classmethod
    def from_json(cls: type[Self], data: Mapping[str, Any]) -> Self:
        """What `to_json` wrote. Raises TypeError, ValueError or OverflowError for data of another shape."""
        readers, optional = _fields(cls)
        if missing := sorted(readers.keys() - optional - data.keys()):
            raise ValueError(f"fields {', '.join(missing)} are missing")
        if unknown := sorted(data.keys() - readers.keys()):
            raise ValueError(f"fields {', '.join(unknown)} are unknown; allowed: {', '.join(readers)}")
        item = object.__new__(cls)  # a million records are read: __init__ of a frozen dataclass takes twice as long
        given = vars(item)
        given.update(_defaults(cls))
        for name, value in data.items():
            given[name] = readers[name](name, value)
        item.validate()
        return item

    def validate(self) -> None:
        """Raise ValueError for values that no run writes, whatever their types."""


def plain(value: Any) -> Any:
    """JSON has no infinity and no nan: they travel as strings; what travels inside of something else does so too."""
    if isinstance(value, Plain):
        return value.to_json()
    if isinstance(value, float) and not (value == value and abs(value) != float("inf")):
        return repr(value)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def _empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, (str, tuple, Mapping)) and not value)


def _fields(cls: type[Any]) -> tuple[dict[str, Reader], frozenset[str]]:
    """How each field of a dataclass is read, and which have a default."""
    if cls not in _known:
        hints = get_type_hints(cls)
        readers = {f.name: _reader(hints[f.name]) for f in fields(cls)}
        optional = (f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING)
        _known[cls] = readers, frozenset(optional)
    return _known[cls]


_known: dict[type[Any], tuple[dict[str, Reader], frozenset[str]]] = {}


def _defaults(cls: type[Any]) -> dict[str, Any]:
    """The default values of a dataclass; those that no two items may share are made anew."""
    if cls not in _values:
        given = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
        made = {f.name: f.default_factory for f in fields(cls) if f.default_factory is not MISSING}
        _values[cls] = given, made
    given, made = _values[cls]
    return {**given, **{name: make() for name, make in made.items()}}


_values: dict[type[Any], tuple[dict[str, Any], dict[str, Callable[[], Any]]]] = {}


def _reader(hint: Any) -> Reader:
    """How a value of a type is read: str, int, float, X | None, tuples, mappings of str, and what travels itself."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (arg for arg in args if arg is not NoneType)
        return _reader(inner)  # None is never written
    if origin is tuple and args[-1] is Ellipsis:
        each, alike = _reader(args[0]), {args[0]}
        return lambda name, value: (
            tuple(value)
            if type(value) is list and set(map(type, value)) <= alike
            else tuple(each(name, x) for x in _typed(name, value, list))
        )
    if origin is tuple:
        parts = tuple(map(_reader, args))
        return lambda name, value: _parts(name, _typed(name, value, list), parts)
    if origin in (dict, Mapping):
        of_value, same = _reader(args[1]), {args[1]}
        return lambda name, value: (
            value
            if type(value) is dict and set(map(type, value.values())) <= same
            else {k: of_value(name, v) for k, v in _typed(name, value, dict).items()}
        )
    if isinstance(hint, type) and issubclass(hint, Plain):
        return lambda name, value: hint.from_json(_typed(name, value, dict))
    if hint is float:
        return _number
    if hint is Any:
        return lambda name, value: value
    return lambda name, value: value if type(value) is hint else _typed(name, value, hint)


def _parts(name: str, values: list[Any], parts: tuple[Reader, ...]) -> tuple[Any, ...]:
    if len(values) != len(parts):
        raise ValueError(f"{name} has {len(values)} entries; allowed: {len(parts)}")
    return tuple(part(name, value) for part, value in zip(parts, values, strict=True))


def _number(name: str, value: Any) -> float:
    if type(value) is float:
        return value
    if value in ("inf", "-inf", "nan"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {value!r}; allowed: a number, or inf, -inf, nan as text")
    return float(value)


def _typed(name: str, value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} is of type {type(value).__name__}; allowed: {kind.__name__}")
    return value
