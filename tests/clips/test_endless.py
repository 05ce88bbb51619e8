from collections import Counter

import pytest
import torch

from byola_diff.clips.endless import MixedSource, ProceduralSource, clips_per_period
from byola_diff.clips.source import ClipSource, Rejection
from byola_diff.sounds import training_batch


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


@pytest.fixture(scope="module")
def procedural():
    return ProceduralSource(5, 5120, 16_000)


def test_procedural_is_an_endless_source_on_the_device(procedural):
    assert isinstance(procedural, ClipSource)
    assert procedural.take_rejected() == []
    assert procedural.on_device
    assert procedural.endless
    assert procedural.sample_rate == 16_000
    assert procedural.n_clips > 10**18


def test_procedural_clip_depends_on_seed_and_number_alone(procedural):
    batch = procedural.batch(0, torch.tensor([3, 10**12, 3]), "cpu")
    assert batch.shape == (3, 5120)
    assert torch.equal(batch[0], batch[2])
    assert not torch.equal(batch[0], batch[1])
    # Not to the bit: some processors sum a batch of another size in another order.
    alone = procedural.batch(1, torch.tensor([3]), "cpu")[0]
    torch.testing.assert_close(alone, batch[0], rtol=0, atol=2e-5)
    assert not torch.equal(
        ProceduralSource(6, 5120, 16_000).batch(0, torch.tensor([3]), "cpu")[0], batch[0]
    )


def test_procedural_is_the_stream_of_training_sounds(procedural):
    clips = torch.arange(2)
    assert torch.equal(procedural.batch(0, clips, "cpu"), training_batch(5, clips, 5120, 16_000))


def test_second_views_are_of_moved_clips_where_there_are_such(procedural):
    clips = torch.arange(2)
    assert procedural.second_batch(0, clips) is None
    source = ProceduralSource(5, 5120, 16_000, moved=0.25)
    assert torch.equal(source.batch(0, clips), procedural.batch(0, clips))
    expected = training_batch(5, clips, 5120, 16_000, moved=0.25)
    assert torch.equal(source.second_batch(0, clips), expected)


def test_a_mixture_gives_second_views_of_those_sources_alone_that_have_them(procedural):
    still = ProceduralSource(9, 5120, 16_000)
    moving = ProceduralSource(5, 5120, 16_000, moved=0.25)
    clips = torch.arange(12)
    assert MixedSource([still, procedural], [0.5, 0.5], seed=0).second_batch(0, clips) is None
    mixture = MixedSource([still, moving], [0.5, 0.5], seed=0)
    number, _ = mixture.places(clips)
    differs = (mixture.batch(0, clips) != mixture.second_batch(0, clips)).any(1)
    assert differs.tolist() == (number == 1).tolist()
    assert 0 < differs.sum() < len(clips)


@pytest.mark.parametrize("shares", [[0.4995, 0.001, 0.4995], [0.001, 0.0015, 0.9975]])
def test_no_source_is_lost_to_rounding(shares):
    counts = clips_per_period(shares)
    assert sum(counts) == 1000
    assert counts[shares.index(0.001)] == 1


def test_files_of_one_name_are_told_apart_by_their_source():
    def source(reason):
        source = ClipSource()
        source.sample_rate, source.n_clips = 16_000, 10
        source.take_rejected = lambda: [Rejection("a/bad.wav", reason)]
        return source

    mixed = MixedSource([source("empty"), source("no audio")], [0.5, 0.5], seed=0)
    assert mixed.take_rejected() == [
        ("sources[0]/a/bad.wav", "empty"),
        ("sources[1]/a/bad.wav", "no audio"),
    ]
