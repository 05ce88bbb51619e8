import pytest
import torch

from byola_diff.evaluation.additivity.embedded import additivity_of, clips_over_snr, embed_over_snr
from byola_diff.evaluation.additivity.measures import additivity
from byola_diff.evaluation.additivity.quadruples import AdditivityProtocol, Sources, event_sounds

RATE = 8000
SNRS_DB = (-10.0, 0.0, 20.0)


@pytest.fixture(scope="module")
def sounds():
    return event_sounds(Sources(), AdditivityProtocol(24, SNRS_DB, 0.5), 0, RATE)


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


def test_encoder_that_ignores_its_input_has_nothing(sounds):
    for score in _scores(lambda waveform: torch.ones(len(waveform), 4), sounds).values():
        assert (score["cosine"], score["raw_cosine"]) == (0, 0)
        assert (score["recall@1"], score["recall@5"]) == (0, 0)


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


def test_linear_encoder_on_procedural_sounds():
    weights = torch.randn(8000, 128, generator=torch.Generator().manual_seed(0))
    figures = additivity_of(lambda waveform: waveform @ weights, 16_000, 40, duration_s=0.5)
    assert list(figures) == ["cosine", "raw_cosine", "recall@1", "recall@5"]
    assert figures["cosine"] == pytest.approx(1, abs=1e-3)
    assert figures["recall@1"] == figures["recall@5"] == 1


def test_figures_are_those_of_one_ratio_of_the_run(sounds):
    weights = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))

    def energies(waveform):
        return (waveform @ weights).abs().sqrt()

    found = additivity_of(energies, RATE, 24, duration_s=0.5)
    alone = event_sounds(Sources(), AdditivityProtocol(24, (0.0,), 0.5), 0, RATE)
    [(_, embedded)] = embed_over_snr(energies, alone, (0.0,), 7)
    assert found == pytest.approx(additivity(*embedded), abs=1e-4)
    assert found["cosine"] < 0.9
