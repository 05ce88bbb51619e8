r"""A part of a corpus small enough to be carried to a machine, for `gpu_run.py`.

    python benchmarks/select_corpus.py CORPUS OUT --max-mb 45 --kinds effects music \
        --labelled ESC10/manifest.csv --labelled-mb 8

CORPUS/manifest.csv has the columns `file` and `label`, the kind, as `make free-corpus` writes them.
All clips of the first kind are taken, then those of the next, until OUT is full; within a kind
evenly from all folders. OUT/clips holds them, OUT/labelled clips to score with, evenly from all
their labels and from all folds or splits; licences are copied along.
"""

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from byola_diff.probing.nearest import judged_sides
from byola_diff.tables.manifest import read_manifest


def in_turn(rows: list[dict[str, str]], group: str) -> Iterator[dict[str, str]]:
    """Rows by turns from all groups, so that any first part of them has of each."""
    groups = defaultdict(list)
    for row in rows:
        key = Path(row["file"]).parent if group == "file" else row[group]
        groups[key].append(row)
    longest = max(map(len, groups.values()), default=0)
    for place in range(longest):
        yield from (members[place] for members in groups.values() if place < len(members))


def evenly(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Rows by turns from all labels, those of a label by turns from all splits or folds.

    Each label begins with another one: any first part has of each label and of each side.
    """
    side = "split" if "split" in rows[0] else "fold"
    sides, labels = sorted({row[side] for row in rows}), sorted({row["label"] for row in rows})
    ordered = []
    for turn, label in enumerate(labels):
        own = [row for row in rows if row["label"] == label]
        own.sort(key=lambda row: (sides.index(row[side]) - turn) % len(sides))
        ordered += in_turn(own, side)
    return in_turn(ordered, "label")


def copy_until_full(
    rows: Iterator[dict[str, str]], source: Path, out: Path, most_bytes: int
) -> list[dict[str, str]]:
    """Copy the files of rows while they fit, and return the rows taken."""
    taken, used = [], 0
    for row in rows:
        path = source / row["file"]
        used += path.stat().st_size
        if used > most_bytes:
            break
        (out / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / row["file"])
        taken.append(row)
    return taken


def read_rows(manifest: Path) -> list[dict[str, str]]:
    """Rows of a CSV with a header."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(rows: list[dict[str, str]], manifest: Path) -> None:
    """Write rows with their columns as header."""
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Choose and copy."""
    options = parse_args()
    if options.out.exists() and any(options.out.iterdir()):
        raise SystemExit(f"select_corpus: {options.out} is not empty")
    left = int(options.max_mb * 1e6)
    if options.labelled:
        source, folder = options.labelled.parent, options.out / "labelled"
        room = int(options.labelled_mb * 1e6)
        labelled = copy_until_full(evenly(read_rows(options.labelled)), source, folder, room)
        if not labelled:
            raise SystemExit("select_corpus: --labelled-mb has no room for a clip: give more")
        write_rows(labelled, folder / "manifest.csv")
        judged_sides(read_manifest(folder / "manifest.csv"))  # scores need clips on both sides
        left -= sum((folder / row["file"]).stat().st_size for row in labelled)
        print(f"{len(labelled)} labelled clips")
    rows = read_rows(options.corpus / "manifest.csv")
    ordered = (
        row
        for kind in options.kinds
        for row in in_turn([row for row in rows if row["label"] == kind], "file")
    )
    taken = copy_until_full(ordered, options.corpus, options.out / "clips", left)
    write_rows(taken, options.out / "clips" / "manifest.csv")
    if (options.corpus / "licences").is_dir():
        shutil.copytree(options.corpus / "licences", options.out / "licences")
    counts = {kind: sum(row["label"] == kind for row in taken) for kind in options.kinds}
    print(f"{len(taken)} clips: {counts}")


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="folder with a manifest.csv of file and label")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--max-mb", type=float, default=45.0, help="size of OUT (default: 45)")
    parser.add_argument("--kinds", nargs="+", default=["effects", "instrument", "music", "speech"])
    parser.add_argument("--labelled", type=Path, help="manifest of clips to score with")
    parser.add_argument("--labelled-mb", type=float, default=8.0, help="their size (default: 8)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
