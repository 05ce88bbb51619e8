import hashlib
import os
import shutil

import pytest

from byola_diff.audio.files import AudioFileError
from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.sources import library
from byola_diff.soundscapes.sources.library import (
    read_esc50,
    read_folder,
    read_fsd50k,
    source_sha256,
)
from byola_diff.tables.manifest import ManifestError
from tests.soundscapes.recordings import noise, write_esc50, write_fsd50k


@pytest.fixture
def fsd50k(tmp_path):
    return write_fsd50k(tmp_path / "fsd50k")


def test_official_layout_of_esc50(tmp_path):
    write_esc50(tmp_path)
    found = read_esc50(tmp_path)
    first, second = found.sources
    assert first.file == "audio/1-100032-A-0.wav"
    assert (first.label, first.fold, first.group, first.duration_s) == ("dog", 1, "100032", 0.2)
    assert (second.label, second.fold, second.group) == ("dog", 5, "203128")
    assert found.unreadable_files == ()


def test_a_manifest_gives_folds_and_groups(tmp_path):
    noise(tmp_path / "b.wav", 0)
    noise(tmp_path / "a.wav", 1)
    (tmp_path / "manifest.csv").write_text("file,label,fold,group\nb.wav,x,1,g\na.wav,y,4,h\n")
    found = [(s.file, s.label, s.fold, s.group) for s in read_esc50(tmp_path).sources]
    assert found == [("a.wav", "y", 4, "h"), ("b.wav", "x", 1, "g")]
    (tmp_path / "manifest.csv").write_text("file,label,fold,group\nb.wav,x,1,g\na.wav,y,4,g\n")
    with pytest.raises(ManifestError, match="leaking group 'g'"):
        read_esc50(tmp_path)


def test_unreadable_files_are_counted(tmp_path):
    write_esc50(tmp_path)
    (tmp_path / "audio" / "5-203128-A-0.wav").write_bytes(b"")
    found = read_esc50(tmp_path)
    assert found.unreadable_files == (("audio/5-203128-A-0.wav", "empty: 0 bytes"),)
    (tmp_path / "audio" / "1-100032-A-0.wav").unlink()
    with pytest.raises(LayoutError, match=r"no readable audio in .*; the first of 2: audio/1-1"):
        read_esc50(tmp_path)


def test_wrong_tables(tmp_path):
    with pytest.raises(LayoutError, match=r"neither meta/esc50.csv.* nor manifest.csv"):
        read_esc50(tmp_path)
    write_esc50(tmp_path)
    table = tmp_path / "meta" / "esc50.csv"
    table.write_text("filename,fold,category\na.wav,one,dog\n")
    with pytest.raises(LayoutError, match=r"fold of a.wav: 'one' is no whole number"):
        read_esc50(tmp_path)
    table.write_text("filename,fold,category\na.wav,1,\n")
    with pytest.raises(LayoutError, match="row 2: nothing in column category"):
        read_esc50(tmp_path)


def test_fsd50k_by_part_under_the_first_label(fsd50k):
    found = read_fsd50k(fsd50k)
    assert [(s.file, s.label, s.split) for s in found["dev"].sources] == [
        ("FSD50K.dev_audio/16399.wav", "Wind", "dev"),
        ("FSD50K.dev_audio/64760.wav", "Rain", "dev"),
    ]
    assert [s.label for s in found["eval"].sources] == ["Rain"]
    shutil.rmtree(fsd50k / "FSD50K.eval_audio")
    with pytest.raises(LayoutError, match=r"no such folder: .*FSD50K.eval_audio"):
        read_fsd50k(fsd50k)


def test_folders_are_labels(tmp_path):
    for seed, name in enumerate(("rain/x/1.wav", "2.wav")):
        noise(tmp_path / name, seed)
    found = [(s.file, s.label) for s in read_folder(tmp_path).sources]
    assert found == [("2.wav", ""), ("rain/x/1.wav", "rain")]
    with pytest.raises(LayoutError, match="no such folder"):
        read_folder(tmp_path / "absent")


def test_a_version_is_read_once_and_another_one_anew(tmp_path, monkeypatch):
    path, reads = tmp_path / "x.wav", []

    def counted(file):
        reads.append(file)
        return hashlib.sha256(file.read_bytes()).hexdigest()

    monkeypatch.setattr(library, "sha256", counted)
    for content, changed_s in ((b"one", 1), (b"one", 1), (b"two", 2), (b"three", 2)):
        path.write_bytes(content)
        os.utime(path, (changed_s, changed_s))
        assert source_sha256(path) == hashlib.sha256(content).hexdigest()
    assert len(reads) == 3


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"x\.wav: No such file"):
        source_sha256(tmp_path / "x.wav")
