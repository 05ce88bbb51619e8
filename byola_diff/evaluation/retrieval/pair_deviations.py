"""In what a table of pairs is not the published data set: marked wherever its scores are shown."""

from pathlib import Path

from byola_diff.corpora.prepare import deviations
from byola_diff.evaluation.json_file import MadeSet, read_json
from byola_diff.storage import sha256
from byola_diff.tables.pairs import PairTable

_PUBLISHED = {"training pairs": 50_000, "gallery": 1000}
"""Numbers of each scene of APwD."""

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
        facts = read_json(about, MadeSet)
    except ValueError as error:
        raise ValueError(f"{about} does not tell what the pairs are: {error}") from error
    found, expected = list(facts.deviations), facts.manifests.get(path.name)
    if expected is None:
        found.append(f"{path.name}: not a table that {_ABOUT} tells of")
    elif expected != sha256(path):
        found.append(f"{path.name}: altered since it was made")
    return found


def scene_deviations(table: PairTable) -> list[str]:
    """In what the numbers of pairs of a scene differ; validation pairs count as training pairs."""
    n_train = len(table.in_split("train")) + len(table.in_split("valid"))
    counts = {"training pairs": n_train, "gallery": len(table.in_split("test"))}
    return deviations(counts, _PUBLISHED)
