"""Calls with options that a user wrote: names and types are checked against the signature."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser

Result = TypeVar("Result")


def checked_call(
    function: Callable[..., Result], given: Mapping[str, Any], options: Mapping[str, Any], what: str
) -> Result:
    """What `function(**given, **options)` returns.

    Args:
        function: A function, or a dataclass; its annotations say what each option may be.
        given: Arguments that are the program's own; no option may replace them.
        options: Plain values from a file.
        what: What the options are of, for errors.

    Raises:
        ValueError: If an option is unknown, saying which is nearest, or lacking, or of a wrong
            type or none of the values there are.
    """
    parameters = inspect.signature(function).parameters
    known = [name for name in parameters if name not in given]
    check_keys(options, known, what)
    for name, value in options.items():
        choices = _choices(parameters[name].annotation)
        if choices and value not in choices:
            listed = ", ".join(map(str, choices))
            hint = _hint(str(value), map(str, choices))
            raise ValueError(f"{what}: {name} must be one of {listed}, not {value!r}{hint}")
    parser = ArgumentParser(exit_on_error=False)
    add = parser.add_class_arguments if inspect.isclass(function) else parser.add_function_arguments
    add(function, skip=set(given))
    try:
        parsed = parser.parse_object(dict(options), defaults=False)
    except ArgumentError as error:
        raise ValueError(f"{what}: {' '.join(str(error).split())}") from None
    return function(**given, **{name: parsed[name] for name in options})


def check_keys(options: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Refuse options that are none of `known`.

    Raises:
        ValueError: If there is one; says which is nearest.
    """
    known = list(known)
    for name in options:
        if name not in known:
            raise unknown_name(f"{what}: unknown key", str(name), known)


def unknown_name(what: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of `known`; says which is nearest, and all that there are.

    Args:
        what: Start of the message, as in "unknown layer".
        name: What was given.
        known: What could have been.
    """
    known = list(known)
    hint = _hint(name, known) or "."
    return ValueError(f"{what} {name!r}{hint} There are: {', '.join(known) or 'none'}")


def _hint(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near += [longer for longer in known if name and longer.startswith(name)]
    return f", did you mean {near[0]!r}?" if near else ""


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Values of a `Literal`, perhaps of one `| None`; nothing for other types."""
    is_union = get_origin(annotation) in (Union, UnionType)
    parts = get_args(annotation) if is_union else (annotation,)
    values: list[Any] = []
    for part in parts:
        if part is not NoneType and get_origin(part) is not Literal:
            return ()
        values += [None] if part is NoneType else get_args(part)
    return tuple(values)
