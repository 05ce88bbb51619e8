from shutil import copyfile

import numpy as np
import pytest

from byola_diff.evaluation.bgknown.data import difference_embeddings, read_bgknown
from byola_diff.tables.manifest import Clip
from tests.evaluation.bgknown.bgknown_sets import write_facts, write_set


def test_differences_by_hand():
    embeddings = {"mix": np.array([[3.0, 5.0]]), "a": np.array([[1.0, 1.0]])}
    embeddings |= {"b": np.array([[0.0, 5.0]]), "c": np.array([[4.0, 0.0]])}
    found = {name: value.tolist() for name, value in difference_embeddings(embeddings).items()}
    assert found == {"mix": [[3, 5]], "a": [[2, 4]], "b": [[3, 0]], "c": [[-1, 5]]}


def swap_rows(rows):
    rows["b"][0], rows["b"][3] = rows["b"][3], rows["b"][0]


def relabel(rows):
    rows["c"][4] = Clip(rows["c"][4].file, ("low",), split="train", group="4")


def shorten(rows):
    rows["a"].pop()


def swap_kinds(rows):
    rows["a"], rows["b"] = rows["b"], rows["a"]


def move(rows):
    rows["a"][5] = Clip(rows["a"][5].file, rows["a"][5].labels, split="test", group="5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_rows, r"b\.csv: row 2, column 'file': .*train_3_b\.wav does not .*train_0_mix\.wav"),
        (relabel, r"c\.csv: row 6, column 'label'"),
        (shorten, r"a\.csv has 11 rows, mix\.csv 12"),
        (swap_kinds, r"a\.csv: row 2, column 'file': .*_b\.wav"),
        (move, r"a\.csv: row 7, column 'split'"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(tmp_path, change, message):
    write_set(tmp_path, 9, 3, change)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_an_altered_table_is_refused(tmp_path):
    write_set(tmp_path, 9, 3)
    read_bgknown(tmp_path)
    path = tmp_path / "a.csv"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ValueError, match=r"a\.csv is not the table that bgknown\.json tells of"):
        read_bgknown(tmp_path)


def test_altered_sounds_are_refused(tmp_path):
    write_set(tmp_path, 9, 3)
    data = read_bgknown(tmp_path)
    data.check_audio()
    copyfile(tmp_path / "audio/test/test_9_mix.wav", tmp_path / "audio/test/test_9_a.wav")
    with pytest.raises(ValueError, match=r"test_9_a\.wav is not the sound that items\.csv"):
        data.check_audio()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train_3,", "other,", r"items\.csv has no mix_sha256 of item 'train_3'"),
        ("c_sha256", "digest", r"items\.csv has no c_sha256 of item 'train_0'"),
    ],
)
def test_every_sound_needs_its_hash(tmp_path, old, new, message):
    write_set(tmp_path, 9, 3)
    path = tmp_path / "items.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=r"items\.csv is not the table"):
        read_bgknown(tmp_path)
    write_facts(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_a_set_that_tells_no_deviations_is_counted(tmp_path):
    write_set(tmp_path, 9, 3)
    write_facts(tmp_path, deviations=[])
    assert read_bgknown(tmp_path).deviations == (
        *("training items: 9, not 1200", "test items: 3, not 800", "classes: 3, not 50"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not tell of a data set"),
        ("[]", "does not tell of a data set"),
        (
            '{"manifests": {}}',
            r"bgknown\.json does not tell of a data set: 'deviations': is missing",
        ),
        ('{"manifests": {}, "deviations": [1]}', r"'deviations', item 1: must be a valid string"),
        ('{"manifests": {}, "deviations": []}', r"mix\.csv is not the table"),
    ],
)
def test_broken_facts_are_refused(tmp_path, text, message):
    write_set(tmp_path, 9, 3)
    (tmp_path / "bgknown.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_bgknown(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="make_bgknown_esc50"):
        read_bgknown(tmp_path)
