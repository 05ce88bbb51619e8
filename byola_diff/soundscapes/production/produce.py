"""Work on many items in several processes: refused ones are listed, the rest goes on.

What an item becomes must depend on the item alone. Results come in the order of the items, and each
process computes in one thread, so the number of processes changes no bit.
"""

import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from tqdm import tqdm

from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.render.plan import CLIPPING_REMEDY, ClippingError
from byola_diff.tables.rows import write_rows
from byola_diff.workers import outcomes

T = TypeVar("T")
R = TypeVar("R")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Refusal:
    """An item that can't be made, and why."""

    name: str
    reason: str
    clips: bool = False
    """Whether a lower level would mend it."""


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
    done: dict[int, R] = {}
    refused: dict[int, Refusal] = {}
    attempts = outcomes(items, partial(_attempt, work), min(n_workers, len(items)), ["pyloudnorm"])
    with tqdm(total=len(items), desc=title, unit="item") as bar, closing(attempts):
        for place, result_of in attempts:
            name = name_of(items[place])
            try:
                outcome = result_of()
            except ModuleNotFoundError:  # says what to install, and is no fault of the item
                raise
            except Exception as error:
                raise RuntimeError(f"{title} stopped at {name}: {_what(error)}") from error
            if isinstance(outcome, Refusal):
                reason = outcome.reason.removeprefix(f"{name}: ")  # some errors name their item
                refused[place] = replace(outcome, name=name, reason=reason)
                bar.set_postfix(refused=len(refused), refresh=False)
            else:
                done[place] = outcome
            bar.update()
    return ProductionResult(
        tuple((items[place], done[place]) for place in sorted(done)),
        tuple(refused[place] for place in sorted(refused)),
    )


def _attempt(work: Callable[[T], R], item: T) -> R | Refusal:
    """The result, or a refusal without the name of the item."""
    try:
        return work(item)
    except (AudioFileError, ValueError, OSError) as error:
        if _is_full_disk(error):
            raise  # it would meet all items that follow
        clips = isinstance(error, ClippingError)
        return Refusal("", str(error) or type(error).__name__, clips)


def _is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def _what(error: Exception) -> str:
    if _is_full_disk(error):
        return "disk full; free space and give the same command"
    return f"{type(error).__name__}: {error}"


def named_by_option(refused: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """The refusals in the words of a command that sets the level by its option --ref-db."""
    return tuple(
        replace(one, reason=one.reason.replace(CLIPPING_REMEDY, "lower --ref-db"))
        if one.clips
        else one
        for one in refused
    )


def write_refused(path: Path, refused: Sequence[Refusal]) -> None:
    """Write the refused items with their reasons as CSV; remove the file if there are none."""
    if refused:
        write_rows(path, ["item", "reason"], [[one.name, one.reason] for one in refused])
    else:
        path.unlink(missing_ok=True)
