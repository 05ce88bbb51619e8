"""In what a table of pairs is not the published data set: marked wherever its scores are shown."""

import hashlib
import json
from pathlib import Path

from byola_diff.tables.pairs import PairTable

_TRAINING_PAIRS, _GALLERY = 50_000, 1000
"""Of each scene of APwD."""

_ABOUT = "apwd.json"


def table_deviations(path: Path) -> list[str]:
    """What apwd.json beside the table tells of it, and whether it is of this very table.

    Raises:
        ValueError: If there is such a file and it can't be understood.
    """
    about = path.with_name(_ABOUT)
    if not about.is_file():
        return [f"pairs: not those of APwD (there is no {_ABOUT})"]
    try:
        facts = json.loads(about.read_text(encoding="utf-8"))
        found = [str(reason) for reason in facts["deviations"]]
        expected = facts.get("manifests", {}).get(path.name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{about} does not tell what the pairs are: {error!r}") from error
    if expected is None:
        found.append(f"{path.name}: not a table that {_ABOUT} tells of")
    elif expected != hashlib.sha256(path.read_bytes()).hexdigest():
        found.append(f"{path.name}: altered since it was made")
    return found


def scene_deviations(table: PairTable) -> list[str]:
    """In what the numbers of pairs of a scene differ; validation pairs count as training pairs."""
    n_train = len(table.in_split("train")) + len(table.in_split("valid"))
    n_test = len(table.in_split("test"))
    found = []
    if n_train != _TRAINING_PAIRS:
        found.append(f"training pairs: {n_train}, not {_TRAINING_PAIRS}")
    if n_test != _GALLERY:
        found.append(f"gallery: {n_test}, not {_GALLERY}")
    return found
