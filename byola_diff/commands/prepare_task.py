"""Write the manifest of a downstream task for data that you have downloaded and extracted.

    python datasets/prepare_task.py esc50 data/ESC-50-master

Writes DIR/TASK.csv with the published split, and DIR/TASK.task.json with what was found, what is
missing and the licence of the data. Nothing is downloaded, and no audio is read or changed. Where a
data set has no published split, a split of our own is drawn that keeps speakers or tones apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from byola_diff.command_line import exit_status, read_options
from byola_diff.corpora.prepare import Choices, TaskDataError, prepare_task
from byola_diff.corpora.registry import TASKS, OwnSplit, TaskSpec
from byola_diff.option_fields import POSITIONAL, one_of


@dataclass(frozen=True, kw_only=True)
class PrepareTaskOptions(Choices):
    """Which task, and what may differ from the published one."""

    task: Annotated[str, POSITIONAL, one_of(TASKS), "TASK"]
    """One of those that --help-all describes."""
    folder: Annotated[Path, POSITIONAL, "DIR"]
    """Folder of the extracted data."""
    out: Annotated[Path, "CSV"] | None = None
    """Manifest (default: DIR/TASK.csv)."""

    def __post_init__(self) -> None:
        if not 0 <= self.allow_missing < 1:
            raise ValueError("--allow-missing must be a share from 0 to less than 1")
        if self.out is not None and self.out.suffix != ".csv":
            raise ValueError("--out must end in .csv")


def main(arguments: Sequence[str] | None = None, prog: str = "prepare_task.py") -> int:
    """Exit status: 0 for a written manifest, 2 for wrong arguments or data."""
    args = read_options(
        PrepareTaskOptions, arguments, prog=prog, description=__doc__, details=_tasks()
    )
    where = f"{prog}: {args.task}"
    return exit_status(where, partial(_prepare, args), (TaskDataError, OSError))


def _prepare(args: PrepareTaskOptions) -> None:
    spec = TASKS[args.task]
    out = args.out or args.folder / f"{args.task}.csv"
    print_summary(spec, out, prepare_task(spec, args.folder, out, args))


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


def _tasks() -> str:
    """The tasks with what their folders must hold, for the help."""
    return "tasks:\n" + "\n".join(
        f"  {spec.name}: {spec.title}\n      {spec.where}\n      DIR holds {spec.layout}"
        for spec in TASKS.values()
    )
