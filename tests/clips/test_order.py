import pytest
import torch

from byola_diff.clips.order import batch_indices, crop_draws, crop_starts, steps_per_epoch
from byola_diff.randomness import counter_uniform, derive_seed


def epoch_clips(world_size, batch_size, n_clips=50, seed=0, epoch=0):
    steps = range(steps_per_epoch(n_clips, batch_size, world_size))
    return torch.cat(
        [
            batch_indices(seed, epoch, step, rank, world_size, batch_size, n_clips)
            for step in steps
            for rank in range(world_size)
        ]
    )


def test_steps_by_hand():
    assert steps_per_epoch(50, 4) == 12
    assert steps_per_epoch(50, 4, world_size=3) == 4
    assert steps_per_epoch(12, 4, world_size=3) == 1


def test_fewer_clips_than_a_batch():
    with pytest.raises(
        ValueError, match=r"11 clips are fewer than one global batch of 12.*lower --data.batch_size"
    ):
        steps_per_epoch(11, 4, world_size=3)
    with pytest.raises(ValueError, match=r"^1 clip is fewer than one global batch of 4 "):
        steps_per_epoch(1, 4)


@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_ranks_share_the_clips_each_once(world_size):
    clips = epoch_clips(world_size, batch_size=5)
    assert sorted(clips.tolist()) == list(range(50))


def test_global_batch_does_not_depend_on_the_number_of_processes():
    assert torch.equal(epoch_clips(1, 12), epoch_clips(3, 4))


def test_order_depends_on_seed_and_epoch_alone():
    first = epoch_clips(1, 5)
    assert not torch.equal(first, epoch_clips(1, 5, epoch=1))
    assert not torch.equal(first, epoch_clips(1, 5, seed=1))
    assert torch.equal(first, epoch_clips(1, 5))


def test_a_batch_is_the_callers_own():
    batch_indices(0, 0, 0, 0, 1, 5, 50).zero_()
    assert sorted(epoch_clips(1, 5).tolist()) == list(range(50))


def starts(lengths, crop_samples, draw):
    draws = torch.full((len(lengths),), draw)
    return crop_starts(draws, torch.tensor(lengths), crop_samples).tolist()


def test_starts_by_hand():
    assert starts([10, 11, 14, 3], 10, 0) == [0, 0, 0, 0]
    assert starts([10, 11, 14, 3], 10, (1 << 24) - 1) == [0, 1, 4, 0]
    assert starts([13], 10, 1 << 23) == [2]


def test_law_of_the_contract():
    clips = torch.arange(1000)
    uniform = counter_uniform(derive_seed(7, "crop", 3), clips).double()
    expected = (uniform * (80_000 - 15_200 + 1)).floor().long()
    actual = crop_starts(crop_draws(7, 3, clips), torch.full((1000,), 80_000), 15_200)
    assert torch.equal(actual, expected)


def test_all_positions_alike_with_the_last():
    clips = torch.arange(60_000)
    positions = crop_starts(crop_draws(0, 0, clips), torch.full((60_000,), 15), 10)
    counts = torch.bincount(positions)
    assert len(counts) == 6
    # Binomial with mean 10000 and deviation 91: five deviations.
    assert (counts - 10_000).abs().max() < 456


def test_new_in_each_epoch_and_seed_and_alike_in_any_batch():
    clips = torch.arange(100)
    draws = crop_draws(0, 0, clips)
    assert (draws != crop_draws(0, 1, clips)).float().mean() > 0.99
    assert (draws != crop_draws(1, 0, clips)).float().mean() > 0.99
    assert torch.equal(crop_draws(0, 0, clips[[9, 3]]), draws[[9, 3]])


def test_never_past_the_last_position_in_long_clips():
    top = (1 << 24) - 1
    lengths = [16_000 * 1200, (1 << 24) + 3, 999_983]
    assert all(s <= n - 10 for s, n in zip(starts(lengths, 10, top), lengths, strict=True))
