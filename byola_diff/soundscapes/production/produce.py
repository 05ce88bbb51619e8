"""Work on many items in several processes: refused ones are listed, the rest goes on.

What an item becomes must depend on the item alone. Results come in the order of the items, and each
process computes in one thread, so the number of processes changes no bit.
"""

import csv
import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeVar

from tqdm import tqdm

from byola_diff.atomic import atomic_path
from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.production.workers import outcomes
from byola_diff.soundscapes.render.plan import CLIPPING_REMEDY, ClippingError

T = TypeVar("T")
R = TypeVar("R")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_OPTION_REMEDY = "lower --ref-db"


@dataclass(frozen=True)
class Refusal:
    """An item that can't be made, and why."""

    name: str
    reason: str
    kind: Literal["clipping", "other"] = "other"


@dataclass(frozen=True)
class ProductionResult(Generic[T, R]):
    """What became of the items, in their order."""

    done: tuple[tuple[T, R], ...]
    refused: tuple[Refusal, ...]
    n_sources: int = 0
    """Sources that were prepared first."""


def produce(
    items: Sequence[T],
    work: Callable[[T], R],
    name_of: Callable[[T], str],
    *,
    n_workers: int,
    title: str,
) -> ProductionResult[T, R]:
    """Results of `work` for every item, and the refused items, with a bar on the error output.

    Args:
        items: In the order of the results.
        work: A function that can be pickled, for more than one process. An item for which it raises
            AudioFileError, ValueError or OSError is refused.
        name_of: What an item is called in messages.
        n_workers: Processes; 1 is this one.
        title: Of the progress bar.

    Raises:
        ValueError: If `n_workers` is below 1.
        ModuleNotFoundError: If `work` needs a package that is not installed.
        RuntimeError: If any other error, or a full disk, stops the work; it names the item.
    """
    if n_workers < 1:
        raise ValueError(f"{n_workers} workers; at least 1")
    found: list[tuple[R] | Refusal | None] = [None] * len(items)
    n_refused = 0
    attempts = outcomes(items, partial(_attempt, work), min(n_workers, len(items)))
    with tqdm(total=len(items), desc=title, unit="item") as bar, closing(attempts):
        for place, attempt in attempts:
            outcome = _named(attempt, name_of(items[place]), title)
            if isinstance(outcome, Refusal):
                n_refused += 1
                bar.set_postfix(refused=n_refused, refresh=False)
            found[place] = outcome
            bar.update()
    return ProductionResult(
        tuple((items[n], one[0]) for n, one in enumerate(found) if isinstance(one, tuple)),
        tuple(one for one in found if isinstance(one, Refusal)),
    )


def n_clipping(refused: Iterable[Refusal]) -> int:
    """How many of the refusals are for clipping."""
    return sum(one.kind == "clipping" for one in refused)


def named_by_option(refused: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """The refusals in the words of a command that sets the level by its option --ref-db."""
    return tuple(
        replace(one, reason=one.reason.replace(CLIPPING_REMEDY, _OPTION_REMEDY))
        if one.kind == "clipping"
        else one
        for one in refused
    )


def write_refused(path: Path, refused: Sequence[Refusal]) -> None:
    """Write the refused items with their reasons as CSV; remove the file if there are none."""
    if not refused:
        path.unlink(missing_ok=True)
        return
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["item", "reason"])
        writer.writerows([refusal.name, refusal.reason] for refusal in refused)


def _attempt(work: Callable[[T], R], item: T) -> tuple[R] | Refusal:
    """The result in a tuple, or a refusal without the name of the item."""
    try:
        return (work(item),)
    except (AudioFileError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise  # it would meet all items that follow
        kind = "clipping" if isinstance(error, ClippingError) else "other"
        return Refusal("", str(error) or type(error).__name__, kind)


def _named(attempt: Callable[[], tuple[R] | Refusal], name: str, title: str) -> tuple[R] | Refusal:
    """Outcome of an item; refusals, and errors that stop the work, get its name."""
    try:
        outcome = attempt()
    except ModuleNotFoundError:  # says what to install, and is no fault of the item
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            what = "disk full; free space and give the same command"
        raise RuntimeError(f"{title} stopped at {name}: {what}") from error
    if isinstance(outcome, Refusal):
        reason = outcome.reason.removeprefix(f"{name}: ")  # some errors name their item
        return replace(outcome, name=name, reason=reason)
    return outcome
