"""What users write in YAML, checked by pydantic against a signature or a model.

Errors say where, what is expected there, and which known name is nearest to an unknown one.
"""

import difflib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from byola_diff.tables.validation import reason

Result = TypeVar("Result")
Checked = TypeVar("Checked", bound=BaseModel)


class Options(BaseModel):
    """Named values, of which none may be unknown."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, protected_namespaces=()
    )


def call_with_options(
    function: Callable[..., Result], options: Mapping[str, Any], what: str, **given: Any
) -> Result:
    """What `function(**given, **options)` returns.

    Annotations say what each option may be; a function of any keyword checks them itself. No
    option may replace what is `given`.

    Raises:
        ValueError: If an option, of `what`, is unknown, saying which is nearest, or lacking, or of
            a wrong type or none of the values there are.
    """
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return function(**given, **options)
    fields: dict[str, Any] = {
        name: (
            Any if each.annotation is each.empty else each.annotation,
            ... if each.default is each.empty else each.default,
        )
        for name, each in parameters.items()
        if name not in given
    }
    model = create_model("Options", __base__=Options, **fields)
    checked = check_options(model, options, what)
    return function(**given, **{name: getattr(checked, name) for name in options})


def check_options(model: type[Checked], options: Mapping[str, Any], what: str) -> Checked:
    """A model with these values, of `what`; else a ValueError as of `call_with_options`."""
    try:
        # By way of JSON, where a list may be a tuple, and yet no text a number.
        return model.model_validate_json(json.dumps(dict(options), default=str), strict=True)
    except ValidationError as error:
        reasons = dict.fromkeys(_reason(model, each) for each in error.errors())
        raise ValueError(f"{what}: {'; '.join(reasons)}") from None


def unknown_name(what: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that is none of `known`; says which is nearest, and all that there are.

    `what` is the start of the message, as in "unknown layer".
    """
    known = list(known)
    hint = _hint(name, known) or "."
    return ValueError(f"{what} {name!r}{hint} There are: {', '.join(known) or 'none'}")


def _reason(model: type[BaseModel], error: ErrorDetails) -> str:
    *outer, last = error["loc"] or ("",)
    if error["type"] != "extra_forbidden":
        values = re.findall(r"'([^']+)'", error.get("ctx", {}).get("expected", ""))
        return _placed(error["loc"], reason(error) + _hint(str(error["input"]), values))
    for name in outer:  # down to the model that has no such value
        if name in model.model_fields:
            kind: Any = model.model_fields[str(name)].annotation
            model = next(iter(get_args(kind)), kind)
    return _placed(outer, str(unknown_name("unknown key", str(last), model.model_fields)))


def _placed(place: Iterable[str | int], words: str) -> str:
    """Words after names of where, the items of a list by numbers from 1."""
    names: list[str] = []
    for each in place:
        if isinstance(each, int) and names:
            names[-1] = f"{names[-1].removesuffix('s')} {each + 1}"
        elif str(each).isidentifier():  # else a choice among types
            names.append(str(each))
    return ": ".join([*names, words])


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near += [longer for longer in known if name and longer.startswith(name)]
    return f", did you mean {near[0]!r}?" if near else ""
