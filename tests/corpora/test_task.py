import json

import pytest

from byola_diff.corpora.task import read_task
from byola_diff.storage import sealed_json, sha256
from byola_diff.tables.manifest import ManifestError
from tests.corpora.layouts import audio, put


def put_manifest(root, text, sidecar=None):
    put(root, audio("a.wav", "b.wav"))
    put(root, {"mine.csv": text})
    if sidecar is not None:
        put(root, {"mine.task.json": sidecar if type(sidecar) is str else json.dumps(sidecar)})
    return root / "mine.csv"


ONE_LABEL = "file,label,split\na.wav,x,train\nb.wav,y,test\n"
SEVERAL = "file,labels,split\na.wav,x;y,train\nb.wav,y,test\n"


def labels(task):
    return [clip.labels for clip in task.manifest.clips]


def test_manifest_of_the_users_own(tmp_path):
    task = read_task(str(put_manifest(tmp_path / "birds", ONE_LABEL)))
    assert (task.name, task.unit_s, task.metric) == ("birds/mine", None, "accuracy")
    assert task.deviations == ()
    assert task.manifest.classes == ("x", "y")


def test_several_labels_are_scored_by_map(tmp_path):
    task = read_task(put_manifest(tmp_path, SEVERAL))
    assert task.metric == "mAP"
    assert labels(task) == [("x", "y"), ("y",)]


def test_sidecar_says_name_length_and_metric(tmp_path):
    sidecar = {"task": "birds", "unit_s": 2, "metric": "mAP", "deviations": ["test: 1, not 2"]}
    task = read_task(put_manifest(tmp_path, ONE_LABEL, sidecar))
    assert (task.name, task.unit_s, task.metric) == ("birds", 2.0, "mAP")
    assert task.deviations == ("test: 1, not 2",)


def test_evar_file_with_commas_has_several_labels(tmp_path):
    text = 'file_name,label,split\na.wav,"y, x",train\nb.wav,z,test\n'
    task = read_task(put_manifest(tmp_path, text))
    assert labels(task) == [("y", "x"), ("z",)]
    assert task.manifest.classes == ("x", "y", "z")
    assert task.metric == "mAP"


def test_evar_file_without_commas_has_one_label(tmp_path):
    task = read_task(put_manifest(tmp_path, ONE_LABEL.replace("file", "file_name", 1)))
    assert task.metric == "accuracy"
    assert labels(task) == [("x",), ("y",)]


def test_comma_in_our_own_form_is_part_of_the_label(tmp_path):
    text = 'file,label,split\na.wav,"Bell, church",train\nb.wav,y,test\n'
    task = read_task(put_manifest(tmp_path, text))
    assert labels(task) == [("Bell, church",), ("y",)]
    assert task.metric == "accuracy"


@pytest.mark.parametrize("cell", ["x,", "x,x", ",x"])
def test_evar_labels_that_are_empty_or_twice_there(tmp_path, cell):
    path = put_manifest(tmp_path, f'file_name,label,split\na.wav,"{cell}",train\nb.wav,y,test\n')
    with pytest.raises(ManifestError, match=r"row 2, column 'label': (empty label|a label occurs)"):
        read_task(path)


def test_accuracy_of_several_labels_is_refused(tmp_path):
    path = put_manifest(tmp_path, SEVERAL, {"metric": "accuracy"})
    with pytest.raises(ManifestError, match=r"one label per clip, a\.wav has several"):
        read_task(path)


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ("{", "unreadable sidecar"),
        ("[]", "unreadable sidecar"),
        ({"metric": "f1"}, "'metric': must be 'accuracy' or 'mAP', not 'f1'"),
        ({"unit_s": 0}, "'unit_s': must be greater than 0, not 0"),
        ({"unit_s": True}, "'unit_s': must be a valid number, not True"),
        ({"unit_s": "5", "task": 3}, "'task': .* not 3; 'unit_s': .*, not '5'"),
        ({"source": 1}, "'source': must be a valid string, not 1"),
        ({"deviations": "x"}, "'deviations': must be a valid array, not 'x'"),
    ],
)
def test_broken_sidecar_is_refused(tmp_path, sidecar, expected):
    path = put_manifest(tmp_path, ONE_LABEL, sidecar)
    with pytest.raises(ManifestError, match=expected):
        read_task(path)


def test_manifest_changed_after_its_sidecar_is_refused(tmp_path):
    path = put_manifest(tmp_path, ONE_LABEL)
    sidecar = {"task": "esc50", "manifest_sha256": sha256(path)}
    put_manifest(tmp_path, ONE_LABEL, sidecar)
    assert read_task(path).name == "esc50"
    path.write_text(ONE_LABEL.replace("y,test", "x,test"))
    with pytest.raises(ManifestError, match=r"mine\.csv was changed since; prepare the task again"):
        read_task(path)


def test_an_altered_sidecar_is_refused(tmp_path):
    path = put_manifest(tmp_path, ONE_LABEL, sealed_json({"task": "esc50", "unit_s": 5.0}))
    assert read_task(path).unit_s == 5.0
    sidecar = tmp_path / "mine.task.json"
    sidecar.write_text(sidecar.read_text().replace("5.0", "4.0"))
    with pytest.raises(ManifestError, match=r"does not match its SHA-256.*prepare the task again"):
        read_task(path)


def test_of_a_missing_file_the_option_for_another_root_is_told(tmp_path):
    path = put_manifest(tmp_path / "lists", ONE_LABEL)
    (tmp_path / "lists/a.wav").unlink()
    remedy = rf"a\.wav; files are relative to {tmp_path}/lists, or to --audio-root$"
    with pytest.raises(ManifestError, match=remedy):
        read_task(path)
    with pytest.raises(ManifestError, match=r"a\.wav$"):  # the option was given
        read_task(path, tmp_path)


def test_missing_manifest_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="unreadable manifest"):
        read_task(tmp_path / "none.csv")
