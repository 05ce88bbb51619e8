import numpy as np
import pytest
import torch

from byola_diff.evaluation.additivity.embedded import clips_over_snr, embed_over_snr
from byola_diff.evaluation.additivity.measures import additivity
from byola_diff.evaluation.additivity.mixing import level_sounds, mix_at, mix_events
from byola_diff.evaluation.additivity.procedural import render_backgrounds, render_events
from byola_diff.evaluation.additivity.projection import labels_to_show, project
from byola_diff.evaluation.additivity.quadruples import (
    AdditivityProtocol,
    event_sounds,
    open_sources,
)

RATE = 8000
SNRS_DB = (-10.0, 0.0, 20.0)
SIDES = ("first_background", "first_mixture", "second_background", "second_mixture")


@pytest.fixture(scope="module")
def sounds():
    protocol = AdditivityProtocol(24, SNRS_DB, 0.5)
    return event_sounds(open_sources(None, None, 0.5), protocol, 0, RATE)


def _scores(embed, sounds, batch_size=10):
    over = embed_over_snr(embed, sounds, SNRS_DB, batch_size)
    return {snr_db: additivity(*embedded) for snr_db, embedded in over}


def test_linear_encoder_is_additive_at_every_ratio(sounds):
    weights = torch.randn(80, 32, generator=torch.Generator().manual_seed(0))

    def frames_mean(waveform):
        return torch.stack([frame @ weights for frame in waveform.split(80, 1)[:40]]).mean(0)

    for score in _scores(frames_mean, sounds).values():
        assert score.cosine == pytest.approx(1, abs=1e-4)
        assert score.raw_cosine == pytest.approx(1, abs=1e-4)
        assert (score.recall_at_1, score.recall_at_5) == (1, 1)


def test_encoder_that_ignores_its_input_has_nothing(sounds):
    for score in _scores(lambda waveform: torch.ones(len(waveform), 4), sounds).values():
        assert (score.cosine, score.raw_cosine) == (0, 0)
        assert (score.recall_at_1, score.recall_at_5) == (0, 0)


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
    assert max(getattr(mixed, side).abs().max().item() for side in SIDES) <= 1


def test_at_0_db_quadruples_are_those_of_mix_events():
    parts = render_events(12, 0, RATE, 8000)[0], *render_backgrounds(12, 0, RATE, 8000)
    ours = mix_at(level_sounds(*parts, ["x"] * 12, (-10.0, 0.0)), 0.0)
    theirs = mix_events(*parts, 0.0)
    for side in SIDES:
        torch.testing.assert_close(getattr(ours, side), getattr(theirs, side), rtol=0, atol=0)


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


def test_backgrounds_are_embedded_once_per_level(sounds):
    counted = []

    def embed(waveform):
        counted.append(len(waveform))
        return waveform[:, :3]

    snrs_db = (-10.0, -5.0, 0.0, 5.0)
    assert len(list(embed_over_snr(embed, sounds, snrs_db, 10))) == 4
    # Two sides of 24: one background for -10 to 0 dB, one for 5 dB, and four mixtures.
    assert sum(counted) == 2 * 24 * (2 + 4) == clips_over_snr(24, snrs_db)
    assert max(counted) == 10


def test_seeds_have_other_sounds_and_one_seed_the_same():
    protocol, sources = AdditivityProtocol(6, SNRS_DB, 0.25), open_sources(None, None, 0.25)
    first, again, other = (event_sounds(sources, protocol, seed, RATE) for seed in (0, 0, 1))
    torch.testing.assert_close(first.events, again.events, rtol=0, atol=0)
    torch.testing.assert_close(first.first_background, again.first_background, rtol=0, atol=0)
    assert not torch.equal(first.events, other.events)
    assert not torch.equal(first.second_background, other.second_background)


def test_main_ratio_is_the_one_nearest_0():
    assert AdditivityProtocol().main_snr_db == 0
    assert AdditivityProtocol(snrs_db=(-10.0, -4.0, 4.0)).main_snr_db == 4
    assert AdditivityProtocol(snrs_db=(-3.0, 8.0)).main_snr_db == -3


def test_projection_by_hand():
    # Unit movements along the second axis and, fewer, along the first one. Lengths do not count.
    zero = torch.zeros(6, 3)
    units = [[0, 1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0], [1, 0, 0], [-1, 0, 0]]
    lengths = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    moved = lengths * torch.tensor(units, dtype=torch.float32)
    shown = project((zero, moved, zero, 2 * moved), list("abcdef"))
    expected = [[1, 0], [-1, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]
    np.testing.assert_allclose(shown.first, expected, atol=1e-6)
    np.testing.assert_allclose(shown.second, expected, atol=1e-6)
    assert shown.shares == pytest.approx((4 / 6, 2 / 6))


def test_projection_leaves_out_what_is_common_to_all_events():
    zero, half = torch.zeros(2, 2), 0.5**0.5
    moved = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # unit length: (half, half), (half, -half)
    shown = project((zero, moved, zero, moved), ["a", "b"])
    np.testing.assert_allclose(shown.first, [[half, 0], [-half, 0]], atol=1e-6)
    assert shown.shares == pytest.approx((1, 0))


def test_projection_of_an_encoder_that_ignores_its_input():
    same = torch.ones(3, 1)
    shown = project((same, same, same, same), ["a", "b", "c"])
    assert not shown.first.any()
    assert shown.shares == (0, 0)


def test_labels_with_the_most_events_are_shown():
    assert labels_to_show(list("aabbbcdd"), limit=2) == ["b", "a"]
    assert labels_to_show(list("ba")) == ["a", "b"]
