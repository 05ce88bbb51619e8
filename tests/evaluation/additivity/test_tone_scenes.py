import numpy as np
import pytest

from byola_diff.evaluation.additivity import tone_scenes
from byola_diff.evaluation.additivity.tone_scenes import (
    AMPLITUDES,
    SAMPLE_RATE,
    ToneObject,
    ToneScenes,
    drawn_objects,
    mixed,
    tone,
)

BELL = ToneObject("bell", "middle", "moderate", "loud")


def test_the_same_is_added_to_both_scenes():
    for one in ToneScenes(4, 1.0).read(4):
        scene, with_event, other, with_same = (side.astype(float) for side in one.waveforms)
        np.testing.assert_allclose(with_event - scene, with_same - other, atol=1e-6)
        assert np.abs(with_event - scene).max() > 0.01
        assert np.abs(scene - other).max() > 0.01
        assert max(np.abs(side).max() for side in one.waveforms) <= 1


def test_a_quadruple_depends_on_the_seed_and_its_number_alone():
    few, many, others = (ToneScenes(n, 0.2, seed) for n, seed in ((2, 0), (5, 0), (5, 1)))
    assert len(list(many.read(9))) == 5
    for first, second, other in zip(few.read(2), many.read(2), others.read(2), strict=True):
        for mine, same, not_mine in zip(
            *(one.waveforms for one in (first, second, other)), strict=True
        ):
            np.testing.assert_array_equal(mine, same)
            assert not np.array_equal(mine, not_mine)


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


def test_label_is_of_what_is_added():
    [one] = ToneScenes(1, 0.1).read(1)
    assert one.label == " + ".join(sorted(each.timbre for each in drawn_objects(0, 0)[2]))
