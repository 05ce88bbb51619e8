"""Endless streams of clips: procedural sounds, and several sources mixed at stated shares."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.clips.source import ANY_INDEX, ClipSource, Rejection
from byola_diff.randomness import torch_generator
from byola_diff.sounds import training_batch

_PERIOD = 1000
"""Clips within which each source has its exact share."""


class ProceduralSource(ClipSource):
    """Clip k is a sound that depends on (seed, k) alone."""

    endless, n_clips = True, ANY_INDEX

    def __init__(
        self,
        seed: int,
        n_samples: int,
        sample_rate: int,
        on_device: bool = True,
        moved: float = 0.0,
    ) -> None:
        """Keep the settings; clips not made on the device that trains are made by loader workers.

        A batch is some thousand small operations, of which a fast GPU would spend more time on the
        launching than on the training step. Second views are of clips `moved` as by
        `training_batch`, unless that is 0.
        """
        self.on_device, self.moved = on_device, moved
        self.seed, self.n_samples, self.sample_rate = seed, n_samples, sample_rate

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Clips in the order asked for; every epoch is the same, for no index comes twice."""
        return training_batch(self.seed, clips.to(device), self.n_samples, self.sample_rate)

    def second_batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"] | None:
        """As of the base class."""
        if self.moved == 0:
            return None
        size = self.n_samples, self.sample_rate
        return training_batch(self.seed, clips.to(device), *size, self.moved)

    def identity(self) -> str:
        """As of the base class."""
        return "procedural sounds"


class MixedSource(ClipSource):
    """Clip k of the stream comes from a source, and is a clip of it, by (seed, k) alone.

    Every thousand clips hold each source as often as its share says, in an order drawn anew. A
    source is passed through in shuffled epochs of its own, none of its clips left out. Sources have
    one sample rate, and shares add up to 1.
    """

    endless, n_clips = True, ANY_INDEX

    def __init__(self, sources: Sequence[ClipSource], shares: Sequence[float], seed: int) -> None:
        self.sources, self.seed = list(sources), seed
        self.counts = clips_per_period(shares)
        self.sample_rate = sources[0].sample_rate
        self.on_device = all(source.on_device for source in sources)

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Clips of the stream in the order asked for, on `device`; it has but one epoch."""
        return self._gathered(clips, device, lambda source: source.batch)

    def second_batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"] | None:
        """As of the base class; of a source that has no others, the clips of `batch` again."""
        none = torch.arange(0)
        differ = [source.second_batch(0, none, device) is not None for source in self.sources]
        if not any(differ):
            return None
        other = dict(zip(self.sources, differ, strict=True))
        return self._gathered(
            clips, device, lambda source: source.second_batch if other[source] else source.batch
        )

    def _gathered(
        self,
        clips: Int[Tensor, " batch"],
        device: torch.device | str,
        method: Callable[[ClipSource], Callable[..., Tensor | None]],
    ) -> Float[Tensor, "batch sample"]:
        """What a method of each source gives for its clips, in the order of `clips`."""
        number, taken = self.places(clips.cpu())
        parts, rows = [], []
        for index, source in enumerate(self.sources):
            mine = (number == index).nonzero()[:, 0]
            for source_epoch, inside, source_clips in self._by_epoch(index, taken[mine]):
                parts.append(method(source)(source_epoch, source_clips, device))
                rows.append(mine[inside])
        order = torch.cat(rows).argsort().to(device, non_blocking=True)
        return torch.cat(parts)[order]

    def places(
        self, clips: Int[Tensor, " batch"]
    ) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
        """Source of each clip of the stream, and how many clips that source gave before it."""
        period, place = torch.div(clips, _PERIOD, rounding_mode="floor"), clips % _PERIOD
        number, before = torch.empty_like(clips), torch.empty_like(clips)
        for one in period.unique().tolist():
            here = period == one
            numbers, befores = _period_order(self.seed, one, tuple(self.counts))
            number[here], before[here] = numbers[place[here]], befores[place[here]]
        return number, period * torch.tensor(self.counts)[number] + before

    def take_rejected(self) -> list[Rejection]:
        """Those of all sources, whose files may have the same names: each with its source."""
        return [
            Rejection(f"sources[{index}]/{file}", reason)
            for index, source in enumerate(self.sources)
            for file, reason in source.take_rejected()
        ]

    def _by_epoch(
        self, index: int, taken: Int[Tensor, " some"]
    ) -> list[tuple[int, Int[Tensor, " _"], Int[Tensor, " _"]]]:
        """Epoch, places within `taken`, and clips of the source, of each epoch touched."""
        source = self.sources[index]
        if source.endless:
            return [(0, torch.arange(len(taken)), taken)]
        epochs, found = torch.div(taken, source.n_clips, rounding_mode="floor"), []
        for epoch in epochs.unique().tolist():
            inside = (epochs == epoch).nonzero()[:, 0]
            order = _source_order(self.seed, index, epoch, source.n_clips)
            found.append((epoch, inside, order[taken[inside] % source.n_clips]))
        return found


def clips_per_period(shares: Sequence[float]) -> list[int]:
    """Clips of each source among a thousand: the shares, rounded so that no source is lost."""
    ends = [round(sum(shares[: end + 1]) * _PERIOD) for end in range(len(shares))]
    counts = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    for index in range(len(counts)):
        if counts[index] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    return counts


@lru_cache(maxsize=8)  # a batch of a few thousand clips lies across several
def _period_order(seed: int, period: int, counts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Source of each place of a period, and how often that source came before in it."""
    sorted_numbers = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    order = torch.randperm(_PERIOD, generator=torch_generator(seed, "shares", period))
    numbers = sorted_numbers[order]
    before = torch.empty_like(numbers)
    for number, count in enumerate(counts):
        before[numbers == number] = torch.arange(count)
    return numbers, before


@lru_cache(maxsize=16)
def _source_order(seed: int, index: int, epoch: int, n_clips: int) -> Tensor:
    return torch.randperm(n_clips, generator=torch_generator(seed, "order", index, epoch))
