import struct

import numpy as np
import pytest
import soundfile

from byola_diff.atomic import atomic_path
from byola_diff.audio import files
from byola_diff.audio.files import (
    AudioFileError,
    decoder_name,
    open_audio,
    read_audio,
    to_pcm16,
    write_wav,
)

RATE = 16_000


def noise(n_samples, seed=0):
    return (0.2 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def test_mean_of_channels(tmp_path):
    stereo = np.array([[0.5, 0.25], [-0.5, 0.0], [0.0, 1.0]], np.float32)
    soundfile.write(tmp_path / "a.wav", stereo, 8000, subtype="FLOAT")
    waveform, rate = read_audio(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_array_equal(waveform, np.array([0.375, -0.25, 0.5], np.float32))


def test_written_samples_by_hand(tmp_path):
    waveform = np.array([0.0, 0.5, -1.0, 1.0, 3.0, -3.0, 1.4 / 32768, 1.6 / 32768], np.float32)
    write_wav(tmp_path / "deep" / "a.wav", waveform, RATE)
    samples, rate = soundfile.read(tmp_path / "deep" / "a.wav", dtype="int16")
    assert rate == RATE
    assert samples.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 1, 2]
    assert soundfile.info(tmp_path / "deep" / "a.wav").subtype == "PCM_16"


def test_16_bit_samples_survive_reading_and_writing(tmp_path):
    samples = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    waveform, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(to_pcm16(waveform), samples)


def test_writing_nan_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="NaN"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.nan], np.float32), RATE)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half\udcff", encoding="utf-8")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_part_of_a_file_equals_the_part_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(5 * RATE), RATE)
    whole, _ = read_audio(path)
    # In the Ogg file, libsndfile's own seek goes wrong at the last two.
    for start in (0, 1, 4095, 30_000, 72_781, 77_766):
        part, _ = read_audio(path, start / RATE, 1000 / RATE)
        np.testing.assert_allclose(part, whole[start : start + 1000], atol=1e-6)


def test_part_beyond_the_end_is_shorter(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(100), RATE)
    assert len(read_audio(tmp_path / "a.wav", 90 / RATE, 1.0)[0]) == 10
    with pytest.raises(AudioFileError, match="no sample 100: 100 samples long"):
        read_audio(tmp_path / "a.wav", 100 / RATE)


def test_one_sample(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), RATE)
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [0.5]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "w64"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(4 * RATE), RATE)
    read_audio(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.raises(AudioFileError, match=r"a\.\w+: (truncated|unreadable)"):
        read_audio(path)


def test_ogg_cut_inside_its_last_page(tmp_path):
    soundfile.write(tmp_path / "a.ogg", noise(4 * RATE), RATE)
    (tmp_path / "a.ogg").write_bytes((tmp_path / "a.ogg").read_bytes()[:-1])
    with pytest.raises(AudioFileError, match="end-of-stream"):
        read_audio(tmp_path / "a.ogg")


def test_ogg_cut_between_two_pages(tmp_path):
    soundfile.write(tmp_path / "a.ogg", noise(4 * RATE), RATE)
    content = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(content[: content.rindex(b"OggS")])
    with pytest.raises(AudioFileError, match="end-of-stream"):
        read_audio(tmp_path / "a.ogg")


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_written_to_a_pipe_is_whole(tmp_path, declared):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1000), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", declared)
    path.write_bytes(content)
    assert len(read_audio(path)[0]) == 1000


def test_empty_and_unreadable(tmp_path):
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "header.wav", np.zeros(0), RATE)
    (tmp_path / "text.wav").write_text("no audio at all, but some text instead of it")
    (tmp_path / "folder.wav").mkdir()
    reasons = {}
    for name in ("empty", "header", "text", "folder", "absent"):
        with pytest.raises(AudioFileError) as caught:
            read_audio(tmp_path / f"{name}.wav")
        assert caught.value.path == tmp_path / f"{name}.wav"
        assert str(tmp_path) not in caught.value.reason
        reasons[name] = caught.value.reason
    assert reasons["empty"] == "empty: 0 bytes"
    assert reasons["header"] == "empty: no samples"
    assert all(reasons[name].startswith("unreadable: ") for name in ("text", "folder", "absent"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, bad):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, bad, 0.1]), RATE, subtype="FLOAT")
    with pytest.raises(AudioFileError, match="NaN or infinite"):
        read_audio(tmp_path / "a.wav")


def test_reader_knows_rate_and_length(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros((123, 2)), 22_050)
    with open_audio(tmp_path / "a.flac") as reader:
        assert (reader.sample_rate, reader.n_samples) == (22_050, 123)


def test_blocks_are_what_is_read_at_once(tmp_path, monkeypatch):
    samples = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    whole, _ = read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 200)  # of both channels
    with open_audio(tmp_path / "a.wav") as reader:
        blocks = list(reader.blocks(50, 310))
    assert [len(block) for block in blocks] == [100, 100, 100, 10]
    assert reader.n_read == 310
    np.testing.assert_array_equal(np.concatenate(blocks), whole[50:360])


def test_a_bad_sample_is_told_when_its_block_is_met(tmp_path, monkeypatch):
    samples = np.zeros(1000, np.float32)
    samples[450] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 200)
    with open_audio(tmp_path / "a.wav") as reader:
        blocks = reader.blocks()
        assert [len(next(blocks)) for _ in range(2)] == [200, 200]
        with pytest.raises(AudioFileError, match="NaN"):
            next(blocks)


def test_decoder_has_both_versions():
    assert decoder_name().startswith(f"soundfile {soundfile.__version__} (")
    assert soundfile.__libsndfile_version__ in decoder_name()
