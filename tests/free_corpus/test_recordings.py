"""What is found in a package: containers, G.722, and notes of a sound font."""

import io
import sys
from types import ModuleType

import numpy as np
import pytest

from byola_diff.audio.files import AudioFileError
from byola_diff.free_corpus.recordings import recordings
from tests.free_corpus.debs import deb, sound, tone
from tests.free_corpus.test_containers import packed


def found(tmp_path, files):
    return list(recordings(deb(tmp_path, "alpha", files)))


def test_sounds_in_a_container(tmp_path):
    inside = packed({"deep/a.wav": sound(tone(400)), "b.txt": b""})
    for recording in recordings(deb(tmp_path, "alpha", {"usr/x.zip": inside})):
        assert recording.path == "usr/x.zip/deep/a.wav"
        waveform, rate = recording.decode()
        assert (len(waveform), rate) == (4000, 8000)


def test_a_damaged_container_is_told(tmp_path):
    [recording] = found(tmp_path, {"usr/x.zip": b"PK\3\4"})
    with pytest.raises(AudioFileError, match="damaged"):
        recording.decode()


def test_too_large_and_unreadable(tmp_path, monkeypatch):
    monkeypatch.setattr("byola_diff.free_corpus.recordings._MOST_FILE_BYTES", 100)
    for recording in recordings(deb(tmp_path, "alpha", {"a.wav": bytes(101), "b.wav": b"x"})):
        with pytest.raises(AudioFileError, match=r"larger than|unreadable"):
            recording.decode()


@pytest.mark.parametrize(("most_s", "length"), [(600, 24_000), (1, 16_000)])
def test_g722(tmp_path, monkeypatch, most_s, length):
    monkeypatch.setattr("byola_diff.free_corpus.recordings._MOST_READ_S", most_s)
    av = pytest.importorskip("av")
    content = io.BytesIO()
    with av.open(content, "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        samples = (8000 * np.sin(np.arange(24_000) / 5)).astype("<i2")[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    for recording in recordings(deb(tmp_path, "alpha", {"hello.g722": content.getvalue()})):
        waveform, rate = recording.decode()
        assert (len(waveform), rate) == (length, 16_000)
        assert np.abs(waveform).max() == pytest.approx(8000 / 32768, abs=0.02)


class FakeSynth:
    """Plays each note as a constant: pitch in the left ear, velocity in the right one."""

    def __init__(self, samplerate):
        self.playing = (0, 0)

    def sfload(self, content):
        assert content == b"font"
        return 0

    def sfpreset_name(self, font, bank, program):
        return f"Instrument {program} " if program in (0, 40) else None

    def program_change(self, channel, program, is_drums=False):
        pass

    def noteon(self, channel, pitch, velocity):
        self.playing = pitch, velocity

    def noteoff(self, channel, pitch):
        self.playing = 0, 0

    def sounds_off(self):
        pass

    def generate(self, samples):
        return memoryview(np.tile(np.float32(self.playing), samples).tobytes())


def test_notes_of_a_sound_font(tmp_path, monkeypatch):
    fake = ModuleType("tinysoundfont")
    fake.Synth = FakeSynth
    monkeypatch.setitem(sys.modules, "tinysoundfont", fake)
    names = [recording.path for recording in found(tmp_path, {"usr/gm.sf2": b"font"})]
    assert len(names) == 2 * 4 * 3 + 47 * 2
    assert "usr/gm.sf2/program 000 Instrument 0 pitch 40 velocity 85" in names
    assert (
        "usr/gm.sf2/program 040 Instrument 40 pitch 77 velocity 120" in names
    )  # 76 + 40 // 3 % 12
    assert "usr/gm.sf2/percussion 35 velocity 70" in names
    first = found(tmp_path, {"gm.sf2": b"font"})[0]
    waveform, rate = first.decode()
    assert (len(waveform), rate) == (3 * 44_100, 44_100)
    assert waveform[0] == (40 + 50) / 2
    assert waveform[-1] == 0


def test_a_damaged_sound_font_is_told(tmp_path):
    pytest.importorskip("tinysoundfont")
    [recording] = found(tmp_path, {"gm.sf2": b"no font"})
    with pytest.raises(AudioFileError, match="damaged"):
        recording.decode()


def test_without_a_synthesizer_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps tinysoundfont"):
        found(tmp_path, {"gm.sf2": b"font"})
