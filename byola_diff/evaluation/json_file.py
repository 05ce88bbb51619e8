"""JSON files that say what something is, checked by a model before anything else is done."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from byola_diff.tables.validation import fault

Model = TypeVar("Model", bound=BaseModel)


class MadeSet(BaseModel):
    """What a made data set says of itself, beside its tables."""

    model_config = ConfigDict(strict=True)

    name: Any = None
    seed: Any = None
    settings: Any = None
    renderer: Any = None
    manifests: dict[str, str] = {}
    """SHA-256 of the tables, by file name."""
    deviations: tuple[str, ...]
    """Where it is not the published set."""


def read_json(path: Path, kind: type[Model]) -> Model:
    """The content of a file, checked.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the content is no such JSON; names what is wrong with which key, and leaves
            the name of the file to the caller.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(fault(error)) from None
