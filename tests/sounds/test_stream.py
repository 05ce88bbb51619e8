"""The endless stream of training clips."""

import pytest
import torch

from byola_diff.sounds import training_batch
from byola_diff.sounds.inputs import uniform_rows

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


def test_moved_clips_are_alike_and_not_the_same():
    clips = torch.arange(64)
    plain = training_batch(0, clips, 15_200, RATE)
    moved = training_batch(0, clips, 15_200, RATE, moved=0.05)
    assert torch.equal(moved, training_batch(0, clips, 15_200, RATE, moved=0.05))
    assert moved.isfinite().all()
    assert moved.abs().amax() <= 1

    def spectra(waveform):
        power = torch.fft.rfft(waveform).abs().square()
        return torch.nn.functional.avg_pool1d(power, 76).log()

    one, other = spectra(plain), spectra(moved)
    own = (one - other).abs().mean(1)
    others = (one - other.roll(1, 0)).abs().mean(1)
    assert (own > 0).all()
    assert own.median() < others.median() / 2


def test_moved_parameters_are_normal_and_reflected():
    indices, purposes = torch.arange(2000), ["tone"] * 2000
    plain = uniform_rows(3, indices, purposes).double()
    moved = uniform_rows(3, indices, purposes, moved=0.1)
    assert moved.dtype == torch.float32  # as sounds are rendered in
    assert ((moved >= 0) & (moved < 1)).all()
    inside = (plain > 0.4) & (plain < 0.6)  # four deviations from either end
    steps = (moved - plain)[inside]
    assert abs(steps.mean()) < 0.001
    assert abs(steps.std() - 0.1) < 0.001
    # Near 0, half of the steps are turned back: |plain + step| has no values piled up at 0.
    low = moved[plain < 0.01]
    assert (low < 0.001).double().mean() < 0.02
    assert torch.equal(uniform_rows(3, indices, purposes, 0.0), uniform_rows(3, indices, purposes))
