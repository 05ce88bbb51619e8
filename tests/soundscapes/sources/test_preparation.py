import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import read_audio
from byola_diff.soundscapes.sources.preparation import (
    SourceFile,
    active_span,
    prepare,
    prepared_background,
    prepared_event,
)

RATE = 44_100


def burst(first, last, n_samples, level=0.5):
    """Ones between two samples, the last left out."""
    samples = np.zeros(n_samples)
    samples[first:last] = level
    return samples


def tone(n_samples, frequency_hz, sample_rate=RATE):
    return np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / sample_rate)


def overlap(kernel, centre, first, last):
    """Sum of the kernel around a sample, as far as it lies on the burst."""
    places = centre + 255 - np.arange(512)
    return kernel[(places >= first) & (places < last)].sum()


def test_active_span_of_a_burst_worked_out_from_the_kernel():
    # Deep inside, the envelope is the sum of the kernel; at the edges it is the part on the burst.
    first, last = active_span(burst(5_000, 9_000, 20_000))
    kernel = np.hanning(512)
    threshold = 0.1 * kernel.sum()
    assert overlap(kernel, first, 5_000, 9_000) > threshold
    assert overlap(kernel, first - 1, 5_000, 9_000) <= threshold
    assert overlap(kernel, last, 5_000, 9_000) > threshold
    assert overlap(kernel, last + 1, 5_000, 9_000) <= threshold
    # A Hann window has a tenth of its area in about its first 28 %: some 110 samples outside.
    assert 5_000 - 130 < first < 5_000 - 90
    assert 9_000 + 90 < last < 9_000 + 130


def test_active_span_of_a_click():
    # The kernel itself, above 0.1 for sin(pi n / 511) ** 2 > 0.1: n from 53 to 458.
    n = np.flatnonzero(np.sin(np.pi * np.arange(512) / 511) ** 2 > 0.1 * np.hanning(512).max())
    first, last = active_span(burst(1_000, 1_001, 4_000))
    assert (first, last) == (1_000 - 255 + n[0], 1_000 - 255 + n[-1])
    assert (n[0], n[-1]) == (53, 458)


def test_active_span_ignores_level_sign_and_what_is_far_below():
    samples = np.random.default_rng(0).standard_normal(8_000) * burst(2_000, 5_000, 8_000)
    span = active_span(samples)
    assert active_span(-1e-3 * samples) == span
    assert active_span(samples.astype(np.float32)) == span
    noisy = active_span(samples + 1e-3 * tone(8_000, 440.0))
    assert noisy == pytest.approx(span, abs=2)


def test_active_span_moves_with_the_sound():
    first, last = active_span(burst(2_000, 3_000, 9_000))
    assert active_span(burst(2_777, 3_777, 9_000)) == (first + 777, last + 777)


def test_a_gap_belongs_to_the_event():
    samples = burst(2_000, 2_500, 20_000) + burst(15_000, 15_500, 20_000)
    first, last = active_span(samples)
    assert first < 2_000
    assert last > 15_500


@pytest.mark.parametrize("n_samples", [100, 511, 512, 700])
def test_active_span_of_clips_about_as_long_as_the_kernel(n_samples):
    first, last = active_span(np.ones(n_samples))
    assert 0 <= first < last <= n_samples - 1


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100)])
def test_silence_has_no_active_span(samples):
    with pytest.raises(ValueError, match="silent"):
        active_span(samples)


def test_event_is_the_active_part_without_its_last_sample():
    samples = 0.25 * tone(30_000, 3_000.0) * burst(10_000, 20_000, 30_000, 1.0)
    first, last = active_span(samples)
    event = prepared_event(samples, RATE)
    assert len(event) == last - first
    # At its own level, beyond the fades of 441 samples.
    inner = np.rint(samples[first + 441 : last - 441] * 32_768)
    np.testing.assert_array_equal(event[441:-441], inner)


def test_event_fades_by_halves_of_a_hann_window():
    event = prepared_event(np.full(20_000, 0.5), RATE) / 16_384
    window = np.hanning(882)
    np.testing.assert_allclose(event[:441], window[:441], atol=1e-4)
    np.testing.assert_allclose(event[-441:], window[441:], atol=1e-4)
    assert event[0] == event[-1] == 0


def test_full_scale_is_clipped_not_wrapped():
    event = prepared_event(np.ones(20_000), RATE)
    assert event.max() == 32_767
    assert event.min() >= 0


def test_an_event_shorter_than_its_fades():
    event = prepared_event(np.ones(50), RATE)
    assert 40 < len(event) < 50
    assert event.dtype == np.int16


@pytest.mark.parametrize("samples", [np.ones(3), np.full(20_000, 1e-6)])
def test_an_event_of_which_nothing_is_left_is_refused(samples):
    with pytest.raises(ValueError, match="too short or too quiet: nothing is left"):
        prepared_event(samples, RATE)


def test_background_is_tiled_and_keeps_its_pitch():
    # 3 s: 20 // 3 + 1 = 7 times. Repeated samples, as AudioDiffCaps has them, would be 7 times
    # slower; tiled, the tone stays where it was.
    one = tone(3 * 8_000, 440.0, 8_000)
    tiled = prepared_background(one, 8_000)
    assert len(tiled) == 7 * 24_000
    spectrum = np.abs(np.fft.rfft(tiled))
    assert np.argmax(spectrum) * 8_000 / len(tiled) == pytest.approx(440.0, abs=0.1)
    np.testing.assert_array_equal(tiled[:24_000], tiled[24_000:48_000])


@pytest.mark.parametrize(("length_s", "n_times"), [(0.5, 41), (9, 3), (10, 3), (20, 2), (21, 1)])
def test_number_of_tiles(length_s, n_times):
    length = int(length_s * 1_000)
    assert len(prepared_background(np.ones(length), 1_000)) == n_times * length
    assert n_times * length_s >= 20


@pytest.mark.parametrize("level", [1e-4, 0.3, 1.0])
def test_background_peak_is_095_at_any_level(level):
    tiled = prepared_background(level * tone(9_000, 100.0), 1_000)
    assert np.abs(tiled.astype(int)).max() == round(0.95 * 32_768)


def test_silent_background_is_refused():
    with pytest.raises(ValueError, match="silent"):
        prepared_background(np.zeros(100), 1_000)


def test_copies_are_written_where_plans_look_for_them(tmp_path):
    soundfile.write(tmp_path / "dog.flac", 0.5 * tone(16_000, 900.0), 16_000)
    source = SourceFile(tmp_path / "dog.flac", "eval/foreground/dog/1.wav", False)
    prepare(source, tmp_path / "source")
    path = tmp_path / "source/eval/foreground/dog/1.wav"
    samples, sample_rate = read_audio(path)
    assert sample_rate == 16_000
    expected = prepared_event(read_audio(tmp_path / "dog.flac")[0], 16_000)
    np.testing.assert_array_equal(np.rint(samples * 32_768), expected)


def test_a_finished_copy_is_kept_and_a_changed_one_made_again(tmp_path):
    soundfile.write(tmp_path / "rain.wav", 0.5 * tone(16_000, 900.0), 8_000)
    source = SourceFile(tmp_path / "rain.wav", "dev/foreground/rain/1.wav", True)
    path = tmp_path / "dev/foreground/rain/1.wav"
    prepare(source, tmp_path)
    content, written = path.read_bytes(), path.stat().st_mtime_ns
    prepare(source, tmp_path)
    assert path.stat().st_mtime_ns == written
    path.write_bytes(content[:100])
    prepare(source, tmp_path)
    assert path.read_bytes() == content


def test_the_copy_follows_its_recording(tmp_path):
    """Of the same name and length: made again; silent: no copy is left to make items of."""
    source = SourceFile(tmp_path / "rain.wav", "dev/background/rain/1.wav", True)
    path = tmp_path / source.name
    copies = []
    for frequency_hz in (900.0, 700.0):
        soundfile.write(tmp_path / "rain.wav", 0.5 * tone(16_000, frequency_hz), 8_000)
        prepare(source, tmp_path)
        copies.append(path.read_bytes())
    assert copies[0] != copies[1]
    soundfile.write(tmp_path / "rain.wav", np.zeros(16_000), 8_000)
    with pytest.raises(ValueError, match="silent"):
        prepare(source, tmp_path)
    assert not path.exists()


def test_a_silent_recording_is_named(tmp_path):
    soundfile.write(tmp_path / "nothing.wav", np.zeros(1_000), 8_000)
    source = SourceFile(tmp_path / "nothing.wav", "dev/foreground/dog/1.wav", False)
    with pytest.raises(ValueError, match=r"nothing\.wav: silent"):
        prepare(source, tmp_path)
