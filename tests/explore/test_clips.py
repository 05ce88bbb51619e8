import numpy as np
import pytest

from byola_diff.audio.files import write_wav
from byola_diff.explore.clips import clips_of
from byola_diff.tables.manifest import ManifestError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.wav", "dogs/b.wav", "dogs/c.wav"):
        write_wav(tmp_path / "sounds" / name, np.zeros(16_000), 16_000)
    (tmp_path / "sounds/notes.txt").write_text("no audio")
    return tmp_path / "sounds"


def rows(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_all_audio_below_a_folder(folder):
    manifest = clips_of(folder)
    assert [clip.file for clip in manifest.clips] == ["a.wav", "dogs/b.wav", "dogs/c.wav"]
    assert all(clip.labels == () and clip.start_s is None for clip in manifest.clips)
    assert manifest.classes == ()


def test_labels_and_parts_of_files_and_files_without(folder):
    table = rows(
        folder.parent / "labels.csv",
        "file,labels,start_s,duration_s",
        "sounds/dogs/b.wav,dog;rain,0.5,0.25",
        "sounds/dogs/b.wav,dog,0,0.5",
        "sounds/a.wav,<b>rain</b>,,",
    )
    manifest = clips_of(folder, table)
    assert [(c.file, c.labels, c.start_s, c.duration_s) for c in manifest.clips] == [
        ("a.wav", ("<b>rain</b>",), None, None),
        ("dogs/b.wav", ("dog",), 0.0, 0.5),
        ("dogs/b.wav", ("dog", "rain"), 0.5, 0.25),
        ("dogs/c.wav", (), None, None),
    ]
    assert manifest.classes == ("<b>rain</b>", "dog", "rain")


def test_a_table_in_the_folder_itself_and_rows_of_files_elsewhere(folder):
    write_wav(folder / "other/d.wav", np.zeros(16_000), 16_000)
    table = rows(folder / "m.csv", "file,label", "dogs/b.wav,dog", "other/d.wav,cat")
    manifest = clips_of(folder / "dogs", table)
    assert [(clip.file, clip.labels) for clip in manifest.clips] == [
        ("b.wav", ("dog",)),
        ("c.wav", ()),
    ]
    assert manifest.classes == ("dog",)


def test_files_that_are_links_have_the_labels_of_what_they_lead_to(folder):
    table = rows(folder / "m.csv", "file,label", "dogs/b.wav,dog")
    (folder / "again.wav").symlink_to(folder / "dogs/b.wav")
    labels = {clip.file: clip.labels for clip in clips_of(folder, table).clips}
    assert labels["again.wav"] == labels["dogs/b.wav"] == ("dog",)


def test_what_is_refused(folder):
    with pytest.raises(NotADirectoryError, match="no such folder"):
        clips_of(folder / "none")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no audio files in"):
        clips_of(folder / "empty")
    table = rows(folder / "m.csv", "file,label", "a.wav,dog")
    with pytest.raises(ValueError, match="none of its rows is of a file in"):
        clips_of(folder / "dogs", table)
    with pytest.raises(ManifestError, match="no column label or labels"):
        clips_of(folder, rows(folder / "n.csv", "file", "a.wav"))
