import errno
import hashlib
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.soundscapes.production import items
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.render.jams_file import read_facts
from byola_diff.soundscapes.render.plan import RenderError
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
        ([0.0, 1.0], r"x.wav has 2 samples and a peak of 1.0000; lower ref_db"),
        ([0.0, -1.01], r"a peak of 1.0100"),
    ],
)
def test_refuses_what_does_not_fit_and_leaves_no_jams(tmp_path, samples, reason):
    with pytest.raises(RenderError, match=reason):
        finish(tmp_path, JAMS, PLAN, {"x.wav": np.array(samples, dtype=float)}, FACTS)
    assert not list(tmp_path.rglob("*.*"))


def test_full_scale_downwards_fits(tmp_path):
    finish(tmp_path, JAMS, PLAN, {"x.wav": np.array([-1.0, 0.5])}, FACTS)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "x.wav")[0], [-1.0, 0.5])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_told_from_faulty_audio(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "atomic_path", lambda path: nullcontext(Path("/dev/full")))
    with pytest.raises(OSError, match="No space left") as info:
        finish(tmp_path, JAMS, PLAN, {"x.wav": np.zeros(4)}, FACTS)
    assert info.value.errno == errno.ENOSPC
