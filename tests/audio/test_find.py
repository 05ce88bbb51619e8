import os
import subprocess

import numpy as np
import pytest

from byola_diff.audio.files import AudioFileError, read_audio, write_wav
from byola_diff.audio.find import find_audio


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


def test_find_names_what_only_another_decoder_reads(tmp_path):
    names = ["a.sph", "b.snd", "c.voc", "d.WEBM", "e.mp4", "f.wv", "g.amr", "h.3gp", "i.ape"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in find_audio(tmp_path)] == names


def test_odd_entries_stop_no_walk(tmp_path):
    write_wav(tmp_path / "a.wav", np.full(10, 0.1, np.float32), 16_000)
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
