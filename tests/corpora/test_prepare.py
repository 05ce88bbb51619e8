import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from byola_diff.corpora.prepare import Choices, TaskDataError, count, prepare_task
from byola_diff.corpora.registry import TASKS
from byola_diff.corpora.task import read_task
from byola_diff.tables.manifest import read_manifest
from tests.corpora.layouts import ESC50_HEADER, audio, put, put_esc50

ESC50 = TASKS["esc50"]
PARTIAL = Choices(allow_partial=True)
KNOWN_LICENCES = ("CC BY", "Creative Commons", "GPL", "Open Database", "none stated", "see the")


def test_manifest_and_sidecar_of_a_part_of_esc50(tmp_path):
    names = put_esc50(tmp_path)
    out = tmp_path / "esc50.csv"
    facts = prepare_task(ESC50, tmp_path, out, PARTIAL)
    manifest = read_manifest(out)  # stands alone: files are relative to it
    assert [clip.file for clip in manifest.clips] == [f"audio/{name}" for name in names]
    assert manifest.folds == (1, 2, 3, 4, 5)
    assert manifest.classes == ("dog", "rooster")
    sidecar = json.loads((tmp_path / "esc50.task.json").read_text())
    assert sidecar.pop("file_sha256")
    assert sidecar == facts
    assert facts["counts"] == {f"fold {k}": 3 for k in range(1, 6)} | {"clips": 15, "classes": 2}
    assert facts["expected"] == {f"fold {k}": 400 for k in range(1, 6)} | {"classes": 50}
    assert facts["deviations"][0] == "fold 1: 3, not 400"
    assert facts["deviations"][-1] == "classes: 2, not 50"
    assert (facts["task"], facts["unit_s"], facts["metric"]) == ("esc50", 5.0, "accuracy")
    assert (facts["missing"], facts["source"], facts["split"]) == (0, ".", "published")
    assert facts["licence"] == "CC BY-NC 3.0"


def test_task_that_is_read_back_says_that_it_is_partial(tmp_path):
    put_esc50(tmp_path)
    prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", PARTIAL)
    task = read_task(tmp_path / "esc50.csv")
    assert (task.name, task.unit_s, task.metric) == ("esc50", 5.0, "accuracy")
    assert "classes: 2, not 50" in task.deviations
    assert len(task.manifest.clips) == 15


def test_manifest_in_another_folder_finds_the_audio(tmp_path):
    put_esc50(tmp_path / "data")
    out = tmp_path / "manifests" / "mine.csv"
    prepare_task(ESC50, tmp_path / "data", out, PARTIAL)
    task = read_task(out)
    assert all(task.manifest.path(clip).is_file() for clip in task.manifest.clips)
    assert task.name == "esc50"


def test_folder_can_be_moved_as_a_whole(tmp_path):
    put_esc50(tmp_path / "here")
    prepare_task(ESC50, tmp_path / "here", tmp_path / "here" / "esc50.csv", PARTIAL)
    (tmp_path / "here").rename(tmp_path / "there")
    assert len(read_task(tmp_path / "there" / "esc50.csv").manifest.clips) == 15


def test_counts_that_differ_are_refused_unless_allowed(tmp_path):
    put_esc50(tmp_path)
    with pytest.raises(TaskDataError, match=r"fold 1: 3, not 400; .*\n.*--allow-partial"):
        prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", Choices())
    assert not list(tmp_path.glob("esc50*"))


def whole_esc50(root, absent=()):
    """2000 rows as published, and placeholders for all but some files."""
    names = [f"{fold}-{n}-A-{n % 50}.wav" for fold in range(1, 6) for n in range(400)]
    rows = [f"{m},{m[0]},0,c{m[m.rindex('-') + 1 : -4]},False,{m[:-4]},A\n" for m in names]
    put(root, {"meta/esc50.csv": ESC50_HEADER + "".join(rows)})
    put(root, audio(*(f"audio/{name}" for name in names if name not in absent)))


def test_whole_data_set_needs_no_permission(tmp_path):
    whole_esc50(tmp_path)
    facts = prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", Choices())
    assert facts["deviations"] == []
    assert read_task(tmp_path / "esc50.csv").deviations == ()


def test_missing_files_are_counted_listed_and_refused_unless_allowed(tmp_path):
    absent = [f"2-{n}-A-{n % 50}.wav" for n in range(12)]
    whole_esc50(tmp_path, absent)
    out = tmp_path / "esc50.csv"
    with pytest.raises(TaskDataError, match="12 of 2000 listed files are missing") as error:
        prepare_task(ESC50, tmp_path, out, Choices(allow_missing=0.005))
    assert "audio/2-9-A-9.wav\n  ...\n" in str(error.value)
    assert "2-10-A-10.wav" not in str(error.value)
    assert "--allow-missing" in str(error.value)
    assert not out.exists()

    facts = prepare_task(ESC50, tmp_path, out, Choices(allow_missing=0.006))
    assert (facts["listed"], facts["missing"]) == (2000, 12)
    assert facts["first_missing"] == [f"audio/{name}" for name in absent[:10]]
    assert facts["counts"]["fold 2"] == 388
    assert facts["deviations"] == ["fold 2: 388, not 400"]
    assert len(read_task(out).manifest.clips) == 1988


def test_another_layout_is_refused_with_the_one_expected(tmp_path):
    put_esc50(tmp_path / "ESC-50-master")
    with pytest.raises(TaskDataError, match=r"no such file: .*esc50.csv\n.* must hold meta/esc50"):
        prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", PARTIAL)


def esc50_rows(root, *rows):
    put(root, {"meta/esc50.csv": ESC50_HEADER + "\n".join(rows)})
    put(root, audio("audio/a.wav", "audio/b.wav"))


def test_recording_in_two_folds_is_refused(tmp_path):
    esc50_rows(tmp_path, "a.wav,1,0,dog,True,7,A", "b.wav,2,0,dog,True,7,B")
    with pytest.raises(TaskDataError, match="leaking group '7', in fold 2"):
        prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", PARTIAL)


def test_file_listed_twice_is_refused(tmp_path):
    esc50_rows(tmp_path, "a.wav,1,0,dog,True,7,A", "a.wav,2,0,dog,True,8,A")
    with pytest.raises(TaskDataError, match=r"'audio/a.wav' is in row 2 too"):
        prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", PARTIAL)


def test_path_out_of_the_folder_is_refused(tmp_path):
    esc50_rows(tmp_path / "data", "a.wav,1,0,dog,True,7,A", "../../b.wav,2,0,dog,True,8,B")
    put(tmp_path, audio("b.wav"))
    with pytest.raises(TaskDataError, match=r"'audio/../../b.wav' has '..'"):
        prepare_task(ESC50, tmp_path / "data", tmp_path / "data" / "esc50.csv", PARTIAL)


def test_labels_that_no_manifest_can_hold_are_refused(tmp_path):
    dev, test = 'fname,labels,mids,split\n1,"A,,B",m,train\n2,A,m,val\n', "fname,labels\n3,A\n"
    put(tmp_path, {"FSD50K.ground_truth/dev.csv": dev, "FSD50K.ground_truth/eval.csv": test})
    put(tmp_path, audio("FSD50K.dev_audio/1.wav", "FSD50K.dev_audio/2.wav"))
    put(tmp_path, audio("FSD50K.eval_audio/3.wav"))
    with pytest.raises(TaskDataError, match="column 'labels': empty label"):
        prepare_task(TASKS["fsd50k"], tmp_path, tmp_path / "fsd50k.csv", PARTIAL)


def test_several_labels_survive(tmp_path):
    dev, test = 'fname,labels,mids,split\n1,"A,B",m,train\n2,A,m,val\n', "fname,labels\n3,B\n"
    put(tmp_path, {"FSD50K.ground_truth/dev.csv": dev, "FSD50K.ground_truth/eval.csv": test})
    put(tmp_path, audio("FSD50K.dev_audio/1.wav", "FSD50K.dev_audio/2.wav"))
    put(tmp_path, audio("FSD50K.eval_audio/3.wav"))
    prepare_task(TASKS["fsd50k"], tmp_path, tmp_path / "fsd50k.csv", PARTIAL)
    task = read_task(tmp_path / "fsd50k.csv")
    assert [clip.labels for clip in task.manifest.clips] == [("A", "B"), ("A",), ("B",)]
    assert (task.metric, task.unit_s) == ("mAP", 7.6358)


def cremad_tree(root):
    put(root, audio(*(f"AudioWAV/{1001 + n}_DFA_ANG_XX.wav" for n in range(91))))


def test_our_own_split_is_never_taken_for_the_published_one(tmp_path):
    cremad_tree(tmp_path)
    facts = prepare_task(TASKS["cremad"], tmp_path, tmp_path / "cremad.csv", PARTIAL)
    assert (facts["counts"]["train"], facts["counts"]["valid"]) == (63, 9)
    assert facts["split"] == "our own, seed 0"
    assert facts["expected"] == {"clips": 7442, "classes": 6}
    assert read_task(tmp_path / "cremad.csv").deviations[0] == "split: our own, seed 0"


def test_split_file_is_held_to_the_published_counts(tmp_path):
    cremad_tree(tmp_path)
    splits = ["train"] * 60 + ["valid"] * 11 + ["test"] * 20
    rows = [f"{1001 + n}_DFA_ANG_XX.wav,{split}\n" for n, split in enumerate(splits)]
    put(tmp_path, {"evar.csv": "file_name,split\n" + "".join(rows)})
    choices = Choices(split_file=tmp_path / "evar.csv", allow_partial=True)
    facts = prepare_task(TASKS["cremad"], tmp_path, tmp_path / "cremad.csv", choices)
    assert facts["split"] == "file evar.csv"
    assert facts["deviations"][:4] == [
        "split: file evar.csv",
        "train: 60, not 5155",
        "valid: 11, not 732",
        "test: 20, not 1551",
    ]


@pytest.mark.parametrize("published", [{"train": 60, "valid": 11, "test": 20}, {"clips": 91}])
def test_split_file_passes_for_the_published_split_by_its_counts_only(tmp_path, published):
    cremad_tree(tmp_path)
    splits = ["train"] * 60 + ["valid"] * 11 + ["test"] * 20
    rows = [f"{1001 + n}_DFA_ANG_XX.wav,{split}\n" for n, split in enumerate(splits)]
    put(tmp_path, {"evar.csv": "file_name,split\n" + "".join(rows)})
    spec = replace(TASKS["cremad"], counts={**published, "classes": 1})
    choices = Choices(split_file=tmp_path / "evar.csv")
    prepare_task(spec, tmp_path, tmp_path / "cremad.csv", choices)
    told = () if "train" in published else ("split: file evar.csv",)
    assert read_task(tmp_path / "cremad.csv").deviations == told


def test_no_split_of_voxforge_is_the_published_one(tmp_path):
    languages, splits = ("de", "en", "es", "fr", "it", "ru"), ("train", "valid", "test")
    files = {
        f"{language}/{split}.wav": (language, split) for language in languages for split in splits
    }
    put(tmp_path, audio(*files))
    rows = [f"{file},{language},{split}\n" for file, (language, split) in files.items()]
    put(tmp_path, {"mine.csv": "file_name,label,split\n" + "".join(rows)})
    choices = Choices(split_file=tmp_path / "mine.csv")
    facts = prepare_task(TASKS["voxforge"], tmp_path, tmp_path / "voxforge.csv", choices)
    assert facts["deviations"] == ["split: file mine.csv"]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "train", "dev"], r"unknown split 'dev' in .*evar.csv"),
        (["train", "train", "test"], "empty split, no row has valid"),
        (["train", "valid", "test"], "leaking group '1001'"),
    ],
)
def test_split_file_that_can_not_be_used(tmp_path, splits, expected):
    names = ["1001_DFA_ANG_XX.wav", "1001_DFA_SAD_XX.wav", "1002_DFA_ANG_XX.wav"]
    put(tmp_path, audio(*(f"AudioWAV/{name}" for name in names)))
    rows = [f"{name},{split}\n" for name, split in zip(names, splits, strict=True)]
    put(tmp_path, {"evar.csv": "file_name,split\n" + "".join(rows)})
    choices = Choices(split_file=tmp_path / "evar.csv", allow_partial=True)
    with pytest.raises(TaskDataError, match=expected):
        prepare_task(TASKS["cremad"], tmp_path, tmp_path / "cremad.csv", choices)


def test_split_file_for_a_published_split_is_refused(tmp_path):
    put_esc50(tmp_path)
    choices = Choices(split_file=tmp_path / "mine.csv", allow_partial=True)
    with pytest.raises(TaskDataError, match="esc50 comes with its split"):
        prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", choices)


def test_registry_has_the_published_numbers():
    # Protocol sheet, 6.2: unit in s, classes, clips in all.
    expected = {
        "esc50": (5.0, 50, 2000),
        "us8k": (4.0, 10, 8732),
        "fsd50k": (7.6358, 200, 36_796 + 4_170 + 10_231),
        "spcv2": (1.0, 35, 105_829),
        "vc1": (8.2, 1251, 153_516),
        "voxforge": (5.8, 6, 0),
        "cremad": (2.5, 6, 7438),
        "gtzan": (30.0, 10, 930),
        "nsynth": (4.0, 11, 305_979),
        "surge": (4.0, 88, 2084 * 88),
    }
    for name, spec in TASKS.items():
        counts = Counter(spec.counts)
        assert (spec.unit_s, counts.pop("classes"), counts.total()) == expected[name]
        assert spec.metric == ("mAP" if name == "fsd50k" else "accuracy")
        assert any(word in spec.licence for word in KNOWN_LICENCES)
        assert spec.where.startswith("http")
    assert list(TASKS) == list(expected)


@pytest.mark.skipif("BYOLA_DIFF_ESC10" not in os.environ, reason="needs BYOLA_DIFF_ESC10")
def test_real_esc10_in_the_layout_of_esc50(tmp_path):
    source = Path(os.environ["BYOLA_DIFF_ESC10"])
    known = read_manifest(source / "manifest.csv")
    rows = [
        f"{Path(clip.file).name},{clip.fold},0,{clip.labels[0]},True,{clip.group},A"
        for clip in known.clips
    ]
    put(tmp_path, {"meta/esc50.csv": ESC50_HEADER + "\n".join(rows)})
    (tmp_path / "audio").mkdir()
    for clip in known.clips:
        (tmp_path / clip.file).write_bytes((source / clip.file).read_bytes())
    facts = prepare_task(ESC50, tmp_path, tmp_path / "esc50.csv", PARTIAL)
    assert facts["missing"] == 0
    assert facts["counts"] == {f"fold {k}": 80 for k in range(1, 6)} | {"clips": 400, "classes": 10}
    task = read_task(tmp_path / "esc50.csv")
    assert task.manifest.clips == known.clips
    assert count(task.manifest.clips) == facts["counts"]
