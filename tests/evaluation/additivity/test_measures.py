import math

import pytest
import torch

from byola_diff.evaluation.additivity.embedded import measure_additivity
from byola_diff.evaluation.additivity.measures import Additivity, additivity, recall_at, recall_at_1
from byola_diff.evaluation.additivity.mixing import mix_events
from byola_diff.evaluation.additivity.procedural import procedural_events


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_additive_encoder_is_perfect():
    first, second, event = _random(50, 16), _random(50, 16, seed=1), _random(50, 16, seed=2)
    score = additivity(first, first + event, second, second + event)
    assert score.cosine == pytest.approx(1, abs=1e-6)
    assert score.recall_at_1 == 1


def test_random_embeddings_are_at_chance():
    n_events, n_trials = 100, 20
    scores = [
        additivity(*(_random(n_events, 64, seed=4 * trial + side) for side in range(4)))
        for trial in range(n_trials)
    ]
    assert sum(score.cosine for score in scores) / n_trials == pytest.approx(0, abs=0.01)
    assert sum(score.recall_at_1 for score in scores) / n_trials == pytest.approx(0.01, abs=0.01)


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_constant_encoder_counts_against_itself(noise):
    embeddings = [torch.ones(30, 8) + noise * _random(30, 8, seed=side) for side in range(4)]
    score = additivity(*embeddings)
    assert (score.cosine, score.recall_at_1) == (0.0, 0.0)


def test_what_is_common_to_all_events_does_not_count():
    background, event = torch.zeros(6, 4), _random(6, 4)
    loud = torch.full((6, 4), 100.0)  # any event whatsoever moves the embedding like this
    alike = additivity(background, loud + event, background, loud - event)
    assert alike.cosine == pytest.approx(-1, abs=1e-4)


def test_by_hand():
    # Movements, with means (0, 0): first (1, 0) (-1, 0); second (0, 1) (0, -1), then turned 60 deg.
    zero = torch.zeros(2, 2)
    first = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    turned = torch.tensor([[0.5, math.sqrt(3) / 2], [-0.5, -math.sqrt(3) / 2]])
    score = additivity(zero, first, zero, turned)
    assert score.cosine == pytest.approx(0.5, abs=1e-6)
    assert score.recall_at_1 == 1
    right_angle = additivity(zero, first, zero, torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    assert right_angle.cosine == pytest.approx(0, abs=1e-6)
    assert right_angle.recall_at_1 == 0


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
        cosines.append(additivity(zero, first, zero, second).cosine)
    assert abs(sum(cosines) / len(cosines)) < 0.02


def test_a_movement_counts_whatever_its_length():
    first, second, event = _random(50, 16), _random(50, 16, seed=1), _random(50, 16, seed=2)
    lengths = (2 * _random(50, 1, seed=3)).exp()
    sides = [first, first + event, second, second + event + 0.5 * _random(50, 16, seed=4)]
    scaled = [lengths * side for side in sides]
    assert additivity(*scaled).cosine == pytest.approx(additivity(*sides).cosine, abs=1e-5)


def test_an_event_without_movement_counts_as_none():
    zero = torch.zeros(3, 2)
    moved = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    score = additivity(zero, moved, zero, moved)
    assert score.cosine == pytest.approx(2 / 3, abs=1e-6)


def test_recall_ties_are_misses():
    similarity = torch.tensor([[0.9, 0.1, 0.9], [0.2, 0.3, 0.1], [0.5, 0.6, 0.4]])
    assert recall_at_1(similarity) == pytest.approx(1 / 3)


def test_bad_embeddings():
    good, bad = torch.zeros(3, 2), torch.full((3, 2), torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        additivity(good, bad, good, good)
    with pytest.raises(ValueError, match="two events"):
        additivity(*[torch.zeros(1, 2)] * 4)


def test_mixing_ratio_is_over_the_span_of_the_event():
    event = torch.zeros(1, 1000)
    event[0, 200:300] = 0.01  # constant: its root mean square over the span is its value
    first, second = _random(1, 1000), 50 * _random(1, 1000, seed=1)
    mixed = mix_events(event, first, second, snr_db=20.0)
    added = mixed.first_mixture - mixed.first_background
    torch.testing.assert_close(added, mixed.second_mixture - mixed.second_background)
    rms = [
        side.square().mean().sqrt() for side in (mixed.first_background, mixed.second_background)
    ]
    torch.testing.assert_close(*rms)
    assert (added[0, 250] / rms[0]).item() == pytest.approx(10.0, abs=1e-3)


def test_silence_is_refused():
    sound = torch.ones(2, 10)
    with pytest.raises(ValueError, match=r"silent sounds: \[1\]"):
        mix_events(torch.stack([sound[0], 0 * sound[0]]), sound, sound, 0.0)
    with pytest.raises(ValueError, match="silent"):
        mix_events(sound, 0 * sound, sound, 0.0)


def test_sounds_of_an_event_do_not_depend_on_how_many_there_are():
    few, more = procedural_events(3, duration_s=0.25), procedural_events(5, duration_s=0.25)
    for side in ("first_mixture", "second_mixture"):
        torch.testing.assert_close(getattr(more, side)[:3], getattr(few, side), rtol=0, atol=1e-6)


def test_procedural_events_all_differ_and_are_reproducible():
    mixed = procedural_events(40, seed=3, duration_s=0.5)
    again = procedural_events(40, seed=3, duration_s=0.5)
    other = procedural_events(40, seed=4, duration_s=0.5)
    torch.testing.assert_close(mixed.second_mixture, again.second_mixture, rtol=0, atol=0)
    assert not torch.equal(mixed.first_background, other.first_background)
    events = torch.nn.functional.normalize(mixed.first_mixture - mixed.first_background)
    alike = events @ events.T - torch.eye(40)
    assert alike.abs().max() < 0.99
    assert mixed.first_mixture.abs().max() < 1


def test_linear_encoder_on_procedural_events():
    mixed = procedural_events(40, duration_s=0.5)
    weights = _random(8000, 128)
    score = measure_additivity(lambda waveform: waveform @ weights, mixed, batch_size=7)
    assert score.cosine == pytest.approx(1, abs=1e-3)
    assert score.recall_at_1 == 1


def test_raw_and_centred_cosine_by_hand():
    # Raw movements (3, 1) and (3, -1); over the other background (3, -1) and (3, 1). The mean is
    # (3, 0): centred ones are opposite, while raw ones have the cosine (9 - 1) / 10.
    zero = torch.zeros(2, 2)
    score = additivity(
        zero, torch.tensor([[3.0, 1.0], [3.0, -1.0]]), zero, torch.tensor([[3.0, -1.0], [3.0, 1.0]])
    )
    assert score.cosine == pytest.approx(-1, abs=1e-6)
    assert score.raw_cosine == pytest.approx(0.8, abs=1e-6)
    assert (score.recall_at_1, score.recall_at_5) == (0, 1)


def test_recall_at_k_by_hand():
    # Others at or above the own one: 0, 2 (one of them equal), 3, 0 (4 below).
    similarity = torch.tensor(
        [
            [0.9, 0.1, 0.2, 0.3],
            [0.5, 0.4, 0.4, 0.1],
            [0.9, 0.8, 0.1, 0.2],
            [0.0, 0.1, 0.2, 0.3],
        ]
    )
    assert [recall_at(k, similarity) for k in (1, 2, 3, 4)] == [0.5, 0.5, 0.75, 1.0]


def test_constant_encoder_finds_nothing_among_more_than_five():
    score = additivity(*[torch.ones(6, 3)] * 4)
    assert score == Additivity(0.0, 0.0, 0.0, 0.0)
