import errno
import hashlib
import json
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.soundscapes.production import items
from byola_diff.soundscapes.production.items import common_gain_db, finish, finished
from byola_diff.soundscapes.render.jams_file import read_facts
from byola_diff.soundscapes.render.plan import ClippingError
from tests.soundscapes.scenes import bed, event, scene

PLAN = scene(bed(), event(at_s=0.1))
FACTS = {"renderer": "mixer", "pair": 3, "labels": ("dog", "rain")}
JAMS = "jams/train/x.jams"
WAVS = ("audio/x_a.wav", "audio/x_b.wav")


def audio(seed=0):
    draw = np.random.default_rng(seed)
    return {name: draw.uniform(-0.5, 0.5, 32_000) for name in WAVS}


@pytest.fixture
def out(tmp_path):
    finish(tmp_path, JAMS, PLAN, audio(), FACTS)
    return tmp_path


def test_files_facts_and_hashes(tmp_path):
    facts = finish(tmp_path, JAMS, PLAN, audio(), FACTS)
    assert facts == read_facts(tmp_path / JAMS) == finished(tmp_path, JAMS, PLAN, WAVS, FACTS)
    assert (facts["pair"], facts["labels"], facts["sample_rate"]) == (3, ["dog", "rain"], 16_000)
    assert sorted(facts["files"]) == sorted(WAVS)
    for name, digest in facts["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3


def test_wav_holds_the_nearest_24_bit_samples(out):
    info = soundfile.info(out / WAVS[0])
    assert (info.subtype, info.samplerate, info.frames, info.channels) == (
        "PCM_24",
        16_000,
        32_000,
        1,
    )
    read = soundfile.read(out / WAVS[0])[0]
    assert np.abs(read - audio()[WAVS[0]]).max() <= 0.5 / 2**23


def test_same_bytes_again(out, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    finish(other, JAMS, PLAN, dict(reversed(audio().items())), FACTS)
    for name in (*WAVS, JAMS):
        assert (out / name).read_bytes() == (other / name).read_bytes()


def test_output_rate(tmp_path):
    facts = finish(tmp_path, JAMS, PLAN, audio(), FACTS, output_rate=8000)
    info = soundfile.info(tmp_path / WAVS[0])
    assert (info.samplerate, info.frames, facts["sample_rate"]) == (8000, 16_000, 8000)
    assert finished(tmp_path, JAMS, PLAN, WAVS, {**FACTS, "sample_rate": 8000}) == facts
    assert finished(tmp_path, JAMS, PLAN, WAVS, {**FACTS, "sample_rate": 16_000}) is None


@pytest.mark.parametrize(
    ("plan", "facts"),
    [
        (scene(bed(), event(at_s=0.2)), FACTS),
        (PLAN, {**FACTS, "renderer": "scaper"}),
        (PLAN, {**FACTS, "more": 1}),
        (PLAN, {"renderer": "mixer", "pair": 3}),
    ],
)
def test_not_finished_with_another_plan_or_other_facts(out, plan, facts):
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is not None
    assert finished(out, JAMS, plan, WAVS, facts) is None


@pytest.mark.parametrize("name", WAVS)
def test_not_finished_without_a_file_or_with_another(out, name):
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None
    (out / name).unlink()
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None


def test_not_finished_without_jams_or_with_a_broken_one(out):
    text = (out / JAMS).read_text()
    (out / JAMS).write_text(text[:-20])
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None
    (out / JAMS).write_text(text.replace('"ref_db": -30.0', '"ref_db": -31.0'))
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None
    (out / JAMS).unlink()
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None


def test_a_jams_that_names_files_elsewhere_is_not_finished(out):
    document = json.loads((out / JAMS).read_text())
    document["sandbox"]["byola_diff"]["files"] = {"../x": "0" * 64}
    (out / JAMS).write_text(json.dumps(document, indent=1) + "\n")
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None
    document["sandbox"]["byola_diff"]["files"] = 3
    (out / JAMS).write_text(json.dumps(document, indent=1) + "\n")
    assert finished(out, JAMS, PLAN, WAVS, FACTS) is None


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (
            [0.0, 1.0],
            r"x.wav clips, with a peak of \+0.00 dBFS; give --clipping gain, or lower ref",
        ),
        ([0.0, -2.0], r"a peak of \+6.02 dBFS; .* ref_db, -30 LUFS, by more than 6.02 dB"),
        ([0.0, math.nan], r"x.wav clips"),
    ],
)
def test_refuses_what_does_not_fit_and_leaves_no_jams(tmp_path, samples, reason):
    audio = {"a.wav": np.zeros(2), "x.wav": np.array(samples, dtype=float)}
    with pytest.raises(ClippingError, match=reason):
        finish(tmp_path, JAMS, PLAN, audio, FACTS)
    assert not list(tmp_path.rglob("*.*"))


def test_full_scale_downwards_fits(tmp_path):
    finish(tmp_path, JAMS, PLAN, {"x.wav": np.array([-1.0, 0.5])}, FACTS)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "x.wav")[0], [-1.0, 0.5])


@pytest.mark.parametrize(
    ("peaks", "gain_db"),
    [
        ([0.5, -1.0], 0.0),
        ([0.5, 1 - 2**-23], 0.0),
        ([0.5, 1 - 2**-26], -0.01),  # the nearest of 24 bits would be full scale
        ([0.5, 1.0], -0.01),
        ([2.0, -10.0], -20.01),
        ([-2.0, 0.1], -6.04),  # 6.0206 dB, in whole hundredths
    ],
)
def test_one_gain_lets_all_fit(tmp_path, peaks, gain_db):
    audio = {f"{n}.wav": np.array([0.0, peak]) for n, peak in enumerate(peaks)}
    found = common_gain_db(audio.values(), 16_000, None)
    assert found == pytest.approx(gain_db, abs=1e-12)
    facts = finish(tmp_path, JAMS, PLAN, audio, FACTS, gain_db=found)
    assert facts.get("common_gain_db", 0.0) == found
    for (name, samples), peak in zip(audio.items(), peaks, strict=True):
        written = soundfile.read(tmp_path / name)[0]
        np.testing.assert_allclose(written, 10 ** (gain_db / 20) * samples, atol=2**-23)
        assert abs(written[1]) == pytest.approx(abs(peak) * 10 ** (gain_db / 20), abs=2**-23)
    assert finished(tmp_path, JAMS, PLAN, audio, FACTS) == facts
    # The JAMS is of the levels that were written.
    [annotation] = json.loads((tmp_path / JAMS).read_text())["annotations"]
    assert annotation["sandbox"]["scaper"]["ref_db"] == pytest.approx(-30 + gain_db, abs=1e-9)


def test_the_gain_is_that_of_the_final_rate():
    """What is above the new band does not count; what resampling adds to a peak does."""
    time_s = np.arange(16_000) / 16_000
    high = 1.5 * np.sin(2 * np.pi * 7_000 * time_s)
    assert common_gain_db([high], 16_000, None) < -3
    assert common_gain_db([high], 16_000, 8_000) == 0.0
    square = 0.99 * np.sign(np.sin(2 * np.pi * 440.5 * time_s))
    assert common_gain_db([square], 16_000, None) == 0.0
    assert common_gain_db([square], 16_000, 8_000) < -0.5


@pytest.mark.parametrize("gain", ["-6.0", None, [1]])
def test_a_gain_that_is_no_number_is_not_finished(tmp_path, gain):
    finish(tmp_path, JAMS, PLAN, audio(), FACTS, gain_db=-6.0)
    text = (tmp_path / JAMS).read_text()
    (tmp_path / JAMS).write_text(text.replace('db": -6.0', f'db": {json.dumps(gain)}'))
    assert finished(tmp_path, JAMS, PLAN, WAVS, FACTS) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_told_from_faulty_audio(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "atomic_path", lambda path: nullcontext(Path("/dev/full")))
    with pytest.raises(OSError, match="No space left") as info:
        finish(tmp_path, JAMS, PLAN, {"x.wav": np.zeros(4)}, FACTS)
    assert info.value.errno == errno.ENOSPC
