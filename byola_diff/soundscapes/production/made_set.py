"""What a made data set says of itself, in a JSON file beside its tables, read back."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from byola_diff.storage import check_seal
from byola_diff.tables.rows import located


class MadeSet(BaseModel):
    """A data set of soundscapes: how it was made, and of which tables it consists."""

    model_config = ConfigDict(strict=True)

    format: int = 1
    """From 2 on, the file holds its own hash."""
    name: Any = None
    seed: Any = None
    settings: Any = None
    renderer: Any = None
    manifests: dict[str, str] = {}
    """SHA-256 of the tables, by file name."""
    deviations: tuple[str, ...]
    """Where it is not the published set."""


def read_made_set(path: Path) -> MadeSet:
    """What the file says; one of a version without its own hash is taken as it is.

    Raises:
        ValueError: If it does not tell of a data set.
        BrokenFileError: If it was altered.
    """
    content = path.read_bytes()
    with located(f"{path} does not tell of a data set: "):
        facts = MadeSet.model_validate_json(content)
    check_seal(path, content, required=facts.format > 1)
    return facts
