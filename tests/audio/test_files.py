import os
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from byola_diff.atomic import atomic_path
from byola_diff.audio import files
from byola_diff.audio.files import (
    AudioFileError,
    decoder_name,
    find_audio,
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


def test_find_is_nested_sorted_and_skips_hidden(tmp_path):
    for name in ("b.WAV", "a/z.flac", "a/b/c.Mp3", "a.ogg", "notes.txt", ".x.wav", ".git/y.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.ogg", "a/b/c.Mp3", "a/z.flac", "b.WAV"]


def test_find_follows_links_but_not_in_circles(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.wav").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "root")
    assert find_audio(tmp_path / "root") == [tmp_path / "root" / "link" / "a.wav"]


def test_find_in_no_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="absent"):
        find_audio(tmp_path / "absent")
    assert find_audio(tmp_path) == []


def test_decoder_has_both_versions():
    assert decoder_name().startswith(f"soundfile {soundfile.__version__} (")
    assert soundfile.__libsndfile_version__ in decoder_name()


def test_find_names_what_only_another_decoder_reads(tmp_path):
    names = ["a.sph", "b.snd", "c.voc", "d.WEBM", "e.mp4", "f.wv", "g.amr", "h.3gp", "i.ape"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in find_audio(tmp_path)] == names


def test_odd_entries_stop_no_walk(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(10), RATE)
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.wav")
    names = [os.fsdecode(b"\xff\xe9.wav"), "line\nbreak, comma.wav"]
    for name in names:
        (tmp_path / name).write_bytes((tmp_path / "a.wav").read_bytes())
    found = find_audio(tmp_path)
    assert [path.name for path in found] == sorted(["a.wav", "loop.wav", "pipe.wav", *names])
    for name in ("loop.wav", "pipe.wav"):
        with pytest.raises(AudioFileError, match="unreadable"):
            read_audio(tmp_path / name)
    for name in names:
        assert len(read_audio(tmp_path / name)[0]) == 10


def test_folders_linked_to_one_another_are_walked_once(tmp_path):
    for a in range(8):
        (tmp_path / f"f{a}").mkdir()
        (tmp_path / f"f{a}" / "x.wav").touch()
        for b in range(8):
            (tmp_path / f"f{a}" / f"to{b}").symlink_to(tmp_path / f"f{b}")
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == [f"f{a}/x.wav" for a in range(8)]


def test_a_folder_has_the_name_where_it_lies(tmp_path):
    (tmp_path / "z" / "deep").mkdir(parents=True)
    (tmp_path / "z" / "deep" / "x.wav").touch()
    (tmp_path / "a").symlink_to(tmp_path / "z" / "deep")
    assert find_audio(tmp_path) == [tmp_path / "z" / "deep" / "x.wav"]


def test_folders_too_deep_to_be_listed_are_said(tmp_path):
    (tmp_path / "a.wav").touch()
    home = os.open(tmp_path, os.O_RDONLY)
    here = home
    try:
        for _ in range(1200):
            os.mkdir("deep", dir_fd=here)
            below = os.open("deep", os.O_RDONLY, dir_fd=here)
            if here != home:
                os.close(here)
            here = below
        with pytest.warns(UserWarning, match=r"left out: folder .*too long"):
            assert find_audio(tmp_path) == [tmp_path / "a.wav"]
    finally:
        os.close(here)
        os.close(home)
        # Not shutil.rmtree, which calls itself for each folder.
        subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)
