import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.bgknown.backgrounds import read_backgrounds, usable
from byola_diff.soundscapes.bgknown.plan import BgKnownOptions
from byola_diff.soundscapes.sources.library import read_folder
from tests.soundscapes.recordings import noise, write_fsd50k


def options_of(folders, seed=0, least_s=0.0, excluded=()):
    class Brief(BgKnownOptions):
        duration_s = least_s / 2

    excluded = list(excluded)
    given = {"esc50": Path("esc50"), "background": folders, "out": Path("out"), "seed": seed}
    return Brief(**given, exclude_background_labels=excluded)


def read(*choices):
    return read_backgrounds(options_of(*choices))


@pytest.fixture
def fsd50k(tmp_path):
    return write_fsd50k(tmp_path / "fsd50k")


def test_backgrounds_of_fsd50k_are_no_deviation(fsd50k):
    libraries, told = read([fsd50k], 0)
    assert told == []
    assert [len(libraries[part].sources) for part in ("dev", "eval")] == [2, 1]


def test_a_recording_in_both_parts_is_refused(fsd50k, tmp_path):
    audio = fsd50k / "FSD50K.eval_audio"
    shutil.copy(fsd50k / "FSD50K.dev_audio" / "16399.wav", audio / "37199.wav")
    with pytest.raises(LayoutError, match=r"37199.wav is the same recording as .*16399.wav"):
        read([fsd50k], 0)
    noise(audio / "16399.wav", 9)
    (fsd50k / "FSD50K.ground_truth" / "eval.csv").write_text("fname,labels\n16399,Rain\n")
    with pytest.raises(LayoutError, match="recording 16399 is in the dev and in the eval part"):
        read([fsd50k], 0)


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
    read(folders, 0, 0.5, ["rain"])
    with pytest.raises(LayoutError, match=r"rain/5.wav is the same .*dev/2.wav \(1 such\)"):
        read(folders, 0, 0.5)
    with pytest.raises(LayoutError, match=r"eval/3.wav is the same .*dev/3.wav \(2 such\)"):
        read(folders, 0)


def test_one_folder_is_divided_and_two_are_taken_as_they_are(tmp_path):
    for seed in range(10):
        noise(tmp_path / "all" / f"{seed}.wav", seed)
    libraries, told = read([tmp_path / "all"], 0)
    parts = [{s.file for s in libraries[part].sources} for part in ("dev", "eval")]
    assert [len(part) for part in parts] == [6, 4]
    assert not parts[0] & parts[1]
    assert "divided by a hash" in told[0]
    other, _ = read([tmp_path / "all"], 1)
    assert {s.file for s in other["dev"].sources} != parts[0]
    noise(tmp_path / "test" / "0.wav", 99)
    both, told = read([tmp_path / "all", tmp_path / "test"], 0)
    assert [source.file for source in both["eval"].sources] == ["0.wav"]
    assert told == ["backgrounds: folders of recordings"]


def test_short_and_excluded_recordings_are_left_out(tmp_path):
    noise(tmp_path / "rain" / "long.wav", 0, duration_s=0.5)
    noise(tmp_path / "rain" / "short.wav", 1, duration_s=0.49)
    noise(tmp_path / "wind" / "long.wav", 2, duration_s=0.5)
    library = read_folder(tmp_path)
    files = [s.file for s in usable(library, options_of([], 0, 0.5, ["wind"])).sources]
    assert files == [str(Path("rain") / "long.wav")]
    with pytest.raises(LayoutError, match=r"none of 3 backgrounds is 10 s long.*has 0.50 s"):
        usable(library, options_of([], 0, 10.0))
