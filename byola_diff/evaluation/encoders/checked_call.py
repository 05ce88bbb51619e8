"""Calls with options that a user wrote: names and types are checked against the signature."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

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
            type.
    """
    known = [name for name in inspect.signature(function).parameters if name not in given]
    for name in options:
        if name not in known:
            raise unknown_name(f"{what}: unknown key", str(name), known)
    parser = ArgumentParser(exit_on_error=False)
    add = parser.add_class_arguments if inspect.isclass(function) else parser.add_function_arguments
    add(function, skip=set(given))
    try:
        parsed = parser.parse_object(dict(options), defaults=False)
    except ArgumentError as error:
        raise ValueError(f"{what}: {' '.join(str(error).split())}") from None
    return function(**given, **{name: parsed[name] for name in options})


def unknown_name(what: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of `known`; says which is nearest, and all that there are.

    Args:
        what: Start of the message, as in "unknown layer".
        name: What was given.
        known: What could have been.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near += [longer for longer in known if name and longer.startswith(name)]
    hint = f", did you mean {near[0]!r}?" if near else "."
    return ValueError(f"{what} {name!r}{hint} There are: {', '.join(known) or 'none'}")
