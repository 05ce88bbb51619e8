import numpy as np
import pytest

from byola_diff.soundscapes import tone_scenes
from byola_diff.soundscapes.tone_scenes import (
    AMPLITUDES,
    SAMPLE_RATE,
    ToneObject,
    drawn_objects,
    mixed,
    tone,
)

BELL = ToneObject("bell", "middle", "moderate", "loud")


def test_objects_that_are_drawn():
    counts = set()
    for number in range(60):
        first, second, added = drawn_objects(0, number)
        every = [*first, *second, *added]
        assert len(set(every)) == len(every)
        counts |= {("scene", len(first)), ("scene", len(second)), ("added", len(added))}
    scenes = {("scene", 1), ("scene", 2), ("scene", 3)}
    assert counts == scenes | {("added", 1), ("added", 2)}


def test_loud_scenes_are_scaled_alike():
    sides = mixed([BELL] * 5, [BELL], [BELL], 0.5)
    assert np.abs(sides[1]).max() == pytest.approx(1)
    np.testing.assert_allclose(sides[1] - sides[0], sides[3] - sides[2], atol=1e-6)
    np.testing.assert_allclose(sides[0], 5 * sides[2], atol=1e-5)


def test_a_tone_repeats_at_its_rate():
    sound = tone(BELL, 1.0)
    assert len(sound) == SAMPLE_RATE
    np.testing.assert_allclose(sound[: SAMPLE_RATE // 2], sound[SAMPLE_RATE // 2 :], atol=1e-6)
    assert np.abs(sound).max() <= AMPLITUDES["loud"]
    np.testing.assert_allclose(tone(BELL._replace(amplitude="soft"), 1.0), sound / 4)


@pytest.mark.parametrize(("pitch", "hz"), [("low", 130.8), ("top", 1046.5)])
def test_without_modulation_a_tone_is_a_sine_of_its_pitch(monkeypatch, pitch, hz):
    plain = tone_scenes.Timbre(1.0, 0.0, 10.0)
    monkeypatch.setattr(tone_scenes, "TIMBRES", {"bell": plain})
    spectrum = np.abs(np.fft.rfft(tone(BELL._replace(pitch=pitch, rate="slow"), 1.0)))
    assert spectrum.argmax() == pytest.approx(hz, abs=1)
