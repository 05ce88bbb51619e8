import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import write_wav
from byola_diff.soundscapes.layouts import read_backgrounds, usable
from byola_diff.soundscapes.library import LibraryError, read_esc50, read_folder, read_fsd50k
from byola_diff.tables.manifest import ManifestError


def noise(path, seed, duration_s=0.2, rate=8000):
    rng = np.random.default_rng(seed)
    write_wav(path, 0.1 * rng.standard_normal(int(duration_s * rate)), rate)


def write_esc50(root, names=("5-203128-A-0.wav", "1-100032-A-0.wav")):
    rows = [f"{name},{name[0]},0,dog,True,{name.split('-')[1]},A" for name in names]
    (root / "meta").mkdir(parents=True)
    header = "filename,fold,target,category,esc10,src_file,take"
    (root / "meta" / "esc50.csv").write_text("\n".join([header, *rows]) + "\n")
    for seed, name in enumerate(names):
        noise(root / "audio" / name, seed)


@pytest.fixture
def fsd50k(tmp_path):
    root = tmp_path / "fsd50k"
    truth = root / "FSD50K.ground_truth"
    truth.mkdir(parents=True)
    dev = 'fname,labels,mids,split\n64760,"Rain,Water",/m,train\n16399,Wind,/m,val\n'
    (truth / "dev.csv").write_text(dev)
    (truth / "eval.csv").write_text("fname,labels,mids\n37199,Rain,/m\n")
    for seed, name in enumerate(("dev_audio/64760", "dev_audio/16399", "eval_audio/37199")):
        noise(root / f"FSD50K.{name}.wav", seed)
    return root


def test_official_layout_of_esc50(tmp_path):
    write_esc50(tmp_path)
    found = read_esc50(tmp_path)
    first, second = found.sources
    assert first.file == "audio/1-100032-A-0.wav"
    assert (first.label, first.fold, first.group, first.duration_s) == ("dog", 1, "100032", 0.2)
    assert (second.fold, second.group, found.labels, found.unreadable) == (5, "203128", ("dog",), 0)


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
    assert found.unreadable == 1
    assert found.unreadable_files == (("audio/5-203128-A-0.wav", "empty: 0 bytes"),)
    (tmp_path / "audio" / "1-100032-A-0.wav").unlink()
    with pytest.raises(LibraryError, match=r"no readable audio in .*; the first of 2: audio/1-1"):
        read_esc50(tmp_path)


def test_wrong_tables(tmp_path):
    with pytest.raises(LibraryError, match=r"neither meta/esc50.csv.* nor manifest.csv"):
        read_esc50(tmp_path)
    write_esc50(tmp_path)
    table = tmp_path / "meta" / "esc50.csv"
    table.write_text("filename,fold,category\na.wav,one,dog\n")
    with pytest.raises(LibraryError, match=r"fold of a.wav: 'one' is no whole number"):
        read_esc50(tmp_path)
    table.write_text("filename,fold,category\na.wav,1,\n")
    with pytest.raises(LibraryError, match="row 2: nothing in column category"):
        read_esc50(tmp_path)


def test_fsd50k_by_part_under_the_first_label(fsd50k):
    found = read_fsd50k(fsd50k)
    assert [(s.file, s.label, s.split) for s in found["dev"].sources] == [
        ("FSD50K.dev_audio/16399.wav", "Wind", "dev"),
        ("FSD50K.dev_audio/64760.wav", "Rain", "dev"),
    ]
    assert [s.label for s in found["eval"].sources] == ["Rain"]
    shutil.rmtree(fsd50k / "FSD50K.eval_audio")
    with pytest.raises(LibraryError, match=r"no such folder: .*FSD50K.eval_audio"):
        read_fsd50k(fsd50k)


def test_folders_are_labels(tmp_path):
    for seed, name in enumerate(("rain/x/1.wav", "2.wav")):
        noise(tmp_path / name, seed)
    found = [(s.file, s.label) for s in read_folder(tmp_path).sources]
    assert found == [("2.wav", ""), ("rain/x/1.wav", "rain")]
    with pytest.raises(LibraryError, match="no such folder"):
        read_folder(tmp_path / "absent")


def test_backgrounds_of_fsd50k_are_no_deviation(fsd50k):
    libraries, told = read_backgrounds([fsd50k], 0)
    assert told == ()
    assert [len(libraries[part].sources) for part in ("dev", "eval")] == [2, 1]


def test_a_recording_in_both_parts_is_refused(fsd50k, tmp_path):
    audio = fsd50k / "FSD50K.eval_audio"
    shutil.copy(fsd50k / "FSD50K.dev_audio" / "16399.wav", audio / "37199.wav")
    with pytest.raises(LibraryError, match=r"37199.wav is the same recording as .*16399.wav"):
        read_backgrounds([fsd50k], 0)
    noise(audio / "16399.wav", 9)
    truth = fsd50k / "FSD50K.ground_truth" / "eval.csv"
    truth.write_text("fname,labels\n16399,Rain\n")
    with pytest.raises(LibraryError, match="recording 16399 is in the dev and in the eval part"):
        read_backgrounds([fsd50k], 0)


def test_twins_are_counted_as_far_as_they_can_be_used(tmp_path):
    for part in ("dev", "eval"):
        (tmp_path / part).mkdir()
    for place, samples in enumerate([np.zeros(8000), np.full(8000, np.nan)]):
        soundfile.write(tmp_path / "dev" / f"{place}.wav", samples, 8000, subtype="FLOAT")
        shutil.copy(tmp_path / "dev" / f"{place}.wav", tmp_path / "eval")
    for seed, length_s in enumerate([0.5, 0.4, 0.4], start=2):
        noise(tmp_path / "dev" / f"{seed}.wav", seed, duration_s=length_s)
        noise(tmp_path / "eval" / f"{seed}.wav", 3 if seed == 3 else seed + 9, duration_s=length_s)
    noise(tmp_path / "eval" / "rain" / "5.wav", 2, duration_s=0.5)
    folders = [tmp_path / "dev", tmp_path / "eval"]
    read_backgrounds(folders, 0, 0.5, ["rain"])
    with pytest.raises(LibraryError, match=r"rain/5.wav is the same .*dev/2.wav \(1 such\)"):
        read_backgrounds(folders, 0, 0.5)
    with pytest.raises(LibraryError, match=r"eval/3.wav is the same .*dev/3.wav \(2 such\)"):
        read_backgrounds(folders, 0)


def test_one_folder_is_divided_and_two_are_taken_as_they_are(tmp_path):
    for seed in range(10):
        noise(tmp_path / "all" / f"{seed}.wav", seed)
    libraries, told = read_backgrounds([tmp_path / "all"], 0)
    parts = [{s.file for s in libraries[part].sources} for part in ("dev", "eval")]
    assert [len(part) for part in parts] == [6, 4]
    assert not parts[0] & parts[1]
    assert "divided by a hash" in told[0]
    other, _ = read_backgrounds([tmp_path / "all"], 1)
    assert {s.file for s in other["dev"].sources} != parts[0]
    noise(tmp_path / "test" / "0.wav", 99)
    both, told = read_backgrounds([tmp_path / "all", tmp_path / "test"], 0)
    assert both["eval"].sources[0].split == "eval"
    assert told == ("backgrounds: folders of recordings",)


def test_short_and_excluded_recordings_are_left_out(tmp_path):
    noise(tmp_path / "rain" / "long.wav", 0, duration_s=0.5)
    noise(tmp_path / "rain" / "short.wav", 1, duration_s=0.49)
    noise(tmp_path / "wind" / "long.wav", 2, duration_s=0.5)
    library = read_folder(tmp_path)
    files = [s.file for s in usable(library, 0.5, ("wind",)).sources]
    assert files == [str(Path("rain") / "long.wav")]
    with pytest.raises(LibraryError, match=r"none of 3 backgrounds is 10 s long.*has 0.50 s"):
        usable(library, 10.0)
