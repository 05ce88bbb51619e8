"""The encoders that come with the package, by name.

byola-diff                   the best we have: AudioNTT2022, 3072 dimensions
byola-diff-small             AudioNTT2020, 512 dimensions
byola-diff-small-weight-0    its twin without the difference loss, for comparison
"""

from pathlib import Path

_FOLDER = Path(__file__).parent / "shipped_bundles"

SHIPPED: tuple[str, ...] = tuple(sorted(path.name for path in _FOLDER.glob("byola-diff*")))
"""Names that `load_encoder` and every command take in place of a path."""


def shipped_bundle(name: str | Path) -> Path | None:
    """Folder of the shipped encoder of this name; None for any other word, such as a path."""
    return _FOLDER / name if str(name) in SHIPPED else None
