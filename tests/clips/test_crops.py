import torch

from byola_diff.clips.crops import crop_draws, crop_starts
from byola_diff.randomness import counter_uniform, derive_seed


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
