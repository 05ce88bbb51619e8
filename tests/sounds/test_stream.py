"""The endless stream of training clips."""

import pytest
import torch

from byola_diff.sounds import training_batch

RATE = 16_000


def test_clip_depends_on_seed_and_index_alone():
    together = training_batch(0, torch.arange(40), 15_200, RATE)
    some = training_batch(0, torch.tensor([31, 3]), 15_200, RATE)
    torch.testing.assert_close(together[[31, 3]], some, atol=2e-5, rtol=0)
    assert torch.equal(together, training_batch(0, torch.arange(40), 15_200, RATE))
    other = training_batch(1, torch.arange(40), 15_200, RATE)
    assert ((together - other).abs().amax(1) > 1e-3).all()


def test_clips_are_loud_and_soft_and_full_of_sound():
    clips = training_batch(0, torch.arange(200), 15_200, RATE)
    peak = clips.abs().amax(1)
    assert clips.isfinite().all()
    assert peak.max() <= 1
    assert 20 * torch.log10(peak.max() / peak.min()) > 30
    frames = clips.unflatten(1, (-1, 380)).square().mean(2)  # 24 ms
    audible = frames > 1e-5 * frames.amax(1, keepdim=True)  # within 50 dB of the loudest
    assert audible.float().mean() > 0.6
    assert (audible.float().mean(1) > 0.04).all()
    assert (clips.mean(1).abs() < 0.01 * clips.square().mean(1).sqrt()).all()


def test_neighbours_differ():
    clips = training_batch(0, torch.arange(64), 15_200, RATE)
    shape = clips / clips.norm(dim=1, keepdim=True)
    likeness = (shape @ shape.T - torch.eye(64)).abs()
    assert likeness.max() < 0.9


def test_no_clips_and_no_samples():
    assert training_batch(0, torch.zeros(0, dtype=torch.long), 100, RATE).shape == (0, 100)
    with pytest.raises(ValueError, match="n_samples 0"):
        training_batch(0, torch.tensor([0]), 0, RATE)
    assert training_batch(0, torch.arange(9), 1, RATE).isfinite().all()
