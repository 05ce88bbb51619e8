"""Fields of a dataclass as options of a command line."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import cleandoc
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object

POSITIONAL = object()
"""In `Annotated`: the value is given by its place, without the name of the option."""
RARE = object()
"""In `Annotated`: the brief help leaves the option out."""


def positive_whole(word: str | int) -> int:
    """A count."""
    if not str(word).isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive whole number")
    return int(word)


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """What lets only these words pass."""
    known = list(names)

    def checked(word: str) -> str:
        if word not in known:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(known)}")
        return word

    return checked


Count = Annotated[int, positive_whole, "N"]


def arguments_of(kind: type) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name or flag, arguments of `add_argument` and help of each field, those of `kind` first.

    A list takes one word or more, a tuple of fixed length as many, a `Literal` is a choice. The
    text below a field is the help. `Annotated` has what types don't say: a function that converts
    and refuses words, names of values for the help, `POSITIONAL`, `RARE`.
    """
    hints, texts = get_type_hints(kind, include_extras=True), _texts_below_fields(kind)
    known = {field.name: field for field in fields(kind)}
    own_first = [name for base in kind.__mro__ for name in vars(base).get("__annotations__", ())]
    for name in dict.fromkeys(name for name in own_first if name in known):  # no `ClassVar`
        how = _argument(known[name], hints[name])
        flag = name if how.pop("positional") else f"--{name.replace('_', '-')}"
        yield flag, how, _with_default(texts.get(name, " "), how.get("default"))


def _argument(field: Field[Any], hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for a field, and whether it is `positional`, and `rare`."""
    hint, extras = _unwrapped(hint)
    parts = get_args(hint) if get_origin(hint) in (list, tuple) else ()
    how: dict[str, Any] = {}
    if parts:
        how["nargs"] = "+" if get_origin(hint) is list else len(parts)
        hint, inner = _unwrapped(parts[0])
        extras = (*inner, *extras)
    how["positional"], how["rare"] = POSITIONAL in extras, RARE in extras
    if field.default_factory is not MISSING:
        how["default"] = field.default_factory()
    elif field.default is not MISSING:
        # A list, as jsonargparse puts the converted values in it.
        how["default"] = list(field.default) if parts and field.default else field.default
    if hint is bool:
        return how | {"action": "store_true"}
    names = [extra for extra in extras if isinstance(extra, str)]
    if names:
        how["metavar"] = tuple(names) if isinstance(how.get("nargs"), int) else names[-1]
    if get_origin(hint) is Literal:
        return how | {"choices": get_args(hint), "type": _converter(str)}
    converters = [extra for extra in extras if callable(extra)]
    how["type"] = converters[0] if converters else _converter(hint)
    if not how["positional"] and "default" not in how:
        how["required"] = True
    return how


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without `| None` and `Annotated`, and what the latter holds."""
    extras: tuple[Any, ...] = ()
    if NoneType in get_args(hint):
        [hint] = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) is Annotated:
        hint, *found = get_args(hint)
        extras = tuple(found)
    return hint, extras


def _converter(kind: type) -> Callable[[Any], Any]:
    """A function, as jsonargparse would read a word for a type as YAML: `--text null`."""

    def convert(word: Any) -> Any:
        # The shell leaves the `~` of --out=~/x alone.
        if word is None:
            return None
        return Path(word).expanduser() if kind is Path else kind(word)

    convert.__name__ = kind.__name__  # named in errors
    return convert


def _texts_below_fields(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass and of those that it extends."""
    bases = reversed([base for base in kind.__mro__ if is_dataclass(base)])
    params = [param for base in bases for param in parse_from_object(base).params]
    return {param.arg_name: cleandoc(param.description or "") for param in params}


def _with_default(text: str, default: Any) -> str:
    """The help of an option, with its default in brackets if it has one."""
    if default is None or default is False or default == []:
        return text
    shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
    return f"{text.removesuffix('.')} (default: {shown})"
