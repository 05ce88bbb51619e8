"""Each data set with a published split, clip by clip, from a small tree in its layout."""

import json

import pytest

from byola_diff.corpora.layout import LayoutError
from byola_diff.corpora.official_splits import (
    esc50_clips,
    fsd50k_clips,
    gtzan_clips,
    nsynth_clips,
    spcv2_clips,
    us8k_clips,
    vc1_clips,
)
from tests.corpora.layouts import audio, by_file, put, put_esc50


def test_esc50(tmp_path):
    put_esc50(tmp_path, n_folds=2)
    assert by_file(esc50_clips(tmp_path), "labels", "fold", "group", "split") == {
        "audio/1-100-A-0.wav": (("dog",), 1, "100", None),
        "audio/1-100-B-0.wav": (("dog",), 1, "100", None),
        "audio/1-101-C-1.wav": (("rooster",), 1, "101", None),
        "audio/2-200-A-0.wav": (("dog",), 2, "200", None),
        "audio/2-200-B-0.wav": (("dog",), 2, "200", None),
        "audio/2-201-C-1.wav": (("rooster",), 2, "201", None),
    }


def test_us8k(tmp_path):
    table = (
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "7-3-0-0.wav,7,0.0,0.3,1,5,3,dog_bark\n"
        "8-2-0-1.wav,8,58.5,62.5,1,10,2,children_playing\n"
    )
    put(tmp_path, {"metadata/UrbanSound8K.csv": table})
    assert by_file(us8k_clips(tmp_path), "labels", "fold", "group") == {
        "audio/fold5/7-3-0-0.wav": (("dog_bark",), 5, "7"),
        "audio/fold10/8-2-0-1.wav": (("children_playing",), 10, "8"),
    }


def spcv2_tree(root, valid="yes/b2_nohash_0.wav\n", test="no/c3_nohash_1.wav\n"):
    put(root, audio("yes/a1_nohash_0.wav", "yes/b2_nohash_0.wav", "no/a1_nohash_4.wav"))
    put(root, audio("no/c3_nohash_1.wav", "_background_noise_/pink_noise.wav"))
    put(root, {"validation_list.txt": valid, "testing_list.txt": test})


def test_spcv2(tmp_path):
    spcv2_tree(tmp_path)
    assert by_file(spcv2_clips(tmp_path), "labels", "split", "group") == {
        "no/a1_nohash_4.wav": (("no",), "train", "a1"),
        "no/c3_nohash_1.wav": (("no",), "test", "c3"),
        "yes/a1_nohash_0.wav": (("yes",), "train", "a1"),
        "yes/b2_nohash_0.wav": (("yes",), "valid", "b2"),
    }


def test_spcv2_keeps_what_a_list_names_but_is_absent(tmp_path):
    spcv2_tree(tmp_path, test="up/d4_nohash_0.wav\n")
    clips = by_file(spcv2_clips(tmp_path), "labels", "split")
    assert clips["up/d4_nohash_0.wav"] == (("up",), "test")


def test_spcv2_refuses_a_clip_in_both_lists(tmp_path):
    spcv2_tree(tmp_path, test="yes/b2_nohash_0.wav\n")
    with pytest.raises(LayoutError, match=r"yes/b2_nohash_0.wav is in validation_list"):
        spcv2_clips(tmp_path)


def test_vc1(tmp_path):
    lines = "3 id10003/na8/00003.wav\n1 id10003/tCq/00002.wav\n2 id10005/K5z/00001.wav\n"
    put(tmp_path, {"iden_split.txt": lines})
    assert by_file(vc1_clips(tmp_path), "labels", "split", "group") == {
        "wav/id10003/na8/00003.wav": (("id10003",), "test", None),
        "wav/id10003/tCq/00002.wav": (("id10003",), "train", None),
        "wav/id10005/K5z/00001.wav": (("id10005",), "valid", None),
    }


@pytest.mark.parametrize("line", ["4 id10003/na8/00003.wav", "id10003/na8/00003.wav", "1 x.wav"])
def test_vc1_refuses_another_list(tmp_path, line):
    put(tmp_path, {"iden_split.txt": line})
    with pytest.raises(LayoutError, match=r"iden_split.txt: .* is not '1 id10001"):
        vc1_clips(tmp_path)


def gtzan_tree(root):
    put(root, audio("genres/blues/blues.00000.wav", "genres/blues/blues.00001.au"))
    put(root, audio("genres/jazz/jazz.00002.au", "genres/jazz/jazz.00099.wav"))
    put(root, {"train_filtered.txt": "blues/blues.00000.wav\n"})
    put(root, {"valid_filtered.txt": "blues/blues.00001.wav\n"})
    put(root, {"test_filtered.txt": "jazz/jazz.00002.wav\njazz/jazz.00003.wav\n"})


def test_gtzan_takes_listed_files_only_as_wav_or_au(tmp_path):
    gtzan_tree(tmp_path)
    assert by_file(gtzan_clips(tmp_path), "labels", "split") == {
        "genres/blues/blues.00000.wav": (("blues",), "train"),
        "genres/blues/blues.00001.au": (("blues",), "valid"),
        "genres/jazz/jazz.00002.au": (("jazz",), "test"),
        "genres/jazz/jazz.00003.wav": (("jazz",), "test"),  # absent, reported later
    }


def test_gtzan_says_where_the_lists_are(tmp_path):
    gtzan_tree(tmp_path)
    (tmp_path / "valid_filtered.txt").unlink()
    with pytest.raises(LayoutError, match=r"valid_filtered.txt; get it from .*music_dataset_split"):
        gtzan_clips(tmp_path)


def test_gtzan_refuses_another_list(tmp_path):
    gtzan_tree(tmp_path)
    put(tmp_path, {"test_filtered.txt": "       30\n"})
    with pytest.raises(LayoutError, match=r"test_filtered.txt: '30' is not as blues/blues.00000"):
        gtzan_clips(tmp_path)


def test_nsynth(tmp_path):
    for split, name in {"train": "bass_1", "valid": "reed_2", "test": "reed_3"}.items():
        note = {"instrument_family_str": name[:4], "instrument_str": name, "pitch": 60}
        put(tmp_path, {f"nsynth-{split}/examples.json": json.dumps({f"{name}-060-025": note})})
    assert by_file(nsynth_clips(tmp_path), "labels", "split") == {
        "nsynth-train/audio/bass_1-060-025.wav": (("bass",), "train"),
        "nsynth-valid/audio/reed_2-060-025.wav": (("reed",), "valid"),
        "nsynth-test/audio/reed_3-060-025.wav": (("reed",), "test"),
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"pitch": 3}}'])
def test_nsynth_refuses_another_table(tmp_path, text):
    put(tmp_path, {"nsynth-train/examples.json": text})
    with pytest.raises(LayoutError, match=r"nsynth-train/examples.json is not a table of notes"):
        nsynth_clips(tmp_path)


def fsd50k_tree(root, split="val"):
    dev = f'fname,labels,mids,split\n64760,"Electric_guitar,Music",m,train\n10,Bark,m,{split}\n'
    put(root, {"FSD50K.ground_truth/dev.csv": dev})
    put(root, {"FSD50K.ground_truth/eval.csv": 'fname,labels,mids\n37199,"Bark,Dog,Animal",m\n'})


def test_fsd50k(tmp_path):
    fsd50k_tree(tmp_path)
    assert by_file(fsd50k_clips(tmp_path), "labels", "split") == {
        "FSD50K.dev_audio/64760.wav": (("Electric_guitar", "Music"), "train"),
        "FSD50K.dev_audio/10.wav": (("Bark",), "valid"),
        "FSD50K.eval_audio/37199.wav": (("Bark", "Dog", "Animal"), "test"),
    }


def test_fsd50k_refuses_another_split(tmp_path):
    fsd50k_tree(tmp_path, split="test")
    with pytest.raises(LayoutError, match=r"dev.csv: 'test' is neither train nor val"):
        fsd50k_clips(tmp_path)


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (esc50_clips, "no such file: .*meta/esc50.csv"),
        (us8k_clips, "no such file: .*metadata/UrbanSound8K.csv"),
        (spcv2_clips, "no such file: .*validation_list.txt"),
        (vc1_clips, "no such file: .*iden_split.txt"),
        (gtzan_clips, "no such file: .*train_filtered.txt"),
        (nsynth_clips, "no such file: .*nsynth-train/examples.json"),
        (fsd50k_clips, "no such file: .*FSD50K.ground_truth/dev.csv"),
    ],
)
def test_empty_folder_is_refused_by_the_first_file_that_is_not_there(tmp_path, clips, expected):
    with pytest.raises(LayoutError, match=expected):
        clips(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filename,fold,category\na.wav,1,dog\n", "has no column src_file"),
        (
            "filename,fold,category,src_file\na.wav,one,dog,7\n",
            "fold of a.wav: 'one' is no",
        ),
        (
            "filename,fold,category,src_file\na.wav,1,dog,7\n,1,dog,8\n",
            "row 3: nothing in column f",
        ),
        ("filename,fold,category,src_file\na.wav,1\n", "row 2: 2 cells under 4 columns"),
        ("", "row 1: has no column filename, fold, category"),
    ],
)
def test_broken_table_is_refused(tmp_path, text, expected):
    put(tmp_path, {"meta/esc50.csv": text})
    with pytest.raises(LayoutError, match=expected):
        esc50_clips(tmp_path)


def test_esc50_without_its_recordings_reads_them_from_the_names(tmp_path):
    rows = "filename,fold,category\n1-100032-A-0.wav,1,dog\n5-203128-A-0.wav,5,dog\n"
    put(tmp_path, {"meta/esc50.csv": rows})
    assert [clip.group for clip in esc50_clips(tmp_path)] == ["100032", "203128"]
