"""The encoders that come with the package, by name.

byola-diff                   AudioNTT2022, 3072 dimensions
byola-diff-small             AudioNTT2020, 512 dimensions
byola-diff-small-weight-0    its twin without the difference loss, for comparison

The model card of each says what it was trained on, and what it is worth.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent / "shipped_bundles"

SHIPPED: tuple[str, ...] = tuple(sorted(path.name for path in _FOLDER.glob("byola-diff*")))
"""Names that `load_encoder` and every command take in place of a path."""


def shipped_bundle(name: str | Path) -> Path | None:
    """Folder of the shipped encoder of this name; None for any other word, and for every `Path`.

    A `Path` does not know whether it was written as `byola-diff` or as `./byola-diff`, which is a
    folder.
    """
    return _FOLDER / name if isinstance(name, str) and name in SHIPPED else None
