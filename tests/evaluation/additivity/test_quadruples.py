import pytest
import torch

from byola_diff.evaluation.additivity.quadruples import (
    Sources,
    event_sounds,
    level_events,
    level_sounds,
    mix_at,
)

RATE = 8000
SNRS_DB = (-10.0, 0.0, 20.0)


def procedural(n_events, duration_s, seed=0):
    """Quadruples at 0 dB."""
    return mix_at(event_sounds(Sources(), n_events, (0.0,), duration_s, seed, 16_000), 0.0)


def test_seeds_have_other_sounds_and_one_seed_the_same():
    how = (Sources(), 6, SNRS_DB, 0.25)
    first, again, other = (event_sounds(*how, seed, RATE) for seed in (0, 0, 1))
    torch.testing.assert_close(first.events, again.events, rtol=0, atol=0)
    torch.testing.assert_close(first.first_background, again.first_background, rtol=0, atol=0)
    assert not torch.equal(first.events, other.events)
    assert not torch.equal(first.second_background, other.second_background)


def test_sounds_of_an_event_do_not_depend_on_how_many_there_are():
    few, more = procedural(3, 0.25), procedural(5, 0.25)
    for one, other in zip(few, more, strict=True):
        torch.testing.assert_close(other[:3], one, rtol=0, atol=1e-6)


def test_procedural_events_all_differ_and_are_reproducible():
    mixed, again, other = (procedural(40, 0.5, seed) for seed in (3, 3, 4))
    torch.testing.assert_close(mixed.second_mixture, again.second_mixture, rtol=0, atol=0)
    assert not torch.equal(mixed.first_background, other.first_background)
    events = torch.nn.functional.normalize(mixed.first_mixture - mixed.first_background)
    alike = events @ events.T - torch.eye(40)
    assert alike.abs().max() < 0.99
    assert mixed.first_mixture.abs().max() < 1


@pytest.fixture(scope="module")
def sounds():
    return event_sounds(Sources(), 24, SNRS_DB, 0.5, 0, RATE)


@pytest.mark.parametrize("snr_db", SNRS_DB)
def test_ratio_is_that_asked_for_and_nothing_clips(sounds, snr_db):
    mixed = mix_at(sounds, snr_db)
    added = mixed.first_mixture - mixed.first_background
    torch.testing.assert_close(
        added, mixed.second_mixture - mixed.second_background, rtol=0, atol=1e-6
    )
    for event, background in zip(added, mixed.first_background, strict=True):
        loud = (event.abs() >= event.abs().max() / 100).nonzero().flatten()
        span = event[loud[0] : loud[-1] + 1]
        ratio_db = 10 * (span.square().mean() / background.square().mean()).log10()
        assert ratio_db.item() == pytest.approx(snr_db, abs=0.1)
    assert max(side.abs().max().item() for side in mixed) <= 1


def test_louder_of_both_keeps_its_level(sounds):
    low, high = mix_at(sounds, -10.0), mix_at(sounds, 20.0)
    torch.testing.assert_close(low.first_background, sounds.first_background)
    torch.testing.assert_close(high.second_background, sounds.second_background / 10)
    torch.testing.assert_close(
        high.first_mixture - high.first_background, sounds.events, rtol=0, atol=1e-6
    )


def test_peaked_quadruple_is_scaled_as_a_whole():
    click = torch.full((2, 16_000), 1e-3)
    click[0, 0] = click[0, -1] = 0.1  # a span of the whole clip, 40 dB below its ends
    noise = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    sounds = level_sounds(100 * click, noise, noise.flip(1), ["click", "hum"], (0.0, 10.0))
    peaks = mix_at(sounds, 0.0).first_mixture.abs().amax(1)
    assert max(mix_at(sounds, snr_db).first_mixture.abs().max() for snr_db in (0.0, 10.0)) <= 1
    levels = sounds.first_background.square().mean(1).sqrt()
    assert peaks[0] > 0.9
    assert levels[0] < levels[1]
    assert levels[1].item() == pytest.approx(10 ** (-32 / 20), rel=1e-4)


def test_level_of_an_event_is_that_over_its_span():
    event = torch.zeros(2, 1000)
    event[:, 200:300] = 0.01  # constant: its root mean square over the span is its value
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 2, 1000, generator=generator)
    sounds = level_sounds(event, first, 50 * second, ["x", "y"], (20.0,))
    level = 10 ** (-32 / 20)
    torch.testing.assert_close(sounds.events[:, 250], torch.full((2,), level))
    for side in (sounds.first_background, sounds.second_background):
        torch.testing.assert_close(side.square().mean(1).sqrt(), torch.full((2,), level))
    mixed = mix_at(sounds, 20.0)
    added = mixed.first_mixture - mixed.first_background
    torch.testing.assert_close(added, mixed.second_mixture - mixed.second_background)
    assert (added[0, 250] / mixed.first_background[0].square().mean().sqrt()).item() == (
        pytest.approx(10.0, abs=1e-3)
    )


def test_silence_is_refused():
    sound = torch.ones(2, 10)
    with pytest.raises(ValueError, match=r"silent sounds: \[1\]"):
        level_events(torch.stack([sound[0], 0 * sound[0]]))
    with pytest.raises(ValueError, match="silent"):
        level_sounds(sound, 0 * sound, sound, ["x", "y"], (0.0,))
