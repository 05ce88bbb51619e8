"""What a source of training clips is, and the tally of clips that it could not read.

A crop is a function of (seed, epoch, clip). Hence neither the kind of the source nor the number of
loader workers changes anything; but where clips can only be read in sequence (`shards.py`), their
order is that of the workers among which the shards are divided.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

ANY_INDEX = 2**62
"""Number of clips of an endless source: any index is one."""
_MAX_LISTED = 50


class Rejection(NamedTuple):
    """A file that could not be used, and why."""

    file: str
    reason: str


class ClipSource:
    """Numbered clips, of which it gives one crop per epoch as waveforms in [-1, 1].

    Clips shorter than the crop are padded with zeros on the right.
    """

    sample_rate: int
    n_clips: int
    endless = False
    """Whether any index is a clip, so that there is no pass over all of them."""
    on_device = False
    """Whether `batch` makes the waveform on a device, so that no loader is needed."""
    n_parts = 1
    """Processes that the clips are divided among: clip k can be asked of process k modulo it."""
    n_files = 0
    """Files that are decoded as training goes on, of which some may turn out unreadable."""

    @property
    def n_distinct(self) -> int:
        """Clips up to the first that comes again; statistics need no more."""
        return self.n_clips

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Crops of the given clips in their order, on `device`."""
        raise NotImplementedError

    def stored_batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Tensor:
        """`batch`, or 16-bit samples that `as_waveform` makes the same of: half as much to move."""
        return self.batch(epoch, clips, device)

    def second_batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"] | None:
        """What the second view of each clip is made of, where that is another sound than `batch`'s.

        None, as mostly, where both views are of one.
        """
        return None

    def identity(self) -> str:
        """What the clips are, in words with a hash, the same wherever they lie."""
        raise NotImplementedError

    def take_rejected(self) -> list[Rejection]:
        """Files that could not be read since the last call, each once for each time it was met."""
        return []


class TooManyRejectedError(Exception):
    """More than the allowed share of the clips could not be read."""


class UnreadableSourceError(ValueError):
    """A source none of whose clips can be read."""


class RejectionLog:
    """Files rejected so far with their reasons; a file counts once, however often it is met."""

    def __init__(self, n_clips: int, max_rejected: float = 0.05) -> None:
        if not 0 <= max_rejected <= 1:
            raise ValueError(f"max_rejected is a share in [0, 1], not {max_rejected}")
        self.n_clips = n_clips
        self.max_rejected = max_rejected
        self.reasons: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, rejections: Iterable[tuple[str, str]]) -> None:
        """Count `rejections` (file, reason).

        Raises:
            TooManyRejectedError: If more than the allowed share is rejected, with the list.
        """
        for file, reason in rejections:
            self.reasons.setdefault(file, reason)
        if len(self) > self.max_rejected * self.n_clips:
            raise TooManyRejectedError(self.report())

    def report(self) -> str:
        """The share rejected and the files with their reasons, one per line."""
        allowed = f"{self.max_rejected:.1%} allowed"
        lines = [f"{len(self)} of {self.n_clips} audio files can't be used ({allowed}):"]
        lines += [f"  {file}: {reason}" for file, reason in sorted(self.reasons.items())]
        if len(lines) > _MAX_LISTED + 1:
            lines[_MAX_LISTED + 1 :] = [f"  and {len(self) - _MAX_LISTED} more"]
        return "\n".join(lines)
