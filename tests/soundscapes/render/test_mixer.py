import math
import pickle
import sys

import numpy as np
import pytest

from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.render.mixer import FLOOR_LUFS, integrated_lufs, mix
from byola_diff.soundscapes.render.plan import (
    Event,
    Rendered,
    RenderError,
    Soundscape,
    checked,
)
from tests.soundscapes.scenes import KINDS, RATE, bed, event, scene, write, write_sources


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources"))


def test_fade_by_hand(tmp_path):
    """Eight samples of a step at 0.5: fades of two samples are 0 and 1 at their ends."""
    write(tmp_path, "foreground/dog/step", np.full(RATE, 0.5))
    plan = scene(event("step", at_s=0.001, duration_s=8 / RATE), fade_s=2.1 / RATE)
    rendered = mix(plan, {"foreground": tmp_path / "foreground"})
    gain = 10 ** (rendered.gains_db[0] / 20)
    expected = np.zeros(2 * RATE)
    expected[16:24] = gain * 0.5 * np.array([0, 1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(rendered.mixture, expected, atol=1e-9)


def test_the_background_is_the_source_times_one_gain(tmp_path):
    samples = np.arange(1, 3 * RATE + 1) % 50 / 100
    write(tmp_path, "background/rain/ramp", samples)
    plan = scene(bed("ramp", 0.5), duration_s=1.0)
    rendered = mix(plan, {"background": tmp_path / "background"})
    gain = 10 ** (rendered.gains_db[0] / 20)
    expected = gain * samples[RATE // 2 : 3 * RATE // 2]
    np.testing.assert_allclose(rendered.mixture, expected, atol=1e-4 * gain)
    assert integrated_lufs(rendered.mixture, RATE) == pytest.approx(-30.0, abs=1e-6)


def test_a_short_background_is_repeated_without_a_gap(roots):
    stem = mix(KINDS["background repeated"], roots).mixture
    period = int(0.7 * RATE)
    np.testing.assert_array_equal(stem[:period], stem[period : 2 * period])
    np.testing.assert_array_equal(stem[: 2 * RATE - 2 * period], stem[2 * period :])


def test_a_background_is_repeated_from_its_source_time_on(roots):
    """Where Scaper would leave it too short: 0.2 s of 0.7 s are left, and 2 s are needed."""
    stem = mix(scene(bed("short", 0.5)), roots).mixture
    period = int(0.7 * RATE) - int(0.5 * RATE)
    np.testing.assert_array_equal(stem[:-period], stem[period:])


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_sum_and_peak(roots, kind):
    plan = KINDS[kind]
    rendered = mix(plan, roots)
    assert rendered.mixture.shape == (plan.n_samples,)
    assert len(rendered.stems) == len(rendered.gains_db) == len(plan.events)
    np.testing.assert_allclose(sum(rendered.stems), rendered.mixture, atol=1e-12)
    assert np.abs(rendered.mixture).max() < 1


def test_number_of_samples_is_rounded_down(roots):
    assert len(mix(scene(bed(), duration_s=1.00004), roots).mixture) == 16_000


def test_events_are_where_the_plan_says_and_as_loud(roots):
    """Onset within 2 ms, duration within 2 ms, level within 0.2 dB; measured on the stems."""
    plan = KINDS["two beds and two events"]
    stems = mix(plan, roots).stems
    for planned, stem in zip(plan.events, stems, strict=True):
        loudness = integrated_lufs(np.trim_zeros(stem), RATE)
        expected = plan.ref_db + planned.snr_db
        assert loudness == pytest.approx(expected, abs=0.2)
        if planned.role == "foreground":
            sounding = np.flatnonzero(stem)
            onset_s, length_s = sounding[0] / RATE, (sounding[-1] - sounding[0]) / RATE
            assert onset_s == pytest.approx(planned.event_time_s, abs=0.002)
            assert length_s == pytest.approx(planned.duration_s, abs=0.002)


def test_level_counts_for_events_alone(roots):
    quiet, loud = (
        mix(scene(Event("background", "rain", "rain/a.wav", snr_db=snr)), roots)
        for snr in (0.0, 9.0)
    )
    np.testing.assert_array_equal(quiet.mixture, loud.mixture)


def test_louder_event_by_as_many_decibels(roots):
    quiet, loud = (mix(scene(event(snr_db=snr)), roots) for snr in (-3.0, 4.5))
    np.testing.assert_allclose(loud.mixture, 10 ** (7.5 / 20) * quiet.mixture, atol=1e-12)


def test_an_endless_event_ends_with_its_source(roots):
    stem = mix(scene(event("slow"), duration_s=3.0), roots).mixture
    assert abs(np.flatnonzero(stem)[-1] - RATE) < 5


def test_same_bits_again(roots):
    plan = KINDS["two beds and two events"]
    assert mix(plan, roots).mixture.tobytes() == mix(plan, roots).mixture.tobytes()


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([event("silent")], r"scene: dog/silent.wav: silent where it is cut"),
        ([bed(), event("slow", 1.0)], r"dog/slow.wav: ends before 1 s, where it is to begin"),
        ([bed("a", 7.5)], r"rain/a.wav: ends before 7.5 s"),
        ([event("click")], r"dog/click.wav: 0.005 s long, less than a fade"),
        ([event(duration_s=1e-6)], r"dog/long.wav: has no sample in 1e-06 s at 16000 Hz"),
    ],
)
def test_refuses_what_it_cannot_place(roots, events, reason):
    with pytest.raises(RenderError, match=reason):
        mix(scene(*events), roots)


def test_refuses_a_missing_source(roots):
    with pytest.raises(AudioFileError, match=r"none\.wav"):
        mix(scene(event("none")), roots)


def test_what_is_beyond_full_scale_is_left_as_it_is(roots):
    loud, soft = (mix(scene(bed(), ref_db=ref_db), roots).mixture for ref_db in (-8.0, -28.0))
    assert np.abs(loud).max() > 1
    np.testing.assert_allclose(loud, 10 * soft, rtol=1e-9)


def check(mixture, *stems):
    plan = Soundscape("x", 1.0, 4, -30.0, tuple(event() for _ in stems))
    stems = tuple(np.array(stem) for stem in stems)
    checked(plan, Rendered(np.array(mixture), stems, (0.0,) * len(stems)))


def test_check_accepts_a_sum():
    check([0.1, 0.2, 0.3, 0.4], [0.1, 0.0, 0.3, 0.0], [0.0, 0.2, 0.0, 0.4])


@pytest.mark.parametrize(
    ("mixture", "stems", "reason"),
    [
        ([0.1, 0.2, 0.3, 0.4], [[0.1, 0.2, 0.3, 0.5]], "from the sum of its stems by 0.1"),
        ([0.1, math.nan, 0.3, 0.4], [[0.1, 0.2, 0.3, 0.4]], "NaN or infinite"),
    ],
)
def test_check_refuses(mixture, stems, reason):
    with pytest.raises(RenderError, match=reason):
        check(mixture, *stems)


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(RenderError(scene(bed()), "reason", bed())))
    assert str(error) == "scene: rain/a.wav: reason"


def sine(frequency, amplitude, duration_s, rate=48_000):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(duration_s * rate)) / rate)


def test_full_scale_sine_at_997_hz():
    """BS.1770: 0 dBFS at 997 Hz in one channel reads -3.01; pyloudnorm's filter is 0.04 off."""
    assert integrated_lufs(sine(997, 1.0, 3.0), 48_000) == pytest.approx(-3.01, abs=0.05)


def test_gain_moves_it_by_as_many_decibels():
    noise = np.random.default_rng(0).standard_normal(32_000)
    loud, quiet = (integrated_lufs(gain * noise, 16_000) for gain in (0.1, 0.01))
    assert loud - quiet == pytest.approx(20.0, abs=1e-6)


def test_short_sound_is_as_loud_as_its_repetition():
    short = sine(1000, 0.1, 0.1)
    assert integrated_lufs(short, 48_000) == integrated_lufs(np.tile(short, 5), 48_000)
    assert integrated_lufs(short, 48_000) == pytest.approx(-23.0, abs=0.2)


def test_silence_around_it_is_gated():
    sound = sine(1000, 0.1, 2.0)
    padded = np.concatenate([sound, np.zeros(3 * 48_000)])
    difference = integrated_lufs(sound, 48_000) - integrated_lufs(padded, 48_000)
    assert difference == pytest.approx(0.0, abs=0.5)


def test_silence_is_at_the_floor():
    assert integrated_lufs(np.zeros(16_000), 16_000) == FLOOR_LUFS
    assert integrated_lufs(np.full(3, 1e-9), 16_000) == FLOOR_LUFS


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyloudnorm", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'byola-diff\[generate\]'"):
        integrated_lufs(np.ones(16_000), 16_000)


@pytest.mark.parametrize("duration_s", [0.01, 0.17, 0.4, 0.49, 0.5, 0.51, 3.0])
def test_is_that_of_scaper(duration_s):
    audio = pytest.importorskip("scaper.audio")
    noise = 0.1 * np.random.default_rng(1).standard_normal(int(duration_s * 44_100))
    expected = audio.get_integrated_lufs(noise[:, None], 44_100)
    assert integrated_lufs(noise, 44_100) == pytest.approx(expected, abs=1e-9)
