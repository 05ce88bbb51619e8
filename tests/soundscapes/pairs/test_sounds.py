import pytest

from byola_diff.soundscapes.pairs.sounds import Sounds, read_sounds, split_sounds
from byola_diff.soundscapes.sources.library import Library, Source
from tests.soundscapes.recordings import noise


def library(root, *sources):
    return Library(root, tuple(sources))


def test_fold_5_is_for_eval(tmp_path):
    sources = [Source(f"audio/{fold}-1-A-0.wav", "dog", 5.0, fold=fold) for fold in range(1, 6)]
    sounds = split_sounds([library(tmp_path, *sources)])
    assert {k: [*v] for k, v in sounds.by_split["eval"].items()} == {"dog": ["dog/5-1-A-0.wav"]}
    assert len(sounds.by_split["dev"]["dog"]) == 4
    assert list(sounds.by_split["eval"]["dog"].values()) == [tmp_path / "audio/5-1-A-0.wav"]


@pytest.mark.parametrize(("n", "n_eval"), [(1, 0), (2, 1), (3, 1), (4, 2), (10, 2), (20, 4)])
def test_other_files_are_split_by_their_hash(tmp_path, n, n_eval):
    sources = [Source(f"dog/{number}.wav", "dog", 1.0) for number in range(n)]
    split = split_sounds([library(tmp_path, *sources)])
    dev = set(split.by_split["dev"].get("dog", ()))
    held_out = set(split.by_split["eval"].get("dog", ()))
    assert not dev & held_out
    assert len(dev) == n - n_eval
    assert len(held_out) == n_eval
    turned = split_sounds([library(tmp_path, *sources[::-1])])
    assert set(turned.by_split["eval"].get("dog", ())) == held_out


def test_hash_split_depends_on_the_seed(tmp_path):
    sources = [Source(f"dog/{number}.wav", "dog", 1.0) for number in range(30)]
    splits = {
        frozenset(split_sounds([library(tmp_path, *sources)], seed).by_split["eval"]["dog"])
        for seed in range(5)
    }
    assert len(splits) == 5


def test_cuts_of_one_recording_stay_together(tmp_path):
    sources = [
        Source(f"dog/{group}{cut}.wav", "dog", 1.0, group=group)
        for group in "abcdef"
        for cut in "12"
    ]
    sounds = split_sounds([library(tmp_path, *sources)])
    dev, held_out = ({file[4] for file in sounds.by_split[s]["dog"]} for s in ("dev", "eval"))
    assert len(held_out) == 2
    assert not dev & held_out


def test_splits_that_a_library_brings_are_kept(tmp_path):
    dev = library(tmp_path / "d", Source("rain/1.wav", "rain", 9.0, split="dev"))
    held_out = library(tmp_path / "e", Source("rain/1.wav", "rain", 9.0, split="eval"))
    sounds = split_sounds([dev, held_out])
    assert sounds.by_split["eval"]["rain"]["rain/1.wav"] == tmp_path / "e/rain/1.wav"
    marked = [Source(f"{split}.ogg", "dog", 1.0, split=split) for split in ("train", "test")]
    sounds = split_sounds([library(tmp_path, *marked)])
    assert {k: [*v] for k, v in sounds.by_split["eval"].items()} == {"dog": ["dog/test.ogg.wav"]}


def test_nested_files_get_one_name(tmp_path):
    sources = [Source(f"dog/{folder}/1.wav", "dog", 1.0) for folder in "ab"]
    files = split_sounds([library(tmp_path, *sources)]).by_split
    assert {f for split in files.values() for f in split["dog"]} == {"dog/a_1.wav", "dog/b_1.wav"}
    clash = [Source(file, "dog", 1.0, fold=1) for file in ("dog/a/1.wav", "dog/a_1.wav")]
    with pytest.raises(ValueError, match=r"dog/a_1.wav, as another does"):
        split_sounds([library(tmp_path, *clash)])


def test_recordings_need_labels(tmp_path):
    with pytest.raises(ValueError, match=r"1\.wav .*: put recordings in one folder per label"):
        split_sounds([library(tmp_path, Source("1.wav", "", 1.0))])
    with pytest.raises(ValueError, match="no audio files in"):
        read_sounds(tmp_path)


def test_one_label_of_the_backgrounds():
    sounds = Sounds({"dev": {"rain": {}, "sea": {}}, "eval": {"sea": {}}})
    assert sounds.only("sea").by_split == {"dev": {"sea": {}}, "eval": {"sea": {}}}
    with pytest.raises(ValueError, match="no 'rain' in the eval part; labels there: sea"):
        sounds.only("rain")


def test_links_to_one_recording_stay_together(tmp_path):
    (tmp_path / "dog").mkdir()
    for number in range(5):
        noise(tmp_path / "dog" / f"{number}.wav", number)
    for number in range(5):
        (tmp_path / "dog" / f"link{number}.wav").symlink_to(f"{number}.wav")
    for seed in range(4):
        for labels in read_sounds(tmp_path, seed).by_split.values():
            names = {path.name for path in labels["dog"].values()}
            assert {f"link{name}" for name in names if "link" not in name} < names
