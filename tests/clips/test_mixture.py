from collections import Counter

import pytest
import torch

from byola_diff.clips.mixture import MixedSource, clips_per_period
from byola_diff.clips.source import ClipSource


class Numbers(ClipSource):
    """Clips that hold the number of their source, their own number and the epoch."""

    sample_rate, on_device = 16_000, True

    def __init__(self, number, n_clips, endless=False, on_device=True):
        self.number, self.n_clips, self.endless = float(number), n_clips, endless
        self.on_device = on_device

    def batch(self, epoch, clips, device):
        rest = [torch.full((len(clips),), value) for value in (self.number, float(epoch))]
        return torch.stack([rest[0], clips.float(), rest[1]], 1)


def mixed(seed=7):
    sources = [Numbers(0, 10), Numbers(1, 2**62, endless=True), Numbers(2, 700)]
    return MixedSource(sources, [0.25, 0.05, 0.7], seed)


def taken(source, start, end):
    return [tuple(row) for row in source.batch(0, torch.arange(start, end), "cpu").tolist()]


def test_is_an_endless_source():
    assert isinstance(mixed(), ClipSource)
    assert mixed().endless
    assert mixed().on_device
    assert not MixedSource([Numbers(0, 3), Numbers(1, 3, False, False)], [0.5, 0.5], 0).on_device


def test_every_thousand_clips_hold_the_shares():
    stream = taken(mixed(), 0, 3000)
    for start in (0, 1000, 2000):
        counts = Counter(row[0] for row in stream[start : start + 1000])
        assert counts == {0: 250, 1: 50, 2: 700}
    assert [row[0] for row in stream[:1000]] != [row[0] for row in stream[1000:2000]]


def test_sources_are_mixed_and_not_laid_one_after_the_other():
    kinds = [row[0] for row in taken(mixed(), 0, 1000)]
    for start in range(0, 1000, 100):
        counts = Counter(kinds[start : start + 100])
        assert 10 <= counts[0] <= 40
        assert 55 <= counts[2] <= 85


def test_each_source_is_passed_through_in_whole_shuffled_epochs():
    small = [row[1:] for row in taken(mixed(), 0, 1000) if row[0] == 0]
    epochs = [small[start : start + 10] for start in range(0, 250, 10)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch) == [(float(clip), float(number)) for clip in range(10)]
    assert len({tuple(clip for clip, _ in epoch) for epoch in epochs}) > 20
    endless = [row[1] for row in taken(mixed(), 0, 2000) if row[0] == 1]
    assert endless == list(range(100))


def test_a_clip_depends_on_seed_and_number_alone():
    whole = taken(mixed(), 0, 2000)
    assert taken(mixed(), 997, 1005) == whole[997:1005]
    assert mixed().batch(5, torch.tensor([1500, 3]), "cpu").tolist() == [
        list(whole[1500]),
        list(whole[3]),
    ]
    assert taken(mixed(seed=8), 0, 100) != whole[:100]


def test_shares_are_rounded_without_loss():
    assert clips_per_period([1 / 3, 1 / 3, 1 / 3]) == [333, 334, 333]
    assert clips_per_period([1.0]) == [1000]


@pytest.mark.parametrize("shares", [[0.5, 0.4], [0.9999, 0.0001], [0.7, 0.7]])
def test_shares_that_are_none(shares):
    with pytest.raises(ValueError, match="shares of at least"):
        MixedSource([Numbers(0, 3), Numbers(1, 3)], shares, 0)


def test_sources_at_two_rates():
    other = Numbers(1, 3)
    other.sample_rate = 8000
    with pytest.raises(ValueError, match=r"one sample rate, not \[8000, 16000\]"):
        MixedSource([Numbers(0, 3), other], [0.5, 0.5], 0)
