import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from byola_diff.audio.files import read_audio
from byola_diff.embeddings.extract import NonFiniteEmbeddingError
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear import probes as hear_probes
from byola_diff.evaluation.hear.answers import EventAnswers, SceneAnswers, rating
from byola_diff.evaluation.hear.events import LabelledEvent, PostProcessing
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.probing.trainer import train_probes
from tests.evaluation.hear.hear_folders import (
    EXTRACTION,
    FAST_GRID,
    FOLDS,
    NAMED,
    RATE,
    BandEncoder,
    write_event_task,
    write_scene_task,
)


class WatchedTask(HearTask):
    """Writes down which labels are asked for."""

    def answers(self, split):
        self.log.append(split)
        return super().answers(split)


def watched(task):
    twin = WatchedTask(**vars(task))
    object.__setattr__(twin, "log", [])
    return twin


def logging_trainer(log):
    def train(*args):
        log.append("train")
        return train_probes(*args)

    return train


def test_scene_task_end_to_end(tmp_path):
    task = read_hear_task(write_scene_task(tmp_path / "task", n_clips=9))
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert result.settings["primary"] == result.settings["selected_by"] == "top1_acc"
    assert [result.scores[metric]["test"] for metric in ("top1_acc", "mAP", "aucroc")] == [1.0] * 3
    assert list(result.scores) == ["top1_acc", "mAP", "d_prime", "aucroc"]
    assert result.chosen.learning_rate == 0.05
    assert {point.learning_rate for point, _ in result.searched} == {0.05, 1e-6}
    assert (result.settings["audio_rate"], result.settings["resampler"]) == (RATE, None)
    json.dumps([result.settings, result.choices()], allow_nan=False)
    [(test, fold)] = result.folds.items()
    assert test == "test"
    files = json.loads(json.dumps(fold.predictions))
    assert list(files) == list(task.answers("test"))
    # Clip i is of class i modulo 3, wherever the shuffle put it.
    found = {file: int(np.argmax(row)) for file, row in files.items()}
    assert found == {f"test-{number}.wav": number % 3 for number in range(9)}
    assert sum(files["test-0.wav"]) == pytest.approx(1.0)


def test_settings_say_how_the_scores_came_about(tmp_path):
    task = read_hear_task(write_scene_task(tmp_path / "task", n_clips=3))
    for precision in ("float32", "bfloat16"):
        extraction = replace(EXTRACTION, precision=precision)
        settings = run_hear_task(task, NAMED, extraction, n_points=1).settings
        expected = {"seed": 42, "precision": precision, "device": "cpu"}
        assert {name: settings[name] for name in expected} == expected


def test_multilabel_scene_task(tmp_path):
    changes = {"prediction_type": "multilabel", "evaluation": ["mAP", "aucroc"]}
    task = read_hear_task(write_scene_task(tmp_path / "task", changes))
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert result.scores == {"mAP": {"test": 1.0}, "aucroc": {"test": 1.0}}
    row = result.folds["test"].predictions["test-0.wav"]
    assert min(row[:2]) > row[2]


def test_folds_search_once_and_retrain_the_winner(tmp_path, monkeypatch):
    task = watched(read_hear_task(write_scene_task(tmp_path / "task", FOLDS)))
    calls = []

    def train(*args):
        calls.append(args[4])
        return train_probes(*args)

    monkeypatch.setattr(hear_probes, "train_probes", train)
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert [len(settings) for settings in calls] == [2, 1, 1]
    assert {settings[0].learning_rate for settings in calls[1:]} == {0.05}
    assert list(result.folds) == ["fold00", "fold01", "fold02"]
    values = [fold.scores["top1_acc"] for fold in result.folds.values()]
    assert list(result.scores["top1_acc"].values()) == values


def test_labels_of_the_test_split_are_asked_for_last(tmp_path, monkeypatch):
    task = watched(read_hear_task(write_scene_task(tmp_path / "task")))
    monkeypatch.setattr(hear_probes, "train_probes", logging_trainer(task.log))
    run_hear_task(task, NAMED, EXTRACTION)
    assert task.log[-1] == "test"
    assert task.log.count("test") == 1
    assert "train" in task.log


def test_a_fold_is_not_looked_at_before_its_probe_is_chosen(tmp_path, monkeypatch):
    task = watched(read_hear_task(write_scene_task(tmp_path / "task", FOLDS)))
    log, asked = task.log, []

    def train(*args):
        asked.append(list(log))
        log.clear()
        return train_probes(*args)

    monkeypatch.setattr(hear_probes, "train_probes", train)
    run_hear_task(task, NAMED, EXTRACTION)
    # The search, then the two other rotations: each asks for its training and validation folds.
    assert [set(splits) for splits in asked] == [
        {"fold01", "fold02"},
        {"fold00", "fold02"},
        {"fold00", "fold01"},
    ]
    assert log[-1] == "fold02"


def test_test_labels_change_nothing_but_the_test_scores(tmp_path):
    folder = write_event_task(tmp_path / "task")
    first = run_hear_task(read_hear_task(folder), NAMED, EXTRACTION)
    content = json.loads((folder / "test.json").read_text())
    for events in content.values():
        for event in events:
            event["label"] = "low"
    (folder / "test.json").write_text(json.dumps(content))
    second = run_hear_task(read_hear_task(folder), NAMED, EXTRACTION)
    assert first.settings == second.settings
    assert first.choices() == second.choices()
    assert first.folds["test"].predictions == second.folds["test"].predictions
    assert first.scores != second.scores


def test_event_task_end_to_end(tmp_path):
    task = read_hear_task(write_event_task(tmp_path / "task"))
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert result.scores["event_onset_200ms_fms"]["test"] > 0.9
    assert result.scores["segment_1s_er"]["test"] < 0.2
    assert list(result.scores) == [
        "event_onset_200ms_fms",
        "event_onset_200ms_fms_precision",
        "event_onset_200ms_fms_recall",
        "segment_1s_er",
    ]
    assert result.folds["test"].processing in task.metadata.post_processing
    files = json.loads(json.dumps(result.folds["test"].predictions))
    assert {event["label"] for event in files["test-0.wav"]} == {"low", "mid", "high"}
    assert files["test-0.wav"][0]["start_ms"] == pytest.approx(100, abs=60)
    json.dumps([result.settings, result.choices()], allow_nan=False)


def test_event_folds_with_selection_by_loss(tmp_path):
    changes = FOLDS | {"use_scoring_for_early_stopping": False}
    task = read_hear_task(write_event_task(tmp_path / "task", changes, n_clips=2))
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert result.settings["selected_by"] == "loss"
    assert all(score < 0 for _, score in result.searched)  # minus the loss
    assert all(fold.processing is not None for fold in result.folds.values())
    assert len(result.folds) == 3


def test_an_error_rate_as_primary_metric_is_minimised(tmp_path):
    changes = {"evaluation": ["segment_1s_er", "event_onset_200ms_fms"]}
    task = read_hear_task(write_event_task(tmp_path / "task", changes, n_clips=2))
    result = run_hear_task(task, NAMED, EXTRACTION)
    values = [score for _, score in result.searched]
    assert max(values) > min(values)  # the rate of 1e-6 finds nothing
    assert result.folds["test"].valid_score == max(values) <= 0
    assert result.scores["segment_1s_er"]["test"] < 0.3


def test_audio_of_another_rate_is_resampled_and_that_is_recorded(tmp_path):
    task = read_hear_task(write_scene_task(tmp_path / "task", rate=48_000))
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert result.settings["audio_rate"] == 48_000
    assert result.settings["resampler"].startswith("soxr")
    assert result.scores["top1_acc"]["test"] == 1.0


def test_points_of_several_rules_are_tried_in_their_order(tmp_path, monkeypatch):
    grid = FAST_GRID | {"max_epochs": [5, 10], "lr": [0.05]}
    changes = {"evaluation_params": {"task_specific_param_grid": grid}}
    task = read_hear_task(write_scene_task(tmp_path / "task", changes))
    rules = []

    def train(*args):
        rules.append(args[5])
        return train_probes(*args)

    monkeypatch.setattr(hear_probes, "train_probes", train)
    result = run_hear_task(task, NAMED, EXTRACTION)
    assert [rule.max_epochs for rule in rules] == [point.max_epochs for point, _ in result.searched]
    assert {5, 10} == {rule.max_epochs for rule in rules}


@pytest.mark.parametrize(("options", "shuffle"), [({}, False), ({"shuffle": True}, True)])
def test_batches_keep_one_order_unless_it_is_asked_for(tmp_path, options, shuffle, monkeypatch):
    task = read_hear_task(write_scene_task(tmp_path / "task", FOLDS, n_clips=3))
    rules = []

    def train(*args):
        rules.append(args[5])
        return train_probes(*args)

    monkeypatch.setattr(hear_probes, "train_probes", train)
    run_hear_task(task, NAMED, EXTRACTION, **options)
    assert [rule.shuffle for rule in rules] == [shuffle] * 3


def test_frames_of_a_file_stay_together_in_the_order_of_the_files(tmp_path, monkeypatch):
    task = read_hear_task(write_event_task(tmp_path / "task"))
    calls = []

    def train(*args):
        calls.append(args)
        return train_probes(*args)

    monkeypatch.setattr(hear_probes, "train_probes", train)
    run_hear_task(task, NAMED, EXTRACTION)
    [(embeddings, targets, *_)] = calls
    files = task.answers("train")
    assert list(files) != sorted(files)
    for file, frames, labels in zip(files, embeddings.split(40), targets.split(40), strict=True):
        clip = torch.from_numpy(read_audio(task.folder / str(RATE) / "train" / file)[0])[None]
        torch.testing.assert_close(frames, NAMED.encoder.timestamps(clip)[0][0])
        # The first tone sounds from 100 to 500 ms, in the middle of frames 2 to 9.
        first = int(file.removesuffix(".wav")[-1]) % 3
        assert labels[:12, first].tolist() == [0, 0] + [1] * 8 + [0, 0]


class BrokenEncoder(BandEncoder):
    def scene(self, waveform):
        return super().scene(waveform) * math.nan


def test_nan_embeddings_are_refused(tmp_path):
    task = read_hear_task(write_scene_task(tmp_path / "task", n_clips=3))
    broken = NamedEncoder("broken", BrokenEncoder(), "1" * 64)
    with pytest.raises(NonFiniteEmbeddingError, match="NaN"):
        run_hear_task(task, broken, EXTRACTION)


def test_a_search_without_a_single_score_is_refused(tmp_path):
    grid = FAST_GRID | {"check_val_every_n_epoch": [50]}
    changes = {"evaluation_params": {"task_specific_param_grid": grid}}
    task = read_hear_task(write_scene_task(tmp_path / "task", changes, n_clips=3))
    with pytest.raises(ValueError, match="tones-v1-full: no probe could be scored on 'valid'"):
        run_hear_task(task, NAMED, EXTRACTION)


def scene_answers(multi_hot, labels=("60", "62", "72"), is_multiclass=True):
    files = [f"{row}.wav" for row in range(len(multi_hot))]
    return SceneAnswers(files, labels, is_multiclass, np.array(multi_hot, bool))


def test_classes_are_ranked_by_probability_not_by_logit():
    # Class 0: logits 5 and 1, probabilities a third and nearly all.
    answers = scene_answers([[0, 1, 0], [1, 0, 0]])
    logits = torch.tensor([[5.0, 5.0, 5.0], [1.0, -9.0, -9.0]])
    assert answers.scores(logits, ["aucroc"])["aucroc"] == 1.0


def test_labels_of_a_clip_have_probabilities_of_their_own():
    answers = scene_answers([[1, 1, 0]], is_multiclass=False)
    assert answers.predictions(torch.zeros(1, 3)) == {"0.wav": [0.5, 0.5, 0.5]}
    answers = scene_answers([[1, 0, 0]])
    assert answers.predictions(torch.zeros(1, 3))["0.wav"] == pytest.approx([1 / 3] * 3)


def test_clips_without_a_label_have_no_right_class():
    answers = scene_answers([[0, 0, 0], [0, 1, 0], [1, 0, 1]], is_multiclass=False)
    logits = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    names = ["top1_acc", "pitch_acc", "chroma_acc"]  # 60 and 72 are the same note
    assert answers.scores(logits, names) == dict.fromkeys(names, 0.5)
    assert list(answers.predictions(logits)) == ["0.wav", "1.wav", "2.wav"]


def test_chroma_is_of_the_pitch():
    answers = scene_answers([[1, 0, 0], [1, 0, 0]])
    logits = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert answers.scores(logits, ["pitch_acc", "chroma_acc"]) == {
        "pitch_acc": 0.0,
        "chroma_acc": 0.5,
    }


def test_loss_by_hand():
    logits = torch.zeros(2, 3)
    multi_hot = [[1, 0, 0], [0, 0, 1]]
    assert rating(scene_answers(multi_hot), logits, None) == pytest.approx(-math.log(3))
    answers = scene_answers(multi_hot, is_multiclass=False)
    assert rating(answers, logits, None) == pytest.approx(-math.log(2))


def test_best_cell_of_equal_ones_filters_most():
    cells = [PostProcessing(0.0, 0.0), PostProcessing(100.0, 50.0), PostProcessing(100.0, 500.0)]
    events = {"a.wav": (LabelledEvent("low", 25.0, 225.0),)}
    answers = EventAnswers(events, [25.0 + 50 * np.arange(8)], ("low", "high"), cells)
    logits = torch.full((8, 2), -9.0)
    logits[:5, 0] = 9.0
    # The last cell drops the event; the others find it.
    assert answers.best_processing(logits, "event_onset_200ms_fms") == cells[1]
    assert answers.scores(logits, ["event_onset_200ms_fms"])["event_onset_200ms_fms"] == 1.0
