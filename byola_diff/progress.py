"""How far a piece of work is: a bar on a terminal, a line now and then where output is kept."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 30.0
"""Time between two lines, and before the first: what takes less is not told of."""
_LINE = "{desc}{n_fmt}/{total_fmt}{unit}, {elapsed} gone, {remaining} left, {rate_fmt}{postfix}"


def on_a_terminal() -> bool:
    """Whether somebody watches: the standard error is a terminal, not a file or a pipe."""
    return sys.stderr.isatty()


def progress(
    items: Iterable[Any] | None = None, *, unit: str, title: str = "", **more: Any
) -> tqdm:
    """The items, with the share done, the time left and the speed on the standard error meanwhile.

    Without items, each `update(n)` of what comes back counts `n` of `total`. `unit` is their name,
    in the plural; `more` are arguments of tqdm.
    """
    shape: dict[str, Any] = {"dynamic_ncols": True}
    if not on_a_terminal():
        every = {"mininterval": LINE_EVERY_S, "delay": LINE_EVERY_S, "miniters": 1}
        # All at one place: the cursor of a file can't go up to that of another bar.
        shape = {"file": _WholeLines(), "bar_format": _LINE, "position": 0, **every}
    description = f"{title}: " if title else None
    return tqdm(items, desc=description, unit=f" {unit}", **shape, **more)


def note(line: str) -> None:
    """Say a line on the standard error, above the bars that are there."""
    tqdm.write(line, file=sys.stderr)


class _WholeLines:
    """The standard error for tqdm: what it would draw over what is there becomes a line."""

    def write(self, text: str) -> None:
        """Write what there is to see of it."""
        if line := text.strip():
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Nothing is held back."""
