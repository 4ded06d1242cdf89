"""``dataclass(frozen=True, slots=True)`` as the standard library has it, made in a fifth of the time.

Made by the standard library, the dataclasses of a short command would cost a fifth of its start: six methods are compiled for each.
Here only ``__init__`` is compiled. For whoever uses such a class, and for type checkers, it is a dataclass like any other:
``replace``, ``fields``, ``asdict``, ``copy``, ``pickle`` and ``match`` work. Not provided for, and refused: base classes,
``ClassVar``, ``InitVar``, keyword-only fields and fields that are not set by ``__init__``.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """The decorator; both arguments must be true. Raises TypeError for what is not provided for."""
        if not (frozen and slots):
            raise TypeError("only for dataclasses that are frozen and have slots")
        return _made


def _made(cls: Any) -> Any:
    """The class made anew with slots and methods; its annotations and defaults are read by the standard library."""
    if cls.__doc__ is None:  # the standard library would ask for the signature, which costs as much as all the rest
        cls.__doc__ = f"{cls.__name__}({', '.join(cls.__annotations__)})"
    made = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(made)
    if cls.__bases__ != (object,) or len(fields) != len(cls.__annotations__):
        raise TypeError(f"{cls.__qualname__}: base classes, ClassVar and InitVar are not provided for")
    if not all(field.init and not field.kw_only for field in fields):
        raise TypeError(f"{cls.__qualname__}: every field is set by __init__, by position or name")
    params = made.__dataclass_params__
    params.init = params.repr = params.eq = params.frozen = True
    names = tuple(field.name for field in fields)
    content = {name: value for name, value in vars(made).items() if name not in (*names, "__dict__", "__weakref__")}
    return type(cls)(
        cls.__name__,
        cls.__bases__,
        {
            "__init__": _init(cls, fields),
            "__eq__": _equal(fields),
            "__hash__": _hash(fields),
            "__repr__": _shown(fields),
            "__setattr__": _refuse_set,
            "__delattr__": _refuse_delete,
            "__getstate__": _state,
            "__setstate__": _restore,
            **content,  # what the class defines itself stands
            "__slots__": names,
            "__qualname__": cls.__qualname__,
        },
    )


def _init(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    """``__init__``, compiled: it runs for every object, and its parameters must be those of the fields."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_made": _MADE}
    parameters, lines = ["self"], []
    for field in fields:
        name, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        elif field.default_factory is not dataclasses.MISSING:
            known[f"_factory_{name}"] = field.default_factory
            parameters.append(f"{name}=_made")
            value = f"_factory_{name}() if {name} is _made else {name}"
        else:
            parameters.append(name)
        lines.append(f" _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"]), known)  # noqa: S102 - names of fields only
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return init


_MADE = object()


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads those attributes of an object as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _equal(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any, Any], Any]:
    values = _values(tuple(field.name for field in fields if field.compare))

    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any], int]:
    values = _values(tuple(f.name for f in fields if (f.compare if f.hash is None else f.hash)))

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _shown(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any], str]:
    names = tuple(field.name for field in fields if field.repr)

    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _refuse_set(self: Any, name: str, value: object) -> None:  # noqa: ARG001 - as Python calls it
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:  # noqa: ARG001 - as Python calls it
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
