import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.evaluation.additivity.measures import (
    METRICS,
    additivity,
    clips_over_snr,
    embed_all,
    embed_over_snr,
    movement_cosines,
)
from byola_diff.evaluation.additivity.quadruples import Sources, event_sounds

RATE = 8000
SNRS_DB = (-10.0, 0.0, 20.0)


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_additive_encoder_is_perfect():
    first, second, event = _random(50, 16), _random(50, 16, seed=1), _random(50, 16, seed=2)
    score = additivity(first, first + event, second, second + event)
    assert score["cosine"] == pytest.approx(1, abs=1e-6)
    assert score["recall@1"] == 1


def test_random_embeddings_are_at_chance():
    n_events, n_trials = 100, 20
    scores = [
        additivity(*(_random(n_events, 64, seed=4 * trial + side) for side in range(4)))
        for trial in range(n_trials)
    ]
    assert sum(score["cosine"] for score in scores) / n_trials == pytest.approx(0, abs=0.01)
    assert sum(score["recall@1"] for score in scores) / n_trials == pytest.approx(0.01, abs=0.01)


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_constant_encoder_counts_against_itself(noise):
    embeddings = [torch.ones(30, 8) + noise * _random(30, 8, seed=side) for side in range(4)]
    score = additivity(*embeddings)
    assert (score["cosine"], score["recall@1"]) == (0.0, 0.0)


def test_what_is_common_to_all_events_does_not_count():
    background, event = torch.zeros(6, 4), _random(6, 4)
    loud = torch.full((6, 4), 100.0)  # any event whatsoever moves the embedding like this
    alike = additivity(background, loud + event, background, loud - event)
    assert alike["cosine"] == pytest.approx(-1, abs=1e-4)


def test_by_hand():
    # Movements, with means (0, 0): first (1, 0) (-1, 0); second (0, 1) (0, -1), then turned 60 deg.
    zero = torch.zeros(2, 2)
    first = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    turned = torch.tensor([[0.5, math.sqrt(3) / 2], [-0.5, -math.sqrt(3) / 2]])
    score = additivity(zero, first, zero, turned)
    assert score["cosine"] == pytest.approx(0.5, abs=1e-6)
    assert score["recall@1"] == 1
    right_angle = additivity(zero, first, zero, torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    assert right_angle["cosine"] == pytest.approx(0, abs=1e-6)
    assert right_angle["recall@1"] == 0


def test_small_movements_are_not_alike_for_being_small():
    # A direction common to all, and one of each event's own, which differs between backgrounds. The
    # lengths scatter: movements shorter than the mean would all be minus the mean, were they not
    # brought to one length first.
    n_events, cosines = 200, []
    for trial in range(10):
        lengths = (2 * _random(2, n_events, 1, seed=trial)).exp()
        common = _random(1, 64, seed=100 + trial)
        zero = torch.zeros(n_events, 64)
        first, second = lengths * (common + _random(2, n_events, 64, seed=200 + trial))
        cosines.append(additivity(zero, first, zero, second)["cosine"])
    assert abs(sum(cosines) / len(cosines)) < 0.02


def test_a_movement_counts_whatever_its_length():
    first, second, event = _random(50, 16), _random(50, 16, seed=1), _random(50, 16, seed=2)
    lengths = (2 * _random(50, 1, seed=3)).exp()
    sides = [first, first + event, second, second + event + 0.5 * _random(50, 16, seed=4)]
    scaled = [lengths * side for side in sides]
    assert additivity(*scaled)["cosine"] == pytest.approx(additivity(*sides)["cosine"], abs=1e-5)


def test_an_event_without_movement_counts_as_none():
    zero = torch.zeros(3, 2)
    moved = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    score = additivity(zero, moved, zero, moved)
    assert score["cosine"] == pytest.approx(2 / 3, abs=1e-6)


def test_bad_embeddings():
    good, bad = torch.zeros(3, 2), torch.full((3, 2), torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        additivity(good, bad, good, good)
    with pytest.raises(ValueError, match="two events"):
        additivity(*[torch.zeros(1, 2)] * 4)


def test_raw_and_centred_cosine_by_hand():
    # Raw movements (3, 1) and (3, -1); over the other background (3, -1) and (3, 1). The mean is
    # (3, 0): centred ones are opposite, while raw ones have the cosine (9 - 1) / 10.
    zero = torch.zeros(2, 2)
    score = additivity(
        zero, torch.tensor([[3.0, 1.0], [3.0, -1.0]]), zero, torch.tensor([[3.0, -1.0], [3.0, 1.0]])
    )
    assert score["cosine"] == pytest.approx(-1, abs=1e-6)
    assert score["raw_cosine"] == pytest.approx(0.8, abs=1e-6)
    assert (score["recall@1"], score["recall@5"]) == (0, 1)


def test_constant_encoder_finds_nothing_among_more_than_five():
    score = additivity(*[torch.ones(6, 3)] * 4)
    assert score == dict.fromkeys(METRICS, 0.0)


@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(1e-3, 1e3))
@settings(max_examples=50, deadline=None)
def test_neither_rotation_nor_scale_nor_a_shift_counts(seed, n_events, scale):
    sides = [_random(n_events, 6, seed=4 * seed + side).double() for side in range(4)]
    rotation, _ = torch.linalg.qr(_random(6, 6, seed=seed + 1).double())
    shift = _random(6, seed=seed + 2).double()
    expected = additivity(*sides)
    moved = additivity(*[scale * (side @ rotation + shift) for side in sides])
    assert moved == pytest.approx(expected, abs=1e-6)
    assert -1 <= expected["cosine"] <= 1
    assert 0 <= expected["recall@1"] <= expected["recall@5"] <= 1


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=50, deadline=None)
def test_neither_the_order_of_events_nor_that_of_backgrounds_counts(seed, n_events):
    first, mixed, second, other = [_random(n_events, 6, seed=4 * seed + side) for side in range(4)]
    order = torch.randperm(n_events, generator=torch.Generator().manual_seed(seed))
    expected = additivity(first, mixed, second, other)
    permuted = additivity(first[order], mixed[order], second[order], other[order])
    assert permuted == pytest.approx(expected, abs=1e-9)
    assert additivity(second, other, first, mixed) == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def sounds():
    return event_sounds(Sources(), 24, SNRS_DB, 0.5, 0, RATE)


def _scores(embed, sounds, batch_size=10):
    over = embed_over_snr(embed, sounds, SNRS_DB, batch_size)
    return {snr_db: additivity(*embedded) for snr_db, embedded in over}


def test_linear_encoder_is_additive_at_every_ratio(sounds):
    weights = torch.randn(80, 32, generator=torch.Generator().manual_seed(0))

    def frames_mean(waveform):
        return torch.stack([frame @ weights for frame in waveform.split(80, 1)[:40]]).mean(0)

    for score in _scores(frames_mean, sounds).values():
        assert score["cosine"] == pytest.approx(1, abs=1e-4)
        assert score["raw_cosine"] == pytest.approx(1, abs=1e-4)
        assert (score["recall@1"], score["recall@5"]) == (1, 1)


def test_an_encoder_that_changes_its_input_and_rounds_is_heard_as_any_other(sounds):
    def spoiling(waveform):
        embedding = waveform[:, :3].bfloat16()
        waveform.zero_()
        return embedding

    def sparing(waveform):
        return waveform[:, :3].bfloat16().float()

    assert _scores(spoiling, sounds) == _scores(sparing, sounds)
    given = torch.ones(2, 8)
    assert embed_all(spoiling, given, 2, "cpu").dtype == torch.float32
    assert given.all()


def test_encoder_that_ignores_its_input_has_nothing(sounds):
    for score in _scores(lambda waveform: torch.ones(len(waveform), 4), sounds).values():
        assert (score["cosine"], score["raw_cosine"]) == (0, 0)
        assert (score["recall@1"], score["recall@5"]) == (0, 0)


def test_an_encoder_may_write_into_what_it_is_given():
    waveforms = torch.ones(3, 8)
    embed_all(lambda waveform: waveform.zero_()[:, :2], waveforms, 2, "cpu")
    assert waveforms.all()


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


def test_which_event_each_movement_finds():
    # All events move embeddings in one direction, and each in one of its own beside it. Over the
    # second backgrounds, that of event k has become that of event k - 1.
    zero = torch.zeros(3, 3)
    own = torch.tensor([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])
    first = torch.cat([own, torch.full((3, 1), 5.0)], dim=1)
    cosines = movement_cosines((zero, first, zero, first.roll(1, 0)))
    assert cosines.argmax(1).tolist() == [1, 2, 0]
    # What is common to all is left out: the three directions are 120 degrees apart.
    torch.testing.assert_close(cosines[0].tolist(), [-0.5, 1.0, -0.5], atol=1e-4, rtol=0)
