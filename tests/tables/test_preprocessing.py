import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.audio import files
from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.embeddings.batches import read_batches
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import (
    UnreadableClipsError,
    clip_lengths,
    read_clip,
    read_stretch,
)
from tests.helpers import peak_bytes

RATE = 8000
RAMP = np.arange(8000) / 32768  # sample i holds i


def clip(name="a.wav", split="train", **fields):
    return Clip(name, ("x",), split, **fields)


def samples(waveform):
    return (waveform * 32768).round().int().tolist()


@pytest.fixture
def manifest(tmp_path):
    write_wav(tmp_path / "a.wav", RAMP, RATE)
    return Manifest(tmp_path, (clip(),), ("x",))


def test_crops_of_test_clips_and_folds_are_the_first_unit(manifest):
    cut = Preprocessing(unit_s=0.5)
    for which in (clip(split="test"), clip(split=None, fold=2), clip(split=None)):
        assert cut.crop(which, 8000, RATE) == (0, 4000)
        assert samples(read_clip(manifest, which, RATE, cut)) == list(range(4000))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_training_crops_lie_anywhere_and_depend_on_seed_and_clip_alone(split):
    names = [f"{number}.wav" for number in range(300)]
    starts = [Preprocessing(0.5).crop(clip(name, split), 4010, RATE)[0] for name in names]
    assert set(starts) == set(range(11))  # the last place is drawn too
    again = [Preprocessing(0.5).crop(clip(name, split), 4010, RATE)[0] for name in names[::-1]]
    assert again[::-1] == starts
    other = [Preprocessing(0.5, seed=43).crop(clip(name, split), 4010, RATE)[0] for name in names]
    assert sum(a == b for a, b in zip(starts, other, strict=True)) < 60  # one in eleven by chance


def test_cuts_of_one_file_are_drawn_apart():
    cuts = [clip(start_s=float(start), duration_s=2.0) for start in range(20)]
    assert len({Preprocessing(0.5).crop(cut, 16_000, RATE)[0] for cut in cuts}) > 15


def test_what_is_read_is_the_crop(manifest):
    cut = Preprocessing(unit_s=0.5)
    start, n_samples = cut.crop(clip(), 8000, RATE)
    assert n_samples == 4000
    assert samples(read_clip(manifest, clip(), RATE, cut)) == list(range(start, start + 4000))


def test_the_crop_stays_inside_the_row(manifest):
    row = clip(split="train", start_s=0.25, duration_s=0.5)
    got = samples(read_clip(manifest, row, RATE, Preprocessing(unit_s=0.125)))
    assert got == list(range(got[0], got[0] + 1000))
    assert 2000 <= got[0] <= 5000


def test_short_clips_get_zeros_on_the_right(manifest):
    got = samples(read_clip(manifest, clip(), RATE, Preprocessing(unit_s=1.25)))
    assert got == [*range(8000), *[0] * 2000]


def test_whole_clips_stay_as_they_are(manifest):
    assert samples(read_clip(manifest, clip(), RATE)) == list(range(8000))
    assert Preprocessing().crop(clip(), 8000, RATE) == (0, 8000)
    assert not Preprocessing().draws(clip())


@pytest.mark.parametrize("rate", [16_000, 11_025, 4_800])
def test_other_rates_give_units_of_exact_length(manifest, rate):
    # 0.30003 s are 2400.24 samples in the file, which no other rate maps to its own whole number.
    cut = Preprocessing(unit_s=0.30003)
    waveform = read_clip(manifest, clip(split="test"), rate, cut)
    assert len(waveform) == round(0.30003 * rate)
    # The ramp keeps its slope, away from the edge.
    middle = len(waveform) // 2
    assert waveform[middle].item() * 32768 == pytest.approx(middle * RATE / rate, abs=1)


def test_lengths_from_headers_are_those_of_the_clips(manifest):
    for cut, row in [
        (Preprocessing(), clip()),
        (Preprocessing(), clip(start_s=0.1, duration_s=0.33)),
        (Preprocessing(0.4), clip()),
        (Preprocessing(4.0), clip()),
    ]:
        for rate in (RATE, 11_025):
            [length] = clip_lengths(manifest, [row], rate, cut, n_workers=1)
            assert length == len(read_clip(manifest, row, rate, cut))


def test_units_below_one_sample_have_one():
    assert Preprocessing(unit_s=1e-6).unit_samples(RATE) == 1
    fitted = Preprocessing(unit_s=1e-6).fit(torch.tensor([0.5, 0.25]), RATE)
    assert fitted.tolist() == [0.5]


def test_a_clip_that_starts_after_its_file_ends(manifest):
    with pytest.raises(AudioFileError, match="ends before"):
        read_clip(manifest, clip(start_s=1.0), RATE)


@pytest.mark.parametrize("unit_s", [0.0, -1.0, float("nan"), float("inf")])
def test_units_are_positive(unit_s):
    with pytest.raises(ValueError, match="unit_s"):
        Preprocessing(unit_s)


LENGTHS = st.integers(1, 200_000)
UNITS = st.none() | st.floats(1e-4, 30)


@settings(max_examples=50, deadline=None)
@given(
    unit_s=UNITS,
    seed=st.integers(0, 2**31),
    n_samples=LENGTHS,
    split=st.sampled_from(["train", "valid", "test", None]),
    fold=st.none() | st.integers(1, 10),
    start_s=st.none() | st.floats(0, 1e4),
)
def test_crops_lie_inside_their_clips_and_are_drawn_once(
    unit_s, seed, n_samples, split, fold, start_s
):
    row = clip(split=split, fold=fold, start_s=start_s)
    cut = Preprocessing(unit_s, seed)
    start, length = cut.crop(row, n_samples, RATE)
    assert 0 <= start <= start + length <= n_samples
    assert length == min(n_samples, cut.unit_samples(RATE) or n_samples)
    assert (start, length) == Preprocessing(unit_s, seed).crop(row, n_samples, RATE)
    assert start == 0 or cut.draws(row)
    # A label and a group say nothing about the place.
    other = Clip(row.file, ("y", "z"), split, fold, "group", start_s)
    assert cut.crop(other, n_samples, RATE) == (start, length)


@settings(max_examples=50, deadline=None)
@given(unit_s=UNITS, n_samples=st.integers(1, 3000), rate=st.sampled_from([4000, 8000, 11_025]))
def test_fitting_keeps_the_first_samples_and_adds_only_zeros(unit_s, n_samples, rate):
    cut = Preprocessing(unit_s)
    waveform = torch.arange(1.0, n_samples + 1)
    fitted = cut.fit(waveform, rate)
    kept = min(n_samples, len(fitted))
    assert len(fitted) == (cut.unit_samples(rate) or n_samples)
    assert torch.equal(fitted[:kept], waveform[:kept])
    assert not fitted[kept:].any()
    assert torch.equal(cut.fit(fitted, rate), fitted)


@pytest.mark.parametrize(
    ("start_s", "duration_s", "n_samples"),
    [(0.5, 0.5, 4000), (0.5, 0.5005, 4000), (None, 0.9996, 7997), (0.9999, None, 1)],
)
def test_stretches_that_end_with_their_file(tmp_path, start_s, duration_s, n_samples):
    write_wav(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    stretch, rate = read_stretch(tmp_path / "a.wav", start_s, duration_s)
    assert (len(stretch), rate) == (n_samples, 8000)


@pytest.mark.parametrize(
    ("start_s", "duration_s", "reason"),
    [
        (0.5, 0.502, "ends at 1.000 s, too soon for start_s 0.5 and duration_s 0.502"),
        (None, 1500.0, "ends at 1.000 s, too soon for start_s 0 and duration_s 1500"),
        (0.9999, 5.0, "too soon for start_s 0.9999 and duration_s 5"),
        (500.0, None, "ends before 500.0 s"),
    ],
)
def test_a_stretch_past_the_end_is_refused_by_all_readers(tmp_path, start_s, duration_s, reason):
    write_wav(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    row = Clip("a.wav", ("x",), split="train", start_s=start_s, duration_s=duration_s)
    manifest = Manifest(tmp_path, (row,), ("x",))
    with pytest.raises(AudioFileError, match=rf"a\.wav: .*{reason}"):
        read_clip(manifest, row, 8000)
    with pytest.raises(UnreadableClipsError, match=reason):
        clip_lengths(manifest, [row], 8000, Preprocessing(), 1)
    with pytest.raises(AudioFileError, match=reason):
        read_stretch(tmp_path / "a.wav", start_s, duration_s)


def test_a_split_counts_before_a_fold():
    assert Preprocessing(1.0).draws(Clip("a.wav", ("x",), split="train", fold=1))
    assert not Preprocessing(1.0).draws(Clip("a.wav", ("x",), fold=1))


def test_resampled_crops_are_those_of_the_resampled_file(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(44_100)
    write_wav(tmp_path / "a.wav", noise, 44_100)
    manifest = Manifest(tmp_path, (clip(),), ("x",))
    whole = read_clip(manifest, clip(), 16_000)
    row = clip(start_s=0.25, duration_s=0.5)
    torch.testing.assert_close(
        read_clip(manifest, row, 16_000), whole[4000:12_000], atol=1e-5, rtol=0
    )
    cut = Preprocessing(unit_s=0.125)
    start, _ = cut.crop(row, 8000, 16_000)
    got = read_clip(manifest, row, 16_000, cut)
    torch.testing.assert_close(got, whole[4000 + start : 6000 + start], atol=1e-5, rtol=0)


def test_clip_shorter_than_a_sample_of_the_encoder(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 48_000)
    manifest = Manifest(tmp_path, (clip(),), ("x",))
    [(rows, waveform)] = read_batches(manifest, [[0]], 16_000, Preprocessing(), 1)
    assert (rows, waveform.tolist()) == ([0], [[0.0]])


def test_a_long_file_is_never_held_at_its_own_rate(tmp_path, monkeypatch):
    seconds, rate = 60, 48_000
    soundfile.write(tmp_path / "a.wav", np.zeros(seconds * rate), rate)
    manifest = Manifest(tmp_path, (clip(),), ("x",))
    read_clip(manifest, clip(), 8000)  # which imports
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 1 << 16)
    held = peak_bytes(lambda: read_clip(manifest, clip(), 8000))
    assert 4 * 8000 * seconds <= held < 4 * rate * seconds / 2
