"""Rendering of a list of families, and the parts that families are built from."""

import math

import pytest
import torch

from byola_diff.sounds import render
from byola_diff.sounds.curves import harmonics, phase
from byola_diff.sounds.events import hits, local_time, modes, rung
from byola_diff.sounds.inputs import SLOTS, Draw, TimeAxis, fast_size, uniform_rows
from byola_diff.sounds.spectra import shaped_noise, tilt
from byola_diff.sounds.tones import harmonic_tone

RATE = 16_000


def axis(n_samples, batch=1):
    return TimeAxis(n_samples, RATE, torch.zeros(batch, 1))


def test_families_may_be_mixed_in_one_call():
    clips = render(["bell", "rain", "bell"], 0, torch.tensor([1, 2, 3]), 4000, RATE)
    bells = render(["bell", "bell"], 0, torch.tensor([1, 3]), 4000, RATE)
    torch.testing.assert_close(clips[[0, 2]], bells, atol=2e-5, rtol=0)


def test_nothing_to_render_is_no_error():
    assert render([], 0, torch.zeros(0, dtype=torch.long), 100, RATE).shape == (0, 100)


def test_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['bel'\]; there are .*'bell'"):
        render(["bel"], 0, torch.tensor([0]), 100, RATE)


def test_bad_lengths_are_refused():
    with pytest.raises(ValueError, match="n_samples 0"):
        render(["bell"], 0, torch.tensor([0]), 0, RATE)
    with pytest.raises(ValueError, match="1 families for 2 clips"):
        render(["bell"], 0, torch.tensor([0, 1]), 100, RATE)


def test_harmonic_tone_has_the_pitch_it_drew():
    uniforms = torch.zeros(5, SLOTS)  # all parameters at their lowest: no vibrato
    uniforms[:, 0] = torch.linspace(0.05, 0.95, 5)  # but the pitch
    draw = Draw(uniforms)
    tone = harmonic_tone(draw, axis(RATE, batch=5))
    spectrum = torch.fft.rfft(tone).abs()  # 1 Hz per bin
    pitch_hz = draw.named["pitch_hz"][:, 0]
    torch.testing.assert_close(spectrum.argmax(1).float(), pitch_hz, atol=3, rtol=0)


def test_harmonics_are_sines_at_multiples():
    cycles = torch.rand(2, 50, generator=torch.Generator().manual_seed(0))
    amplitude = torch.tensor([[1.0, 0.5, 0.25], [0.0, 0.0, 1.0]])
    expected = sum(
        amplitude[:, k - 1, None] * torch.sin(2 * math.pi * k * cycles) for k in (1, 2, 3)
    )
    torch.testing.assert_close(harmonics(cycles, amplitude), expected, atol=1e-5, rtol=0)


def test_phase_stays_exact_for_long_clips():
    steady = phase(torch.tensor([[8.0]]), axis(20 * RATE))
    swept = phase(torch.full((1, 20 * RATE), 8.0), axis(20 * RATE))
    last_cycles = torch.tensor([0.0, 8 / RATE]).expand(1, 2)
    for cycles in (steady, swept):
        # The last sample ends a whole cycle; one step further begins the next.
        assert min(cycles[0, -1].item(), 1 - cycles[0, -1].item()) < 1e-5
        torch.testing.assert_close(cycles[:, 0], last_cycles[:, 1], atol=1e-6, rtol=0)


def test_modes_equal_their_formula():
    seconds = torch.arange(1000) / RATE
    frequency_hz, decay_s = torch.tensor([[300.0, 7900.0]]), torch.tensor([[0.02, 0.02]])
    ringing = modes(seconds, frequency_hz, decay_s, torch.tensor([[0.5, 1.0]]), RATE)
    # The second mode lies too near 8 kHz and is left out.
    expected = 0.5 * torch.sin(2 * math.pi * 300 * seconds) * torch.exp(-seconds / 0.02)
    torch.testing.assert_close(ringing[0], expected, atol=1e-5, rtol=0)


def test_hits_ring_at_their_times_and_are_cut_at_the_end():
    time = TimeAxis(10, 10, torch.tensor([[0.2]]))
    impulses = hits(
        time, torch.tensor([[0.0, 0.6, 5.0, -1.0]]), torch.tensor([[1.0, 2.0, 1.0, 1.0]])
    )
    rung_once = rung(time, impulses, torch.tensor([[1.0, -1.0, 0.5]]))
    expected = torch.tensor([[0, 0, 1, -1, 0.5, 0, 0, 0, 2, -2.0]])
    torch.testing.assert_close(rung_once, expected, atol=1e-6, rtol=0)


def test_local_time_restarts_and_ends():
    seconds = torch.tensor([[-0.5, 0.0, 0.75, 1.25, 2.5]])
    local = local_time(seconds, torch.tensor([[1.0]]), torch.tensor([[2.0]]))
    assert local.tolist() == [[-1.0, 0.0, 0.75, 0.25, -1.0]]


def test_shaped_noise_has_unit_power_and_the_slope_asked_for():
    draw = Draw(uniform_rows(0, torch.arange(8), ["test"] * 8))
    time = axis(15_360, batch=8)
    noise = shaped_noise(draw, "noise", time, tilt(time, torch.full((8, 1), -6.0)))
    assert noise.square().mean().item() == pytest.approx(1, abs=0.1)
    power = torch.fft.rfft(noise).abs().square().mean(0)
    octave = [power[f : 2 * f].mean().item() for f in (960, 1920)]  # from 1 and from 2 kHz
    assert 10 * math.log10(octave[0] / octave[1]) == pytest.approx(6, abs=0.5)


def test_draws_are_named_once_bounded_and_independent_of_the_batch():
    draw = Draw(uniform_rows(0, torch.tensor([5, 6]), ["a", "a"]))
    alone = Draw(uniform_rows(0, torch.tensor([6]), ["a"]))
    pitch_hz = draw.log_uniform("pitch_hz", 10, 1000)
    assert torch.equal(pitch_hz[1:], alone.log_uniform("pitch_hz", 10, 1000))
    assert ((pitch_hz >= 10) & (pitch_hz < 1000)).all()
    assert set(draw.integer("count", 1, 2)[:, 0].tolist()) <= {1.0, 2.0}
    with pytest.raises(RuntimeError, match="drawn twice"):
        draw.uniform("pitch_hz", 0, 1)
    with pytest.raises(RuntimeError, match="more than 256"):
        draw.uniform("many", 0, 1, count=SLOTS)


@pytest.mark.parametrize(("n_samples", "size"), [(1, 2), (15_200, 15_360), (32_000, 32_768)])
def test_fast_size(n_samples, size):
    assert fast_size(n_samples) == size
