"""Ogg files: the same bytes for the same samples, and checksums that libsndfile agrees with."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import read_audio
from byola_diff.free_corpus import ogg

TONE = (0.3 * np.sin(np.arange(16_000))).astype(np.float32)


def test_same_samples_give_same_bytes(tmp_path, monkeypatch):
    serials = itertools.count(1000)
    soundfile_write = soundfile.write

    def another_serial(content, *rest, **options):
        soundfile_write(content, *rest, **options)
        changed = content.getvalue()
        at = changed.find(b"OggS") + 14
        content.seek(0)
        content.write(changed.replace(changed[at : at + 4], next(serials).to_bytes(4, "little")))

    monkeypatch.setattr(ogg.soundfile, "write", another_serial)
    ogg.write_ogg(tmp_path / "a.ogg", TONE, 16_000)
    ogg.write_ogg(tmp_path / "b.ogg", TONE, 16_000)
    assert (tmp_path / "a.ogg").read_bytes() == (tmp_path / "b.ogg").read_bytes()


def test_what_is_written_is_read(tmp_path):
    ogg.write_ogg(tmp_path / "a.ogg", TONE, 16_000)
    waveform, rate = read_audio(tmp_path / "a.ogg")
    assert (len(waveform), rate) == (16_000, 16_000)
    assert np.abs(waveform - TONE).max() < 0.1


@pytest.mark.parametrize(("gain", "peak"), [(1, 0.3), (9, 0.8)])
def test_only_high_peaks_are_brought_down(tmp_path, gain, peak):
    ogg.write_ogg(tmp_path / "a.ogg", gain * TONE, 16_000)
    waveform, _ = read_audio(tmp_path / "a.ogg")
    assert np.sqrt(2 * np.square(waveform).mean()) == pytest.approx(peak, rel=0.1)
    assert np.abs(waveform).max() < 1


def test_silence_stays_silent(tmp_path):
    ogg.write_ogg(tmp_path / "a.ogg", 0 * TONE, 16_000)
    assert np.abs(read_audio(tmp_path / "a.ogg")[0]).max() < 1e-3


def test_checksum_is_that_of_libsndfile():
    content = io.BytesIO()
    soundfile.write(content, TONE, 16_000, format="OGG", subtype="VORBIS")
    page = content.getvalue()[: content.getvalue().index(b"OggS", 4)]
    bare = page[:22] + bytes(4) + page[26:]
    assert ogg.ogg_checksum(bare) == int.from_bytes(page[22:26], "little")
