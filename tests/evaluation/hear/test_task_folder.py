import json
import random

import pytest

from byola_diff.evaluation.hear.events import LabelledEvent, PostProcessing
from byola_diff.evaluation.hear.task_folder import Fold, read_hear_task
from byola_diff.evaluation.hear.task_metadata import HearTaskError, TaskMetadata, read_json_object
from tests.evaluation.hear.hear_folders import (
    EVENTS,
    FAST_GRID,
    FOLDS,
    METADATA,
    RATE,
    write_event_task,
    write_scene_task,
)


@pytest.fixture
def scenes(tmp_path):
    return write_scene_task(tmp_path / "scenes", n_clips=3)


@pytest.fixture
def events(tmp_path):
    return write_event_task(tmp_path / "events", n_clips=2)


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def without(entries, key):
    return {name: value for name, value in entries.items() if name != key}


def test_scene_task_is_read(scenes):
    task = read_hear_task(scenes)
    assert task.metadata.name == "tones-v1-full"
    assert task.labels == ("high", "low", "mid")
    assert task.metadata.splits == ("train", "valid", "test")
    assert task.metadata.metrics == ("top1_acc", "mAP", "d_prime", "aucroc")
    assert task.metadata.selects_by_score
    assert task.metadata.grid_overrides == FAST_GRID
    assert task.rates == (RATE,)
    assert sorted(task.answers("valid")) == ["valid-0.wav", "valid-1.wav", "valid-2.wav"]
    assert task.answers("test") == {
        "test-0.wav": ("high",),
        "test-1.wav": ("low",),
        "test-2.wav": ("mid",),
    }
    assert task.folds() == (Fold(("train",), "valid", "test"),)


def test_event_task_is_read(events):
    task = read_hear_task(events)
    first = task.answers("train")["train-0.wav"]
    assert first[0] == LabelledEvent("high", 100.0, 500.0)
    assert [event.label for event in first] == ["high", "low", "mid"]
    assert task.metadata.post_processing == (
        PostProcessing(0.0, 100.0),
        PostProcessing(100.0, 100.0),
    )


@pytest.mark.parametrize(
    ("changes", "splits"),
    [({}, ("train", "valid", "test")), (FOLDS, ("fold00", "fold01", "fold02"))],
)
def test_order_of_the_files_is_that_of_the_kit(changes, splits, tmp_path):
    task = read_hear_task(write_scene_task(tmp_path / "task", changes, n_clips=9))
    # Protocol sheet, 6.6: shuffled once, by one Random(0) from split to split.
    generator, orders = random.Random(0), [list(range(9)) for _ in splits]
    for order in orders:
        generator.shuffle(order)
    assert len({tuple(order) for order in orders}) == 3, "a generator anew would do as well"
    for split, order in zip(splits, orders, strict=True):
        labels = {
            f"{split}-{number}.wav": (("high", "low", "mid")[number % 3],) for number in order
        }
        assert list(task.answers(split).items()) == list(labels.items())
    clips = [clip.file for clip in task.manifest(RATE).clips]
    assert clips == [f"{split}/{file}" for split in splits for file in task.answers(split)]


def test_folds_rotate(tmp_path):
    splits = ["fold02", "fold00", "fold03", "fold01"]
    changes = {"split_mode": "presplit_kfold", "splits": splits, "nfolds": 4}
    task = read_hear_task(write_scene_task(tmp_path / "folds", changes, n_clips=3))
    assert task.metadata.splits == ("fold00", "fold01", "fold02", "fold03")
    assert task.folds() == (
        Fold(("fold02", "fold03"), "fold01", "fold00"),
        Fold(("fold00", "fold03"), "fold02", "fold01"),
        Fold(("fold00", "fold01"), "fold03", "fold02"),
        Fold(("fold01", "fold02"), "fold00", "fold03"),
    )


# Protocol sheet, 9.4: kind, kind of labels, kind of split and metrics of the 19 tasks.
KFOLD, SCENE = ("new_split_kfold", "presplit_kfold"), ["mAP", "d_prime", "aucroc"]
PUBLISHED = [
    ("speech_commands", "scene", "multiclass", "trainvaltest", ["top1_acc"], 1.0),
    ("nsynth_pitch", "scene", "multiclass", "trainvaltest", ["pitch_acc", "chroma_acc"], 4.0),
    ("dcase2016_task2", "event", "multilabel", "trainvaltest",
     ["event_onset_200ms_fms", "segment_1s_er"], 120.0),
    ("beehive_states_fold0", "scene", "multiclass", "trainvaltest",
     ["aucroc", "mAP", "d_prime", "top1_acc"], 600.0),
    ("beijing_opera", "scene", "multiclass", KFOLD[0], ["top1_acc", *SCENE], 4.77),
    ("esc50", "scene", "multiclass", KFOLD[1], ["top1_acc", *SCENE], 5.0),
    ("fsd50k", "scene", "multilabel", "trainvaltest",
     ["mAP", "d_prime", "aucroc", "top1_acc"], None),
    ("maestro", "event", "multilabel", KFOLD[0],
     ["event_onset_50ms_fms", "event_onset_offset_50ms_20perc_fms"], 120.0),
    ("vocal_imitation", "scene", "multiclass", KFOLD[0], [*SCENE, "top1_acc"], 11.26),
]  # fmt: skip


@pytest.mark.parametrize("task", PUBLISHED, ids=lambda task: task[0])
def test_metadata_of_every_kind_of_published_task(task, tmp_path):
    keys = ("task_name", "embedding_type", "prediction_type", "split_mode", "evaluation")
    entries = without(METADATA, "evaluation_params") | dict(zip(keys, task, strict=False))
    entries["sample_duration"] = task[5]
    # What the evaluation has no use for, but the files have.
    entries |= {"download_urls": [], "tmp_dir": "_workdir", "max_task_duration_by_split": {}}
    if "kfold" in task[3]:
        entries |= {"splits": [f"fold{number:02}" for number in range(5)], "nfolds": 5}
    (tmp_path / "task_metadata.json").write_text(json.dumps(entries))
    metadata = read_json_object(tmp_path / "task_metadata.json", TaskMetadata)
    assert metadata.metrics == tuple(task[4])
    assert metadata.grid_overrides == {}
    default = (PostProcessing(250.0, 125.0), PostProcessing(250.0, 250.0))
    fixed = (PostProcessing(150.0, 50.0),)
    assert metadata.post_processing == (fixed if task[0] == "maestro" else default)


def test_rate_is_the_encoders_or_else_the_highest(scenes):
    (scenes / "48000").mkdir()
    for split in ("train", "valid", "test"):
        (scenes / str(RATE) / split).rename(scenes / "48000" / split)
        (scenes / str(RATE) / split).symlink_to(scenes / "48000" / split)
    (scenes / "16000_old").mkdir()
    task = read_hear_task(scenes)
    assert task.rates == (RATE, 48_000)
    assert task.rate_for(RATE) == RATE
    assert task.rate_for(32_000) == 48_000
    assert task.manifest(RATE).root == scenes / str(RATE)
    assert task.manifest(44_100).root == scenes / "48000"


def test_manifest_has_all_clips_and_no_label(scenes):
    manifest = read_hear_task(scenes).manifest(RATE)
    assert {clip.file for clip in manifest.clips} == {
        f"{split}/{split}-{number}.wav"
        for split in ("train", "valid", "test")
        for number in range(3)
    }
    assert len(manifest.clips) == 9
    assert not any(clip.labels for clip in manifest.clips)
    assert all(manifest.path(clip).is_file() for clip in manifest.clips)


def test_labels_may_be_whole_numbers(scenes):
    (scenes / "labelvocabulary.csv").write_text("idx,label\n1,22\n0,21\n")
    for split in ("train", "valid", "test"):
        rewrite(
            scenes / f"{split}.json", lambda files: files.update({file: [22] for file in files})
        )
    task = read_hear_task(scenes)
    assert task.labels == ("21", "22")
    assert list(task.answers("train").values()) == [("22",)] * 3


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("task_name", None, "'task_name': must be a valid string, not None"),
        ("version", 1, "'version': must be a valid string, not 1"),
        ("embedding_type", "clip", "'embedding_type': must be 'scene' or 'event', not 'clip'"),
        ("prediction_type", None, "'prediction_type': must be 'multiclass' or"),
        ("split_mode", "kfold", "'split_mode': must be 'trainvaltest', "),
        ("splits", ["train", "test"], "'splits': must be train, valid and test"),
        ("splits", "train", "'splits': must be a list, not 'train'"),
        ("splits", ["train", "test", "test"], "'splits': has a name twice: train, test, test"),
        ("splits", ["train", "valid", 3], "'splits', item 3: must be a valid string, not 3"),
        ("evaluation", [], "'evaluation': .* at least 1 item"),
        ("evaluation", ["top1_acc", "event_onset_200ms_fms"], "unknown metric 'event_onset"),
        ("use_scoring_for_early_stopping", "no", "must be a valid boolean, not 'no'"),
        ("evaluation_params", [1], "'evaluation_params': must be a valid object"),
        *(
            ("evaluation_params", {"task_specific_param_grid": grid}, match)
            for grid, match in [
                ([], "'task_specific_param_grid': must be a valid object"),
                ({"momentum": [0.9]}, "'momentum': is unknown"),
                ({"lr": 0.1}, "'lr': must be a list, not 0.1"),
                ({"lr": []}, "'lr': .* at least 1 item"),
                ({"lr": [1, "0.1"]}, "'lr', item 2: must be a valid number, not '0.1'"),
                ({"hidden_layers": [1.5]}, "'hidden_layers', item 1: must be a valid integer"),
                ({"hidden_layers": [True]}, "'hidden_layers', item 1: must be a valid integer"),
                ({"initialization": ["zeros"]}, "must be 'xavier_uniform' or 'xavier_normal'"),
            ]
        ),
        *(
            ("evaluation_params", {"event_postprocessing_grid": grid}, match)
            for grid, match in [
                ({"median_filter_ms": [250]}, "'event_postprocessing_grid', 'min_duration': is m"),
                (
                    {"median_filter_ms": [250], "min_duration": [0], "threshold": [0.5]},
                    "'threshold': is unknown",
                ),
                ({"median_filter_ms": 250, "min_duration": [0]}, "'median_filter_ms': must be a l"),
                ({"median_filter_ms": ["250"], "min_duration": [0]}, "must be a valid number"),
                ({"median_filter_ms": [], "min_duration": [0]}, "at least 1 item"),
                ({"median_filter_ms": [-1], "min_duration": [0]}, "greater than or equal to 0"),
            ]
        ),
    ],
)
def test_malformed_metadata_is_refused(key, value, match, scenes):
    rewrite(scenes / "task_metadata.json", lambda entries: entries.update({key: value}))
    with pytest.raises(HearTaskError, match=match) as caught:
        read_hear_task(scenes)
    assert str(scenes / "task_metadata.json") in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (FOLDS | {"splits": ["fold00", "fold01"], "nfolds": 2}, "at least 3 folds"),
        (FOLDS | {"nfolds": 5}, "'nfolds' is 5, but there are 3 splits"),
        (EVENTS | {"prediction_type": "multiclass"}, "must be multilabel"),
        (EVENTS | {"evaluation": ["top1_acc"]}, "unknown metric 'top1_acc' of a task of events"),
        (FOLDS | {"splits": ["a", "b", "../c"]}, "no plain name"),
    ],
)
def test_metadata_that_does_not_fit_together_is_refused(changes, match, scenes):
    rewrite(scenes / "task_metadata.json", lambda entries: entries.update(changes))
    for split in ("a", "b"):
        (scenes / f"{split}.json").write_text('{"x.wav": ["low"]}')
    with pytest.raises(HearTaskError, match=match):
        read_hear_task(scenes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[]", "must hold a JSON object"),
        ('{"a.wav": ["low"]', "malformed JSON"),
        ('{"a.wav": ["low"], "a.wav": ["mid"]}', r"'a\.wav' occurs twice"),
        ("{}", "empty split"),
        ('{"a.wav": ["low", "mid"]}', r"valid\.json: 'a\.wav': must have exactly one label"),
        ('{"a.wav": []}', r"valid\.json: 'a\.wav': must have exactly one label"),
        ('{"a.wav": "low"}', r"'a\.wav': must be a list, not 'low'"),
        ('{"a.wav": {"low": 1}}', r"'a\.wav': must be a list"),
        ('{"a.wav": ["loud"]}', r"'a\.wav', item 1: label 'loud' is not in the vocabulary"),
        ('{"a.wav": [true]}', "label True is not in the vocabulary"),
        ('{"a.wav": [null]}', "label None is not in the vocabulary"),
        ('{"../train/train-0.wav": ["low"]}', r"has '\.\.'"),
        ('{"/etc/passwd": ["low"]}', "absolute"),
        ('{"a.wav": ["low"]}', "no such file"),
        ('{"train-0.wav": ["low"]}', r"leaks, it is in train\.json too"),
        ("\xff", "malformed JSON"),
        ("[" * 100_000, "malformed JSON"),
    ],
)
def test_malformed_split_is_refused(text, match, scenes):
    (scenes / "valid.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(HearTaskError, match=match) as caught:
        read_hear_task(scenes)
    assert str(scenes / "valid.json") in str(caught.value)


@pytest.mark.parametrize(
    ("event", "match"),
    [
        ({"label": "low", "start": 0}, "'end': is missing"),
        ("low", "must be a valid object, not 'low'"),
        ({"label": "low", "start": "0", "end": 1}, "'start': must be a valid number, not '0'"),
        ({"label": "low", "start": 2, "end": 1}, "in order, not 2.0, 1.0"),
        ({"label": "low", "start": -1, "end": 1}, "'start': must be greater than or equal to 0"),
        ({"label": "low", "start": 0, "end": float("nan")}, "'end': must be a finite number"),
        ({"label": "low", "start": 0, "end": float("inf")}, "'end': must be a finite number"),
        ({"label": "loud", "start": 0, "end": 1}, "'label': label 'loud' is not in the vocab"),
    ],
)
def test_malformed_event_is_refused(event, match, events):
    rewrite(events / "test.json", lambda files: files["test-1.wav"].append(event))
    with pytest.raises(HearTaskError, match=match) as caught:
        read_hear_task(events)
    assert "test.json: 'test-1.wav', item 4" in str(caught.value)


def test_a_file_may_have_no_events_but_not_all_files(events):
    rewrite(events / "test.json", lambda files: files.update({"test-1.wav": []}))
    task = read_hear_task(events)
    answers = task.answers("test")
    assert answers["test-1.wav"] == ()
    assert len(answers["test-0.wav"]) == 3
    rewrite(events / "test.json", lambda files: files.update({"test-0.wav": []}))
    with pytest.raises(HearTaskError, match="no file has a label"):
        read_hear_task(events)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("label\nlow\n", "row 1: has no column idx"),
        ("idx,label\n0,low\n2,mid\n", "count from 0"),
        ("idx,label\n0,low\n0,mid\n", "row 3: empty or repeated"),
        ("idx,label\n0,low\n1,low\n", "row 3: empty or repeated"),
        ("idx,label\n0,low\n1,\n", "row 3: empty or repeated"),
        ("idx,label\n0,low\n", "two labels or more"),
        ("", "row 1: has no column idx, label"),
        ("idx,label\n0,low\n1,mi\u200bd\n", r"row 3: invisible character U\+200B"),
    ],
)
def test_malformed_vocabulary_is_refused(text, match, scenes):
    (scenes / "labelvocabulary.csv").write_text(text, encoding="utf-8")
    with pytest.raises(HearTaskError, match=match) as caught:
        read_hear_task(scenes)
    assert str(scenes / "labelvocabulary.csv") in str(caught.value)


@pytest.mark.parametrize("name", ["labelvocabulary.csv", "valid.json"])
def test_missing_file_is_named(name, scenes):
    (scenes / name).unlink()
    with pytest.raises(HearTaskError, match=f"{name}: unreadable.*: .*No such file"):
        read_hear_task(scenes)


def test_a_folder_of_something_else_is_refused(scenes):
    (scenes / "task_metadata.json").unlink()
    match = r"not a HEAR task folder: .* expected .*labelvocabulary\.csv, \{split\}\.json"
    with pytest.raises(HearTaskError, match=match):
        read_hear_task(scenes)


def test_all_that_is_wrong_in_the_metadata_is_said_at_once(scenes):
    (scenes / "task_metadata.json").write_text(
        '{"task_name": "x", "version": 1, "split_mode": "kfold", "splits": ["train"]}'
    )
    with pytest.raises(HearTaskError) as caught:
        read_hear_task(scenes)
    path = scenes / "task_metadata.json"
    modes = "'trainvaltest', 'new_split_kfold' or 'presplit_kfold'"
    assert str(caught.value).splitlines() == [
        f"{path}: 'version': must be a valid string, not 1",
        f"{path}: 'mode': is missing",
        f"{path}: 'embedding_type': is missing",
        f"{path}: 'prediction_type': is missing",
        f"{path}: 'split_mode': must be {modes}, not 'kfold'",
        f"{path}: 'evaluation': is missing",
    ]


def test_missing_audio_is_named(scenes):
    (scenes / str(RATE) / "test" / "test-2.wav").unlink()
    with pytest.raises(HearTaskError, match=r"test\.json: 'test-2\.wav': no such file"):
        read_hear_task(scenes)


def test_a_link_that_leaves_the_folder_is_refused(scenes, tmp_path):
    file = scenes / str(RATE) / "test" / "test-2.wav"
    file.rename(tmp_path / "outside.wav")
    file.symlink_to(tmp_path / "outside.wav")
    with pytest.raises(HearTaskError, match="through a link"):
        read_hear_task(scenes)


def test_there_must_be_audio(scenes):
    (scenes / str(RATE)).rename(scenes / "audio")
    with pytest.raises(HearTaskError, match="no audio: there must be a folder named"):
        read_hear_task(scenes)


def test_files_are_those_of_the_disk_however_it_spells_them(scenes):
    path = scenes / str(RATE) / "test" / "test-0.wav"
    path.rename(path.with_name("cafe\u0301.wav"))
    rewrite(
        scenes / "test.json", lambda files: files.update({"caf\u00e9.wav": files.pop("test-0.wav")})
    )
    clips = read_hear_task(scenes).manifest(RATE).clips
    assert "test/cafe\u0301.wav" in {clip.file for clip in clips}


def test_links_to_one_file_in_two_splits_are_refused(scenes):
    file = scenes / str(RATE) / "test" / "test-2.wav"
    file.unlink()
    file.symlink_to(scenes / str(RATE) / "train" / "train-0.wav")
    with pytest.raises(HearTaskError, match="leaves"):  # its folder, in which it has to be
        read_hear_task(scenes)
    file.unlink()
    file.hardlink_to(scenes / str(RATE) / "train" / "train-0.wav")
    with pytest.raises(HearTaskError, match=r"test\.json: 'test-2\.wav': leaks, it is in train"):
        read_hear_task(scenes)


@pytest.mark.parametrize(
    ("factor", "match"),
    [
        (1000, r"train\.json: 'train-0\.wav', item 1: from 100000 to 500000 ms, but .* at 2000 ms"),
        (
            1e-3,
            r"train\.json: no event ends after 1\.7 ms, of files of up to 2 s: .* seem to be sec",
        ),
        (1.19, r"train\.json: 'train-0\.wav', item 3: from 1547 to 2023 ms"),
    ],
)
def test_times_must_be_milliseconds_within_the_file(events, factor, match):
    def scale(files):
        for entry in (entry for entries in files.values() for entry in entries):
            entry.update(start=entry["start"] * factor, end=entry["end"] * factor)

    rewrite(events / "train.json", scale)
    with pytest.raises(HearTaskError, match=match):
        read_hear_task(events)


def test_labels_are_compared_in_nfc(scenes):
    (scenes / "labelvocabulary.csv").write_text("idx,label\n0,caf\u00e9\n1,low\n", encoding="utf-8")
    for split in ("train", "valid", "test"):
        rewrite(
            scenes / f"{split}.json",
            lambda files: files.update({file: ["cafe\u0301"] for file in files}),
        )
    assert set(read_hear_task(scenes).answers("test").values()) == {("caf\u00e9",)}
