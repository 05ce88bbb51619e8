import torch

from byola_diff.evaluation.additivity.mixing import mix_at
from byola_diff.evaluation.additivity.quadruples import AdditivityProtocol, Sources, event_sounds

RATE = 8000
SNRS_DB = (-10.0, 0.0, 20.0)


def procedural(n_events, duration_s, seed=0):
    """Quadruples at 0 dB."""
    protocol = AdditivityProtocol(n_events, (0.0,), duration_s)
    return mix_at(event_sounds(Sources(), protocol, seed, 16_000), 0.0)


def test_seeds_have_other_sounds_and_one_seed_the_same():
    protocol, sources = AdditivityProtocol(6, SNRS_DB, 0.25), Sources()
    first, again, other = (event_sounds(sources, protocol, seed, RATE) for seed in (0, 0, 1))
    torch.testing.assert_close(first.events, again.events, rtol=0, atol=0)
    torch.testing.assert_close(first.first_background, again.first_background, rtol=0, atol=0)
    assert not torch.equal(first.events, other.events)
    assert not torch.equal(first.second_background, other.second_background)


def test_main_ratio_is_the_one_nearest_0():
    assert AdditivityProtocol().main_snr_db == 0
    assert AdditivityProtocol(snrs_db=(-10.0, -4.0, 4.0)).main_snr_db == 4
    assert AdditivityProtocol(snrs_db=(-3.0, 8.0)).main_snr_db == -3


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
