import pytest
import torch

from byola_diff.clips.order import batch_indices, steps_per_epoch


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
    with pytest.raises(ValueError, match=r"11 clips are fewer than one global batch of 12.*lower"):
        steps_per_epoch(11, 4, world_size=3)


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


@pytest.mark.parametrize(("step", "rank"), [(5, 0), (-1, 0), (0, 2), (0, -1)])
def test_no_such_step_or_rank(step, rank):
    with pytest.raises(ValueError, match=r"no (step|rank)"):
        batch_indices(0, 0, step, rank, 2, 5, 50)
