"""Write the manifest of a downstream task for data that you have downloaded and extracted.

    python datasets/prepare_task.py esc50 data/ESC-50-master

Writes DIR/TASK.csv with the published split, and DIR/TASK.task.json with what was found, what is
missing and the licence of the data. Nothing is downloaded, and no audio is read or changed. Where a
data set has no published split, a split of our own is drawn that keeps speakers or tones apart.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from byola_diff.corpora.prepare import Choices, TaskDataError, prepare_task
from byola_diff.corpora.registry import TASKS, OwnSplit, TaskSpec


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 for a written manifest, 2 for wrong arguments or data."""
    args = parse_args(arguments)
    spec = TASKS[args.task]
    out = args.out or args.folder / f"{args.task}.csv"
    choices = Choices(
        split_file=args.split_file,
        seed=args.seed,
        allow_missing=args.allow_missing,
        allow_partial=args.allow_partial,
    )
    try:
        facts = prepare_task(spec, args.folder, out, choices)
    except (TaskDataError, OSError) as error:
        print(f"prepare_task: {args.task}: {error}", file=sys.stderr)
        return 2
    print_summary(spec, out, facts)
    return 0


def print_summary(spec: TaskSpec, out: Path, facts: dict[str, Any]) -> None:
    """What was found, what is missing, and in what it is not the published task."""
    counts = ", ".join(f"{name} {number}" for name, number in facts["counts"].items())
    print(f"{out}: {spec.title}\n  {counts}")
    print(f"  split: {facts['split']}; licence of the data: {facts['licence']}")
    print(f"  {facts['missing']} of {facts['listed']} listed files are missing")
    if facts["deviations"]:
        print(f"WARNING: differs from the published task: {'; '.join(facts['deviations'])}")
    else:
        print(f"  as published: {', '.join(facts['expected'])}")
    if isinstance(spec.clips, OwnSplit) and facts["split"].startswith("our own"):
        print(f"  For the split of the papers give --split-file: {spec.clips.file}")


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Arguments of the command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_tasks(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the extracted data")
    parser.add_argument("--out", type=Path, metavar="CSV", help="manifest (default: DIR/TASK.csv)")
    parser.add_argument(
        "--split-file", type=Path, metavar="CSV", help="the split, if none comes with the data"
    )
    parser.add_argument("--seed", type=int, default=0, help="of our own split (default: 0)")
    parser.add_argument(
        "--allow-missing",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the listed files that may be absent (default: 0)",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="go on if the numbers of clips or classes are not those published",
    )
    args = parser.parse_args(arguments)
    if not 0 <= args.allow_missing < 1:
        parser.error("--allow-missing must be a share from 0 to less than 1")
    if args.out is not None and args.out.suffix != ".csv":
        parser.error("--out must end in .csv")
    return args


def _tasks() -> str:
    """The tasks with what their folders must hold, for the help."""
    return "tasks:\n" + "\n".join(
        f"  {spec.name}: {spec.title}\n      {spec.where}\n      DIR holds {spec.layout}"
        for spec in TASKS.values()
    )


if __name__ == "__main__":
    sys.exit(main())
