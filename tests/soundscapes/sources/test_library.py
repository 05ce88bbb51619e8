import hashlib
import os
import shutil

import pytest
import torch

from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.sources import library
from byola_diff.soundscapes.sources.library import (
    ProceduralSounds,
    read_esc50,
    read_folder,
    read_fsd50k,
    source_sha256,
)
from byola_diff.storage import sha256
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


def test_a_recording_listed_twice_is_refused(tmp_path):
    write_esc50(tmp_path)
    table = tmp_path / "meta" / "esc50.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    with pytest.raises(LayoutError, match="is listed twice"):
        read_esc50(tmp_path)


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file.*x\.wav"):
        source_sha256(tmp_path / "x.wav")


EVENTS = {"per_label": 6, "seed": 3, "sample_rate": 8000, "labels": ["bark"]}
GROUNDS = {**EVENTS, "per_label": 2, "labels": ["rain", "wind"]}


def written(folder, kind="events", **settings):
    sounds = ProceduralSounds(folder, kind, **settings)
    sounds.write()
    return sounds.libraries


def events(folder, **settings):
    return written(folder, **EVENTS | settings)[""]


def hashes(library):
    return [sha256(library.root / source.file) for source in library.sources]


def test_events_come_in_five_folds(tmp_path):
    library = events(tmp_path / "a")
    assert [source.fold for source in library.sources] == [1, 2, 3, 4, 5, 1]
    assert library.sources[0].file == "bark/bark_000.wav"
    assert {s.duration_s for s in read_folder(tmp_path / "a").sources} == {5.0}
    assert len(set(hashes(library))) == 6


def test_same_seed_same_bytes_also_when_stopped(tmp_path):
    first = events(tmp_path / "a")
    before = hashes(first)
    (tmp_path / "a" / first.sources[2].file).unlink()
    (tmp_path / "a" / first.sources[4].file).write_bytes(b"part")
    assert hashes(events(tmp_path / "a")) == before
    assert hashes(events(tmp_path / "b")) == before
    other = events(tmp_path / "c", seed=4)
    assert not set(hashes(other)) & set(before)


@pytest.mark.slow
def test_same_bytes_with_any_number_of_threads(tmp_path):
    before = torch.get_num_threads()
    settings = {
        "per_label": 1,
        "seed": 0,
        "sample_rate": 44_100,
        "labels": ["rain", "stream", "wind"],
    }
    found = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            parts = written(tmp_path / str(n_threads), "backgrounds", **settings)
            found.append([hashes(part) for part in parts.values()])
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_no_background_is_in_both_parts(tmp_path):
    parts = written(tmp_path, "backgrounds", **GROUNDS)
    labels = [{source.label for source in part.sources} for part in parts.values()]
    assert labels == [{"rain", "wind"}] * 2
    assert {source.split for source in parts["dev"].sources} == {"dev"}
    assert not set(hashes(parts["dev"])) & set(hashes(parts["eval"]))


def test_nothing_is_written_before_it_is_to_be(tmp_path):
    told = ProceduralSounds(tmp_path / "a", "backgrounds", **GROUNDS).libraries
    assert not (tmp_path / "a").exists()
    assert written(tmp_path / "a", "backgrounds", **GROUNDS) == told
    for part in told.values():
        found = read_folder(part.root).sources
        assert [(s.file, s.label, s.duration_s) for s in found] == [
            (s.file, s.label, s.duration_s) for s in part.sources
        ]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("file,label,fold,start_s", "a.wav,y,4,0.1", "row 3, column 'start_s': .* whole files"),
        ("file,label,fold,duration_s", "a.wav,y,4,0.1", "row 3, column 'duration_s': .* whole"),
        ("file,labels,fold", "a.wav,y;z,4", "row 3: a soundscape needs one label .* not y, z"),
        (
            "file_name,label,fold",
            'a.wav,"y,z",4',
            "row 3: a soundscape needs one label .* not y, z",
        ),
    ],
)
def test_parts_and_several_labels_are_refused(tmp_path, header, row, message):
    noise(tmp_path / "b.wav", 0)
    noise(tmp_path / "a.wav", 1)
    first = "b.wav,x,1" + "," * (header.count(",") - 2)
    (tmp_path / "manifest.csv").write_text(f"{header}\n{first}\n{row}\n")
    with pytest.raises(ManifestError, match=f"manifest.csv: {message}"):
        read_esc50(tmp_path)
