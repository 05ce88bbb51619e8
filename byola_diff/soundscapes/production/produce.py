"""Work on many items in several processes: refused ones are listed, the rest goes on.

What an item becomes must depend on the item alone. Results come in the order of the items, and each
process computes in one thread, so the number of processes changes no bit. Processes end with the
one that they serve.
"""

import errno
import platform
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from byola_diff.audio.files import AudioFileError, decoder_name
from byola_diff.audio.resample import resampler_name
from byola_diff.progress import progress
from byola_diff.soundscapes.render.plan import ClippingError
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


def produce(
    items: Sequence[T],
    work: Callable[[T], R],
    name_of: Callable[[T], str],
    *,
    n_workers: int,
    title: str,
    cluster: str | None = None,
) -> tuple[list[tuple[T, R]], list[Refusal]]:
    """Items with the results of `work`, and the refused items, with a bar on the error output.

    For more than one process, or a `cluster` as of `outcomes`, `work` has to be one that can be
    pickled. An item for which it raises AudioFileError, ValueError or OSError is refused.

    Raises:
        ModuleNotFoundError: If `work` needs a package that is not installed.
        RuntimeError: If any other error, a full disk, or a machine of the cluster that has another
            decoder or resampler stops the work; it names the item.
    """
    done: dict[int, tuple[T, R]] = {}
    refused: dict[int, Refusal] = {}
    n_workers = min(n_workers, len(items))
    attempting = partial(attempt, work)
    if cluster is not None:
        attempting = partial(_by_programs, _programs(), attempting)
    attempts = outcomes(items, attempting, n_workers, ["pyloudnorm"], cluster)
    with progress(total=len(items), title=title, unit="items") as bar, closing(attempts):
        for place, result_of in attempts:
            name = name_of(items[place])
            try:
                outcome = result_of()
            except ModuleNotFoundError:  # says what to install, and is no fault of the item
                raise
            except Exception as error:
                full = "disk full; free space and give the same command"
                what = full if _is_full_disk(error) else f"{type(error).__name__}: {error}"
                raise RuntimeError(f"{title} stopped at {name}: {what}") from error
            if isinstance(outcome, Refusal):
                reason = outcome.reason.removeprefix(f"{name}: ")  # some errors name their item
                refused[place] = replace(outcome, name=name, reason=reason)
                bar.set_postfix(refused=len(refused), refresh=False)
            else:
                done[place] = items[place], outcome
            bar.update()
    return [done[place] for place in sorted(done)], [refused[place] for place in sorted(refused)]


def write_refused(path: Path, refused: Sequence[Refusal]) -> None:
    """Write the refused items with their reasons as CSV; remove the file if there are none."""
    if refused:
        write_rows(path, ["item", "reason"], [[one.name, one.reason] for one in refused])
    else:
        path.unlink(missing_ok=True)


def attempt(work: Callable[[T], R], item: T) -> R | Refusal:
    """The result, or a refusal without the name of the item; errors are those of `produce`."""
    try:
        return work(item)
    except (AudioFileError, ValueError, OSError) as error:
        if _is_full_disk(error):
            raise  # it would meet all items that follow
        return Refusal("", str(error) or type(error).__name__, isinstance(error, ClippingError))


def _by_programs(expected: tuple[str, str], work: Callable[[T], R], item: T) -> R:
    """The result, if it is one of the machine that asks: others' programs change samples."""
    if (here := _programs()) != expected:
        raise RuntimeError(
            f"the machine {platform.node()} has {' and '.join(here)}, this one has "
            f"{' and '.join(expected)}: install the same versions"
        )
    return work(item)


def _programs() -> tuple[str, str]:
    return decoder_name(), resampler_name()


def _is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_FULL
