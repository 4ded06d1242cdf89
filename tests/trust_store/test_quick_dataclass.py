"""A quick dataclass is a dataclass: compared with the standard library's, method by method."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import typing
from dataclasses import dataclass as standard
from dataclasses import field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trust_store
from trust_store import quick_dataclass


class _Plain:
    """Both kinds are made of this."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = field(default=(), compare=False)
    fourth: list[int] = field(default_factory=list, hash=False, repr=False)

    def doubled(self) -> int:
        """Twice the first."""
        return self.first * 2


class _Empty:
    """No field at all."""


class _One:
    """One field, and what is asked of it."""

    only: int

    def __post_init__(self) -> None:
        if self.only < 0:
            raise ValueError("negative")


def _copy_of(cls: type) -> type:
    content = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (), content)


Quick: Any = quick_dataclass.dataclass(frozen=True, slots=True)(_copy_of(_Plain))
Standard: Any = standard(frozen=True, slots=True)(_copy_of(_Plain))
QuickEmpty: Any = quick_dataclass.dataclass(frozen=True, slots=True)(_copy_of(_Empty))
QuickOne: Any = quick_dataclass.dataclass(frozen=True, slots=True)(_copy_of(_One))


@quick_dataclass.dataclass(frozen=True, slots=True)
class Kept:
    """One that pickle finds by its name."""

    first: int
    second: str = ""


_ARGUMENTS = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["a", "b"]),
    st.tuples(st.integers(0, 1)),
    st.lists(st.integers(0, 1), max_size=1),
)


@given(_ARGUMENTS, _ARGUMENTS)
def test_equality_hash_and_text_are_those_of_the_standard_library(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Which objects are equal, what their hash is and how they are written does not depend on who made the class."""
    quick, quick_other = Quick(*one), Quick(*other)
    plain, plain_other = Standard(*one), Standard(*other)
    assert (quick == quick_other) == (plain == plain_other)
    assert (hash(quick) == hash(quick_other)) == (hash(plain) == hash(plain_other))
    assert hash(quick) == hash(plain)
    assert repr(quick) == repr(plain)
    assert quick != plain
    assert dataclasses.asdict(quick) == dataclasses.asdict(plain)


def test_parameters_defaults_and_slots_are_those_of_the_standard_library() -> None:
    """A call takes the same parameters, and fills what is left out in the same way, a factory's value anew each time."""
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Standard).parameters)
    assert Quick(1).second == "two"
    assert Quick(1).fourth == []
    assert Quick(1).fourth is not Quick(1).fourth
    assert Quick.__slots__ == Standard.__slots__
    assert Quick.__match_args__ == Standard.__match_args__
    assert repr(Quick.__dataclass_params__) == repr(Standard.__dataclass_params__).replace("slots=True", "slots=False")
    assert not hasattr(Quick(1), "__dict__")
    assert Quick(3).doubled() == 6
    assert Quick.__doc__ == Standard.__doc__
    assert typing.get_type_hints(Kept) == {"first": int, "second": str}
    for wrong in ((), (1, 2, 3, 4, 5)):
        with pytest.raises(TypeError):
            Quick(*wrong)


def test_an_object_cannot_be_changed() -> None:
    """Neither a field nor anything else is assigned or deleted; a changed copy is made by ``replace``."""
    quick = Kept(1)
    for name in ("first", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(quick, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(quick, name)
    assert dataclasses.replace(quick, first=2) == Kept(2)


def test_objects_are_copied_pickled_and_matched() -> None:
    """What the rest of Python does with dataclasses works."""
    quick = Kept(1, "x")
    assert copy.copy(quick) == copy.deepcopy(quick) == pickle.loads(pickle.dumps(quick)) == quick  # noqa: S301 - our own
    match quick:
        case Kept(first, second):
            assert (first, second) == (1, "x")
    assert dataclasses.is_dataclass(quick)


def test_a_class_of_one_field_or_none() -> None:
    """The edge cases of comparing tuples, and what a class asks of its fields, hold as well."""
    assert QuickEmpty() == QuickEmpty()
    assert repr(QuickEmpty()) == "_Empty()"
    assert {QuickOne(1), QuickOne(1)} == {QuickOne(only=1)}
    with pytest.raises(ValueError, match="negative"):
        QuickOne(-1)


def test_what_is_not_provided_for_is_refused() -> None:
    """A class that would not come out as the standard library's is refused when it is made."""
    with pytest.raises(TypeError, match="frozen"):
        quick_dataclass.dataclass(frozen=True, slots=False)
    make = quick_dataclass.dataclass(frozen=True, slots=True)
    for types, content in (
        ({"a": "typing.ClassVar[int]"}, {}),
        ({"a": "int"}, {"a": field(init=False, default=1)}),
        ({"a": "int"}, {"a": field(kw_only=True)}),
    ):
        with pytest.raises(TypeError):
            make(type("Refused", (), {"__annotations__": types, "__module__": __name__, **content}))
    for base in (Kept, _Plain):
        with pytest.raises(TypeError):
            make(type("Derived", (base,), {"__annotations__": {}}))


def test_every_class_of_the_program_keeps_its_own_methods() -> None:
    """No class that is made quickly defines a method that the standard library would have replaced or refused."""
    found = 0
    for info in pkgutil.walk_packages(trust_store.__path__, "trust_store."):
        module = importlib.import_module(info.name)
        if vars(module).get("dataclass") is not quick_dataclass.dataclass:
            continue
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == info.name and dataclasses.is_dataclass(cls):
                found += 1
                assert cls.__setattr__ is quick_dataclass._refuse_set
                assert not {"__eq__", "__hash__", "__init__"} & set(_methods_in_source(cls))
    assert found > 50


def _methods_in_source(cls: type) -> list[str]:
    return [
        line.split("(")[0].removeprefix("    def ")
        for line in inspect.getsource(cls).splitlines()
        if line.startswith("    def ")
    ]
