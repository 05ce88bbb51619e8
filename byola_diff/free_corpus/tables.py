"""What is said of a finished corpus: manifests, what was left out, and whom it is owed to."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.free_corpus.build import PackageRecord, Piece
from byola_diff.tables.manifest import read_manifest
from byola_diff.tables.rows import write_rows

_COLUMNS = ("file", "label", "split", "group")
_MORE_COLUMNS = ("package", "version", "licence", "seconds", "source", "nonstationary_db")
_TEST_SHARE, _VALID_SHARE = 0.2, 0.1
_ATTRIBUTION = """# Attribution

The sounds of this corpus are from packages of Debian, cut and resampled. `manifest.csv` and
`backgrounds.csv` have the licence and the source of each; the copyright files of the packages, with
the names of the authors, are in `licences/`: pass them on with the sounds.

| package | version | licences | origin | pieces |
|---|---|---|---|---|
"""


def write_tables(out: Path, records: Sequence[PackageRecord]) -> None:
    """Write the manifests, `left_out.csv` and `ATTRIBUTION.md`.

    Raises:
        ManifestError: If a reader of manifests would refuse what was written.
    """
    _write_manifest(out / "manifest.csv", records, backgrounds=False)
    _write_manifest(out / "backgrounds.csv", records, backgrounds=True)
    left_out = [(r["package"], *pair) for r in records for pair in r["left_out"]]
    write_rows(out / "left_out.csv", ("package", "source", "reason"), left_out)
    lines = [_attribution(record) for record in records if record["pieces"]]
    write_text(out / "ATTRIBUTION.md", _ATTRIBUTION + "".join(lines))


def _write_manifest(path: Path, records: Sequence[PackageRecord], *, backgrounds: bool) -> None:
    """Write one of the two; none where it would have no rows."""
    header = (*_COLUMNS, *_MORE_COLUMNS[: None if backgrounds else -1])
    rows = [
        _row(record, piece)[: len(header)]
        for record in records
        for piece in record["pieces"]
        if (piece["kind"] == "background") == backgrounds
    ]
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_rows(path, header, sorted(rows))
    read_manifest(path)


def _row(record: PackageRecord, piece: Piece) -> tuple[str | float | None, ...]:
    about = (piece["file"], piece["kind"], _split(piece["group"]), piece["group"])
    origin = (record["package"], record["version"], piece["licence"])
    return *about, *origin, piece["seconds"], piece["source"], piece["nonstationary_db"]


def _split(group: str) -> str:
    """The side of a recording: by a hash of its name, whatever else is in the corpus."""
    place = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 16**8
    if place < _TEST_SHARE:
        return "test"
    return "valid" if place < _TEST_SHARE + _VALID_SHARE else "train"


def _attribution(record: PackageRecord) -> str:
    licences = ", ".join(sorted({piece["licence"] for piece in record["pieces"]}))
    cells = (record["package"], record["version"], licences, record["homepage"])
    return f"| {' | '.join(cells)} | {len(record['pieces'])} |\n"


def hours_by_kind(records: Sequence[PackageRecord]) -> list[tuple[str, int, float]]:
    """Kind, number of pieces and hours, the longest first."""
    counts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for piece in (piece for record in records for piece in record["pieces"]):
        counts[piece["kind"]] += 1
        seconds[piece["kind"]] += piece["seconds"]  # pyright: ignore[reportArgumentType]
    return [(kind, counts[kind], total / 3600) for kind, total in seconds.most_common()]
