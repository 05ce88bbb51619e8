import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.explore.previews import (
    MP3_BYTES_PER_S,
    RATE,
    duration_s,
    link_to,
    mp3_bytes,
    preview,
    spectrogram,
    whole_wav,
)
from byola_diff.tables.manifest import Clip, Manifest

FILE_RATE = 44_100


def tone(hz, duration_s, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate)) / rate)).astype(
        "f4"
    )


def pixels(webp):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(webp)).convert("L")).astype(float)


def clip_of(tmp_path, waveform, rate=FILE_RATE, **part):
    write_wav(tmp_path / "a.wav", waveform, rate)
    clip = Clip("a.wav", (), **part)
    return Manifest(tmp_path, (clip,), ()), clip


def loudest_hz(content):
    waveform, rate = soundfile.read(io.BytesIO(content))
    return np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform), rate, len(waveform) / rate


def test_a_sound_is_what_it_was(tmp_path):
    manifest, clip = clip_of(tmp_path, tone(440, 3, FILE_RATE))
    found = preview(manifest, clip)
    assert duration_s(manifest, clip) == pytest.approx(3)
    hz, rate, heard_s = loudest_hz(found.mp3)
    assert (hz, rate) == (pytest.approx(440, abs=1), RATE)
    assert heard_s == pytest.approx(3, abs=0.1)
    assert len(found.mp3) == pytest.approx(3 * MP3_BYTES_PER_S, rel=0.1)
    assert found == preview(manifest, clip)
    assert preview(manifest, clip, with_sound=False) == (found.picture, b"")


def test_a_part_of_a_file_and_the_first_30_s(tmp_path):
    both = np.concatenate([tone(300, 1, FILE_RATE), tone(900, 40, FILE_RATE)])
    manifest, clip = clip_of(tmp_path, both, start_s=0.5, duration_s=0.4)
    found = preview(manifest, clip)
    assert duration_s(manifest, clip) == pytest.approx(0.4)
    assert loudest_hz(found.mp3)[0] == pytest.approx(300, abs=3)
    manifest, clip = clip_of(tmp_path, both, start_s=1.0)
    found = preview(manifest, clip)
    assert duration_s(manifest, clip) == pytest.approx(40)
    assert loudest_hz(found.mp3)[2] == pytest.approx(30, abs=0.2)
    hz, rate, heard_s = loudest_hz(whole_wav(manifest, clip))
    assert (hz, rate, heard_s) == (pytest.approx(900, abs=1), FILE_RATE, pytest.approx(40))


def test_one_sample_and_beyond_full_scale(tmp_path):
    manifest, clip = clip_of(tmp_path, np.zeros(1), 48_000)
    assert preview(manifest, clip).picture
    waveform, _ = soundfile.read(io.BytesIO(mp3_bytes(tone(440, 1, level=2.0))))
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum[1300:].max() < 0.01 * spectrum.max()  # clipping would give odd multiples


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(AudioFileError, match="No such file"):
        preview(Manifest(tmp_path, (), ()), Clip("none.wav", ()))


def test_pictures_have_low_sounds_at_the_bottom_and_time_to_the_right():
    low, high = (pixels(spectrogram(tone(hz, 2))) for hz in (150, 5000))
    assert low.shape == high.shape == (64, 201)
    assert low.mean(axis=1).argmax() > high.mean(axis=1).argmax() + 20
    late = pixels(spectrogram(np.concatenate([np.zeros(RATE, "f4"), tone(1000, 1)])))
    assert late[:, 120:].max(axis=0).mean() > 3 * late[:, :80].max(axis=0).mean()
    assert pixels(spectrogram(tone(150, 60))).shape[1] <= 240


def test_silence_is_dark():
    assert pixels(spectrogram(np.zeros(RATE, "f4"))).max() < 20


@pytest.mark.parametrize(
    ("file", "page", "part", "url"),
    [
        ("d/a.wav", "page.html", {}, "./d/a.wav"),
        ("d/a.wav", "out/page.html", {}, "./../d/a.wav"),
        ("d/a #1?%.wav", "d/page.html", {}, "./a%20%231%3F%25.wav"),
        ('d/"><b>.wav', "d/page.html", {}, "./%22%3E%3Cb%3E.wav"),
        ("javascript:x.wav", "page.html", {}, "./javascript%3Ax.wav"),
        ("ä.wav", "page.html", {}, "./%C3%A4.wav"),
        ("a.wav", "page.html", {"start_s": 1.5, "duration_s": 2.0}, "./a.wav#t=1.5,3.5"),
        ("a.wav", "page.html", {"start_s": 1.5}, "./a.wav#t=1.5"),
    ],
)
def test_links(tmp_path, file, page, part, url):
    assert link_to(tmp_path / file, tmp_path / page, Clip(file, (), **part)) == url


def test_links_to_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(b"\xff.wav")
    assert link_to(tmp_path / name, tmp_path / "page.html", Clip(name, ())) == "./%FF.wav"


def test_links_from_where_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert link_to(Path("d/a.wav"), Path("runs/page.html"), Clip("a.wav", ())) == "./../d/a.wav"
