import math

import pytest
import torch

from byola_diff.augment.mixup import MixupMemory, RandomMixup
from byola_diff.randomness import torch_generator


def clips(*values):
    """Clips of one band and one frame."""
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)


def held(memory):
    """Values in the memory, oldest first."""
    start = memory.n_written % memory.size if memory.n_written > memory.size else 0
    return memory.clips.flatten()[: len(memory)].roll(-start).tolist()


def test_memory_keeps_the_last_clips():
    memory = MixupMemory(1, 1, size=5)
    written = []
    for batch in ([1, 2], [3, 4], [5, 6], [7], [8, 9, 10, 11]):
        memory.write(clips(*batch))
        written += batch
        assert held(memory) == written[-5:]
        assert len(memory) == min(len(written), 5)


def test_memory_overwrites_in_a_ring():
    memory = MixupMemory(1, 1, size=3)
    memory.write(clips(1, 2))
    memory.write(clips(3, 4))
    assert memory.clips.flatten().tolist() == [4, 2, 3]


@pytest.mark.parametrize("before", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("n_clips", [3, 4, 5, 9])
def test_a_batch_of_the_memorys_size_or_more_leaves_its_own_last(before, n_clips):
    memory = MixupMemory(1, 1, size=3)
    for value in range(before):
        memory.write(clips(-value))
    batch = list(range(1, n_clips + 1))
    memory.write(clips(*batch))
    assert held(memory) == batch[-3:]
    memory.write(clips(99))
    assert held(memory) == [*batch[-2:], 99]


def test_empty_batch_writes_nothing():
    memory = MixupMemory(1, 1, size=3)
    memory.write(clips(1))
    memory.write(clips())
    assert held(memory) == [1]


def test_read_by_hand():
    memory = MixupMemory(1, 1, size=4)
    memory.write(clips(10, 20, 30))
    # Of three held, thirds: the unwritten fourth is never read.
    positions = torch.tensor([0.0, 0.33, 0.34, 0.66, 0.67, 1 - 2**-24])
    assert memory.read(positions).flatten().tolist() == [10, 10, 20, 20, 30, 30]


def test_reads_all_clips_alike():
    memory = MixupMemory(1, 1, size=4)
    memory.write(clips(0, 1, 2, 3, 4))
    read = memory.read(torch.rand(10_000, generator=torch_generator(0))).flatten()
    counts = torch.bincount(read.long())
    assert counts[0] == 0
    # Binomial with mean 2500 and deviation 43: five deviations.
    assert (counts[1:] - 2500).abs().max() < 217


def test_a_position_that_was_rounded_up_to_1_is_of_the_newest_clip():
    memory = MixupMemory(1, 1, size=4)
    memory.write(clips(0, 1, 2))
    assert memory.read(torch.tensor([1.0, 0.0])).flatten().tolist() == [2, 0]


def test_the_published_memory_holds_2048_clips():
    assert MixupMemory(1, 1).clips.shape == (2048, 1, 1, 1)


@pytest.mark.parametrize(
    ("n_held", "max_share", "mixes"), [(0, 1.0, False), (1, 0.0, False), (1, 1.0, True)]
)
def test_leaves_the_batch_alone_with_nothing_held_or_no_share(n_held, max_share, mixes):
    memory = MixupMemory(1, 1, size=4)
    memory.write(clips(*[50.0] * n_held) if n_held else torch.zeros(0, 1, 1, 1))
    batch = clips(-0.1, 0.7)
    out = RandomMixup(memory, max_share)(batch, torch_generator(0))
    assert torch.equal(out, batch) == (not mixes)


@pytest.mark.parametrize("n_written", [2, 3, 8])
def test_state_survives_a_checkpoint(n_written):
    memory = MixupMemory(1, 1, size=3)
    for value in range(n_written):
        memory.write(clips(value))
    state = {
        key: value.clone() if isinstance(value, torch.Tensor) else value
        for key, value in memory.state_dict().items()
    }
    restored = MixupMemory(1, 1, size=3)
    restored.load_state_dict(state)
    assert len(restored) == len(memory)
    for each in (memory, restored):
        each.write(clips(77))
    assert held(restored) == held(memory)
    assert restored.n_written == n_written + 1


def test_state_loads_without_pickle_code(tmp_path):
    memory = MixupMemory(1, 1, size=3)
    memory.write(clips(5, 6))
    torch.save(memory.state_dict(), tmp_path / "memory.pt")
    restored = MixupMemory(1, 1, size=3)
    restored.load_state_dict(torch.load(tmp_path / "memory.pt", weights_only=True))
    assert held(restored) == [5, 6]


def test_memory_neither_aliases_nor_takes_gradients():
    memory = MixupMemory(1, 1, size=3)
    batch = clips(1, 2).requires_grad_()
    memory.write(batch * 1)
    assert not memory.clips.requires_grad
    batch.data.fill_(9)
    assert held(memory) == [1, 2]
    out = RandomMixup(memory, 0.4)(clips(3, 4), torch_generator(0))
    out.fill_(7)
    assert held(memory) == [1, 2]


def test_empty_memory_leaves_the_batch():
    mixup = RandomMixup(MixupMemory(2, 3, size=4), 0.4)
    log_mel = torch.randn(2, 1, 2, 3, generator=torch_generator(0))
    assert torch.equal(mixup(log_mel, torch_generator(1)), log_mel)
    assert len(mixup.memory) == 0


def test_share_0_leaves_the_batch():
    mixup = RandomMixup(MixupMemory(1, 1, size=4), 0.0)
    mixup.memory.write(clips(100))
    assert mixup(clips(1, 2), torch_generator(0)).flatten().tolist() == [1, 2]


def test_draws_as_much_with_and_without_memory():
    empty, full = (RandomMixup(MixupMemory(1, 1, size=4), 0.4) for _ in range(2))
    full.memory.write(clips(1))
    generators = torch_generator(0), torch_generator(0)
    empty(clips(1, 2), generators[0])
    full(clips(1, 2), generators[1])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_shares_are_uniform_and_the_memory_has_the_smaller():
    mixup = RandomMixup(MixupMemory(1, 1, size=1), 0.4)
    mixup.memory.write(clips(math.log(3)))
    out = mixup(torch.zeros(10_000, 1, 1, 1), torch_generator(0))
    # (1 - a) * 1 + a * 3 = 1 + 2 a.
    share = (out.flatten().double().exp() - 1) / 2
    assert share.amin() > -1e-6
    assert share.amax() < 0.4
    for low in (0.0, 0.1, 0.2, 0.3):
        part = ((share >= low) & (share < low + 0.1)).double().mean()
        assert abs(part - 0.25) < 0.022  # five standard errors
    assert len(share.unique()) > 9_000


def test_mixes_each_clip_with_one_of_its_own():
    mixup = RandomMixup(MixupMemory(1, 1, size=100), 0.4)
    mixup.memory.write(clips(*range(100)))
    # Against silence, the level of the result tells the clip: log(a) + value.
    out = mixup(torch.full((1000, 1, 1, 1), -100.0), torch_generator(0)).flatten()
    draws = torch.rand(2, 1000, generator=torch_generator(0))
    expected = (100 * draws[0]).floor() + (0.4 * draws[1]).log()
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-4)


def test_equal_under_equal_seeds_and_blind_to_other_clips():
    mixup = RandomMixup(MixupMemory(2, 2, size=8), 0.4)
    mixup.memory.write(torch.randn(8, 1, 2, 2, generator=torch_generator(0)))
    log_mel = torch.randn(4, 1, 2, 2, generator=torch_generator(1))
    out = mixup(log_mel, torch_generator(2))
    assert torch.equal(out, mixup(log_mel, torch_generator(2)))
    assert not torch.equal(out, mixup(log_mel, torch_generator(3)))
    changed = log_mel.clone()
    changed[1:] = 0
    assert torch.equal(out[0], mixup(changed, torch_generator(2))[0])
