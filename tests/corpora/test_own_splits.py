"""Data sets that come without a split: ours by the seed, or that of a file of the user's."""

from collections import Counter, defaultdict

import pytest

from byola_diff.corpora.layout import LayoutError
from byola_diff.corpora.own_splits import (
    cremad_clips,
    split_groups,
    surge_clips,
    voxforge_clips,
)
from tests.corpora.layouts import audio, by_file, put

WEIGHTS = {"train": 70, "valid": 10, "test": 20}


def splits_of_groups(clips):
    found = defaultdict(set)
    for clip in clips:
        found[clip.group].add(clip.split)
    return found


def test_split_of_groups_worked_by_hand():
    # Of 10 clips train wants 7, test 2, valid 1: 6 to train (7 lacking); then 2 to test (2 lacking,
    # 1 in train, 1 in valid); then 1 each to train and valid.
    sizes = {"a": 6, "b": 2, "c": 1, "d": 1}
    split = split_groups(sizes, WEIGHTS, seed=0)
    assert (split["a"], split["b"]) == ("train", "test")
    assert {split["c"], split["d"]} == {"train", "valid"}


def test_split_of_equal_groups_is_exact_and_follows_the_seed_not_the_order():
    sizes = {str(number): 1 for number in range(91)}
    weights = {"train": 63, "valid": 9, "test": 19}
    split = split_groups(sizes, weights, seed=0)
    assert Counter(split.values()) == weights
    assert split_groups(dict(reversed(sizes.items())), weights, seed=0) == split
    other = split_groups(sizes, weights, seed=1)
    assert Counter(other.values()) == weights
    assert sum(split[group] != other[group] for group in sizes) > 20


def test_split_of_unequal_groups_is_near_the_weights():
    sizes = {f"g{number}": 1 + number % 17 for number in range(300)}
    split = split_groups(sizes, WEIGHTS, seed=3)
    filled = Counter()
    for group, name in split.items():
        filled[name] += sizes[group]
    total = sum(sizes.values())
    assert {n: filled[n] / total for n in filled} == pytest.approx(
        {"train": 0.7, "valid": 0.1, "test": 0.2}, abs=0.001
    )


def cremad_tree(root, n_actors=91):
    names = [f"{1001 + n}_DFA_{e}_XX.wav" for n in range(n_actors) for e in ("ANG", "SAD")]
    put(root, audio(*(f"AudioWAV/{name}" for name in names)))


def test_cremad_by_seed_has_63_9_and_19_actors(tmp_path):
    cremad_tree(tmp_path)
    clips = cremad_clips(tmp_path, None, 0)
    groups = splits_of_groups(clips)
    assert all(len(splits) == 1 for splits in groups.values())
    assert Counter(next(iter(s)) for s in groups.values()) == {"train": 63, "valid": 9, "test": 19}
    facts = by_file(clips, "labels", "group")
    assert facts["AudioWAV/1005_DFA_SAD_XX.wav"] == (("SAD",), "1005")
    assert len(facts) == 182
    assert cremad_clips(tmp_path, None, 0) == clips != cremad_clips(tmp_path, None, 1)


def test_cremad_by_file(tmp_path):
    cremad_tree(tmp_path, n_actors=3)
    table = (
        "file_name,label,split\n"
        "1001_DFA_ANG_XX.wav,ANG,test\n"
        "AudioWAV/1002_DFA_SAD_XX.wav,SAD,train\n"
        "1040_ITH_SAD_X.wav,SAD,valid\n"
    )
    put(tmp_path, {"cremad.csv": table})
    clips = cremad_clips(tmp_path, tmp_path / "cremad.csv", 0)
    assert by_file(clips, "labels", "split", "group") == {
        "AudioWAV/1001_DFA_ANG_XX.wav": (("ANG",), "test", "1001"),
        "AudioWAV/1002_DFA_SAD_XX.wav": (("SAD",), "train", "1002"),
        "AudioWAV/1040_ITH_SAD_X.wav": (("SAD",), "valid", "1040"),
    }


def test_cremad_refuses_other_names(tmp_path):
    put(tmp_path, audio("AudioWAV/1001_DFA_JOY_XX.wav"))
    with pytest.raises(LayoutError, match=r"'1001_DFA_JOY_XX.wav' in AudioWAV is not named as"):
        cremad_clips(tmp_path, None, 0)


def surge_tree(root, n_tones=8):
    put(root, audio(*(f"Tone {n}, soft/{pitch}.ogg" for n in range(n_tones) for pitch in (60, 61))))


def test_surge_by_seed_keeps_tones_together(tmp_path):
    surge_tree(tmp_path, n_tones=20)  # of 2084: 16.2, 1.9 and 1.9
    clips = surge_clips(tmp_path, None, 0)
    groups = splits_of_groups(clips)
    assert all(len(splits) == 1 for splits in groups.values())
    counts = Counter(next(iter(splits)) for splits in groups.values())
    assert counts == {"train": 16, "valid": 2, "test": 2}
    assert by_file(clips, "labels", "group")["Tone 3, soft/61.ogg"] == (("61",), "Tone 3, soft")


def test_surge_by_file(tmp_path):
    surge_tree(tmp_path, n_tones=2)
    put(tmp_path, {"tones.csv": 'tone,split\n"Tone 0, soft",test\n"Tone 1, soft",train\n'})
    assert by_file(surge_clips(tmp_path, tmp_path / "tones.csv", 0), "labels", "split") == {
        "Tone 0, soft/60.ogg": (("60",), "test"),
        "Tone 0, soft/61.ogg": (("61",), "test"),
        "Tone 1, soft/60.ogg": (("60",), "train"),
        "Tone 1, soft/61.ogg": (("61",), "train"),
    }


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('tone,split\n"Tone 0, soft",test\n', "no split for 1 tones, as 'Tone 1, soft'"),
        ("tone,split\nTone 0, soft,test\n", "is not a tone and its split"),
    ],
)
def test_surge_refuses_another_file(tmp_path, table, expected):
    surge_tree(tmp_path, n_tones=2)
    put(tmp_path, {"tones.csv": table})
    with pytest.raises(LayoutError, match=expected):
        surge_clips(tmp_path, tmp_path / "tones.csv", 0)


def test_surge_refuses_other_depths(tmp_path):
    put(tmp_path, audio("60.ogg"))
    with pytest.raises(LayoutError, match=r"60.ogg is not in a folder TONE"):
        surge_clips(tmp_path, None, 0)


def voxforge_tree(root):
    """20 speakers a language, anonymous ones, one in both, an archive without a date."""
    names = []
    for language in ("de", "it"):
        archives = [f"{language}user{n}-2008072{day}-xyz" for n in range(20) for day in (1, 2)]
        archives += [f"anonymous-2009010{day}-abc" for day in range(1, 5)]
        archives += ["Poly-Glot-20100101-aaa", "poly-glot-20100102-bbb"]
        archives += ["cmu_it_arctic"] if language == "it" else ["poly-glot-20100103-ccc"]
        names += [f"{language}/{archive}/wav/{k}.wav" for archive in archives for k in (1, 2)]
    put(root, audio(*names, "pt/someone-20080721-x/wav/1.wav", "de/deuser0-20080721-xyz/LICENSE"))


def test_voxforge_by_seed_keeps_speakers_together(tmp_path):
    voxforge_tree(tmp_path)
    clips = voxforge_clips(tmp_path, None, 0)
    assert {clip.labels for clip in clips} == {("de",), ("it",)}
    assert len(clips) == 2 * 2 * 47
    groups = splits_of_groups(clips)
    assert all(len(splits) == 1 for splits in groups.values())
    assert {"deuser7", "anonymous (de)", "anonymous (it)", "poly-glot", "cmu_it_arctic"} <= {
        *groups
    }
    assert "someone" not in groups
    for language in ("de", "it"):
        splits = Counter(clip.split for clip in clips if clip.labels == (language,))
        shares = {name: splits[name] / splits.total() for name in WEIGHTS}
        assert shares == pytest.approx({"train": 0.7, "valid": 0.1, "test": 0.2}, abs=0.06)
    assert voxforge_clips(tmp_path, None, 0) == clips != voxforge_clips(tmp_path, None, 1)


def test_voxforge_by_file_is_taken_as_it_is(tmp_path):
    put(tmp_path, {"v.csv": "file_name,label,split\nbob-20080721-x/wav/1.wav,German,test\n"})
    clips = voxforge_clips(tmp_path, tmp_path / "v.csv", 0)
    assert by_file(clips, "labels", "split") == {"bob-20080721-x/wav/1.wav": (("German",), "test")}


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (cremad_clips, "no such folder: .*AudioWAV"),
        (surge_clips, "no audio files in"),
        (voxforge_clips, "no folder de, en, es, fr, it, ru in"),
    ],
)
def test_empty_folder_is_refused(tmp_path, clips, expected):
    with pytest.raises(LayoutError, match=expected):
        clips(tmp_path, None, 0)


def test_missing_split_file_is_named(tmp_path):
    with pytest.raises(LayoutError, match=r"no such file: .*cremad.csv"):
        cremad_clips(tmp_path, tmp_path / "cremad.csv", 0)
