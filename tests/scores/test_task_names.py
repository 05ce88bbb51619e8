import pytest

from byola_diff.corpora.registry import TASKS
from byola_diff.evaluation.hear.task_metadata import EVENT_METRICS
from byola_diff.scores.task_names import (
    GROUPS,
    LOWER_IS_BETTER,
    lower_is_better,
    protocol_title,
    task_group,
    task_order,
    task_title,
)

SOUNDS, SPEECH, MUSIC, OTHER = GROUPS

# Protocol sheet, 9.4.
HEAR = {
    "speech_commands-v0.0.2-5h": SPEECH,
    "speech_commands-v0.0.2-full": SPEECH,
    "nsynth_pitch-v2.2.3-5h": MUSIC,
    "nsynth_pitch-v2.2.3-50h": MUSIC,
    "dcase2016_task2-hear2021-full": SOUNDS,
    "beehive_states_fold0-v2-5h": SOUNDS,
    "beehive_states_fold0-v2-full": SOUNDS,
    "beehive_states_fold1-v2-5h": SOUNDS,
    "beehive_states_fold1-v2-full": SOUNDS,
    "beijing_opera-v1.0-hear2021-full": MUSIC,
    "tfds_crema_d-1.0.0-full": SPEECH,
    "esc50-v2.0.0-full": SOUNDS,
    "fsd50k-v1.0-full": SOUNDS,
    "gunshot_triangulation-v1.0-full": SOUNDS,
    "tfds_gtzan-1.0.0-full": MUSIC,
    "tfds_gtzan_music_speech-1.0.0-full": MUSIC,
    "libricount-v1.0.0-hear2021-full": SPEECH,
    "maestro-v3.0.0-5h": MUSIC,
    "mridangam_stroke-v1.5-full": MUSIC,
    "mridangam_tonic-v1.5-full": MUSIC,
    "vocal_imitation-v1.1.3-full": SPEECH,
    "vox_lingua_top10-hear2021-full": SPEECH,
}


@pytest.mark.parametrize(("task", "group"), HEAR.items())
def test_every_task_of_hear_has_a_title_and_a_group(task, group):
    assert task_title(task) != task
    assert task_group(task) == group


def test_titles_are_told_apart_and_the_papers_tasks_come_first():
    tasks = sorted([*HEAR, "my own", *TASKS], key=task_order)
    assert tasks[: len(TASKS)] == list(TASKS)
    assert (tasks[-1], task_title("my own"), task_group("my own")) == ("my own", "my own", OTHER)
    assert len({task_title(task) for task in tasks}) == len(tasks)


def test_what_hear_counts_as_an_error_is_one_here_too():
    assert [metric for metric in EVENT_METRICS if lower_is_better(metric)] == list(LOWER_IS_BETTER)


def test_protocols_say_what_they_ask():
    assert protocol_title("logistic") == "Protocol logistic: logistic regression"
    assert protocol_title("mine") == "Protocol mine"
