"""Which clips, and which stretches of them, statistics are of; values by numpy."""

import numpy as np
import pytest
import torch

from byola_diff.audio.files import write_wav
from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders import manifest_statistics
from byola_diff.encoders.manifest_statistics import Corpus, feature_moments, log_mel_moments
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import read_clip

RATE = 8000
LEVELS = [0.125, 0.25, 0.5, -0.125, -0.25, -0.5]
WHOLE = Preprocessing()


@pytest.fixture
def manifest_of(tmp_path):
    """Clips of one level each, which only one set of them has for a mean."""

    def make(**columns):
        clips = []
        for number, level in enumerate(LEVELS):
            write_wav(tmp_path / f"{number}.wav", np.full(800, level), RATE)
            values = {name: column[number] for name, column in columns.items()}
            clips.append(Clip(f"{number}.wav", ("x",), **values))
        return Manifest(tmp_path, tuple(clips), ("x",))

    return make


def samples(waveform):
    """A front end that gives the samples."""
    return waveform[:, None, None]


def of_levels(*levels):
    return pytest.approx((np.mean(levels), np.std(levels)), abs=1e-4)


def test_of_the_training_split(manifest_of):
    split = ["train", "test", "train", "valid", "train", "test"]
    corpus = Corpus(manifest_of(split=split), WHOLE)
    assert feature_moments(corpus, RATE, samples) == of_levels(0.125, 0.5, -0.25)


@pytest.mark.parametrize("folds", [[1, 2, 3, 1, 2, 3], [3, 5, 7, 3, 5, 7]])
def test_of_the_training_part_of_the_first_fold(manifest_of, folds):
    corpus = Corpus(manifest_of(fold=folds), WHOLE)
    assert feature_moments(corpus, RATE, samples) == of_levels(0.25, 0.5, -0.25, -0.5)


@pytest.mark.parametrize("columns", [{}, {"split": ["test"] * 6}, {"fold": [2] * 6}])
def test_of_all_clips_where_none_are_for_training(manifest_of, columns):
    corpus = Corpus(manifest_of(**columns), WHOLE)
    assert feature_moments(corpus, RATE, samples) == of_levels(*LEVELS)


def test_of_units_with_their_zeros(manifest_of):
    # Clips of 800 samples in units of 1600: as many zeros as samples.
    corpus = Corpus(manifest_of(split=["train"] * 6), Preprocessing(unit_s=0.2))
    assert feature_moments(corpus, RATE, samples) == of_levels(*LEVELS, *[0.0] * 6)


def test_of_the_crops_that_are_embedded(tmp_path):
    ramps = [np.arange(8000) / 8000, -np.arange(8000) / 8000]
    clips = tuple(Clip(f"{number}.wav", ("x",), "train") for number in range(2))
    for clip, ramp in zip(clips, ramps, strict=True):
        write_wav(tmp_path / clip.file, ramp, RATE)
    manifest = Manifest(tmp_path, clips, ("x",))
    found = []
    for seed in (42, 43):
        cut = Preprocessing(unit_s=0.1, seed=seed)
        found.append(feature_moments(Corpus(manifest, cut), RATE, samples))
        crops = np.concatenate([read_clip(manifest, clip, RATE, cut) for clip in clips])
        assert len(crops) == 1600
        assert found[-1] == pytest.approx((crops.mean(), crops.std()), abs=1e-6)
    assert found[0] != found[1]


def test_of_no_more_clips_than_evar_takes(manifest_of, monkeypatch):
    assert manifest_statistics.MAX_CLIPS == 5000  # P section 1.3
    monkeypatch.setattr(manifest_statistics, "MAX_CLIPS", 4)
    corpus = Corpus(manifest_of(split=["train"] * 6), WHOLE)
    read = []
    for _ in range(2):
        feature_moments(corpus, RATE, lambda wave: read.append(wave.mean()) or samples(wave))
    drawn = [round(level.item(), 4) for level in read]
    assert drawn[:4] == drawn[4:] == [level for level in LEVELS if level in drawn]
    assert len(set(drawn)) == 4


def test_of_log_mels_at_the_rate_of_the_front_end(tmp_path):
    log_mel = LogMel()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    for name, wave in (("long.wav", noise), ("short.wav", noise[:100])):
        write_wav(tmp_path / name, wave, 16_000)
    clips = tuple(Clip(name, ("x",), "train") for name in ("long.wav", "short.wav"))
    corpus = Corpus(Manifest(tmp_path, clips, ("x",)), WHOLE)
    waves = [read_clip(corpus.manifest, clip, 16_000) for clip in clips]
    waves[1] = torch.nn.functional.pad(waves[1], (0, log_mel.min_samples - 100))
    values = np.concatenate([log_mel(wave[None]).numpy().ravel() for wave in waves])
    expected = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    assert log_mel_moments(corpus, log_mel) == pytest.approx(expected, rel=1e-5)
