"""Every family: sound where there should be, silence where there should be, seeded per clip."""

import pytest
import torch

from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render

RATE = 16_000
ALL = [*FOREGROUNDS, *BACKGROUNDS]


def frame_level_db(clips, frame=800):
    power = clips[:, : clips.shape[1] // frame * frame].unflatten(1, (-1, frame)).square().mean(2)
    return 10 * torch.log10(power + 1e-12)


def test_there_are_many_and_names_are_not_shared():
    assert len(FOREGROUNDS) >= 20
    assert len(BACKGROUNDS) >= 10
    assert not FOREGROUNDS.keys() & BACKGROUNDS.keys()


@pytest.mark.parametrize("family", ALL)
def test_sound_is_audible_bounded_and_different_for_each_clip(family):
    clips = render([family] * 24, 0, torch.arange(24), 15_200, RATE)
    peak, rms = clips.abs().amax(1), clips.square().mean(1).sqrt()
    assert clips.isfinite().all()
    assert peak.max() <= 1
    assert peak.min() > 0.03
    assert 20 * torch.log10(peak.max() / peak.min()) > 15
    assert (clips.mean(1).abs() <= 1e-3 * rms).all()
    shape = clips / rms[:, None]
    distance = torch.cdist(shape, shape) / 15_200**0.5 + torch.eye(24)
    assert distance.min() > 0.1


@pytest.mark.parametrize("family", ALL)
def test_clip_depends_on_seed_and_index_alone(family):
    together = render([family] * 5, 3, torch.tensor([7, 1, 900, 2, 7]), 8000, RATE)
    alone = render([family], 3, torch.tensor([900]), 8000, RATE)
    torch.testing.assert_close(together[2:3], alone, atol=2e-5, rtol=0)
    torch.testing.assert_close(together[0], together[4], atol=2e-5, rtol=0)
    other_seed = render([family], 4, torch.tensor([900]), 8000, RATE)
    assert (other_seed - alone).abs().max() > 1e-3


@pytest.mark.parametrize("family", FOREGROUNDS)
def test_event_has_quiet_around_it(family):
    level_db = frame_level_db(render([family] * 8, 1, torch.arange(8), 2 * RATE, RATE))
    assert (level_db[:, 0] < level_db.amax(1) - 40).all()  # the first tenth is silent


@pytest.mark.parametrize("family", BACKGROUNDS)
def test_background_keeps_its_level(family):
    clips = render([family] * 4, 1, torch.arange(4), 10 * RATE, RATE)
    halves_db = 10 * torch.log10(clips.unflatten(1, (2, -1)).square().mean(2))
    assert (halves_db[:, 0] - halves_db[:, 1]).abs().max() < 3


@pytest.mark.parametrize("n_samples", [1, 2, 100])
@pytest.mark.parametrize("family", ALL)
def test_shortest_clips_are_finite(family, n_samples):
    assert render([family], 0, torch.tensor([0]), n_samples, RATE).isfinite().all()
