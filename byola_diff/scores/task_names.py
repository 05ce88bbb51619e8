"""Titles, order and groups of tasks and metrics in tables and figures, as the papers have them."""

from typing import NamedTuple

LOWER_IS_BETTER = ("segment_1s_er",)
"""Metrics that are errors."""


class _Task(NamedTuple):
    title: str
    group: str


SOUNDS, SPEECH, MUSIC, OTHER = "environmental sounds", "speech", "music", "other tasks"
GROUPS = (SOUNDS, SPEECH, MUSIC, OTHER)

# In the order of the papers' tables, then that of HEAR.
_TASKS = {
    "esc50": _Task("ESC-50", SOUNDS),
    "us8k": _Task("US8K", SOUNDS),
    "fsd50k": _Task("FSD50K", SOUNDS),
    "spcv2": _Task("SPCV2", SPEECH),
    "vc1": _Task("VC1", SPEECH),
    "voxforge": _Task("VF", SPEECH),
    "cremad": _Task("CRM-D", SPEECH),
    "gtzan": _Task("GTZAN", MUSIC),
    "nsynth": _Task("NSynth", MUSIC),
    "surge": _Task("Surge", MUSIC),
    "bgknown": _Task("BgKnown ESC-50", SOUNDS),
    "apwd_rain": _Task("APwD rain", SOUNDS),
    "apwd_traffic": _Task("APwD traffic", SOUNDS),
    "beehive_states_fold0-v2-full": _Task("Beehive 0", SOUNDS),
    "beehive_states_fold1-v2-full": _Task("Beehive 1", SOUNDS),
    "beehive_states_fold0-v2-5h": _Task("Beehive 0, 5h", SOUNDS),
    "beehive_states_fold1-v2-5h": _Task("Beehive 1, 5h", SOUNDS),
    "beijing_opera-v1.0-hear2021-full": _Task("Beijing Opera", MUSIC),
    "tfds_crema_d-1.0.0-full": _Task("CREMA-D", SPEECH),
    "dcase2016_task2-hear2021-full": _Task("DCASE 2016", SOUNDS),
    "esc50-v2.0.0-full": _Task("ESC-50 (HEAR)", SOUNDS),
    "fsd50k-v1.0-full": _Task("FSD50K (HEAR)", SOUNDS),
    "tfds_gtzan-1.0.0-full": _Task("GTZAN (HEAR)", MUSIC),
    "tfds_gtzan_music_speech-1.0.0-full": _Task("Music/Speech", MUSIC),
    "gunshot_triangulation-v1.0-full": _Task("Gunshot", SOUNDS),
    "libricount-v1.0.0-hear2021-full": _Task("LibriCount", SPEECH),
    "maestro-v3.0.0-5h": _Task("Maestro 5h", MUSIC),
    "mridangam_stroke-v1.5-full": _Task("Mrid. stroke", MUSIC),
    "mridangam_tonic-v1.5-full": _Task("Mrid. tonic", MUSIC),
    "nsynth_pitch-v2.2.3-50h": _Task("NSynth 50h", MUSIC),
    "nsynth_pitch-v2.2.3-5h": _Task("NSynth 5h", MUSIC),
    "speech_commands-v0.0.2-5h": _Task("SC 5h", SPEECH),
    "speech_commands-v0.0.2-full": _Task("SC full", SPEECH),
    "vocal_imitation-v1.1.3-full": _Task("Vocal Im.", SPEECH),
    "vox_lingua_top10-hear2021-full": _Task("VoxLingua", SPEECH),
}
_PROTOCOLS = {
    "evar": "a linear layer, the rate chosen on validation clips",
    "diff24": "a linear layer, as Takeuchi et al. train it",
    "logistic": "logistic regression",
    "hear": "a layer or two, by the rules of HEAR",
    "bgknown": "a linear layer on differences to a reference",
    "retrieval": "the clip that a recording becomes by a text, among others",
    "additivity": "what an event does to an embedding, over two backgrounds",
}
_ORDER = {name: place for place, name in enumerate(_TASKS)}

# HEAR's kit and ours count the same thing under two names.
_SAME_METRIC = {
    "top1_acc": "accuracy",
    "pitch_acc": "accuracy",
    "chroma_acc": "chroma_accuracy",
    "R@1": "recall@1",
    "R@5": "recall@5",
    "R@10": "recall@10",
}
_METRIC_TITLES = {
    "event_onset_50ms_fms": "onset F, 50 ms",
    "event_onset_200ms_fms": "onset F, 200 ms",
    "event_onset_offset_50ms_20perc_fms": "onset+offset F, 50 ms",
    "segment_1s_er": "error rate, 1 s",
    "chroma_accuracy": "chroma",
    "d_prime": "d'",
    "aucroc": "AUC",
    "mix": "Mix",
    "a": "(a) 100 %",
    "b": "(b) 50 %",
    "c": "(c) 0 %",
    "raw_cosine": "raw cosine",
}
_NOT_SHARES = {"cosine", "raw_cosine", "d_prime", "segment_1s_er"}


def protocol_title(protocol: str) -> str:
    """Name of a protocol, and what it asks of an encoder."""
    told = _PROTOCOLS.get(protocol)
    return f"Protocol {protocol}" + (f": {told}" if told else "")


def task_title(task: str) -> str:
    """The name of a task in a table; its own if the papers have none."""
    return _TASKS[task].title if task in _TASKS else task


def task_order(task: str) -> tuple[int, str]:
    """Sorting key: the papers' order, then the rest by name."""
    return _ORDER.get(task, len(_ORDER)), task


def task_group(task: str) -> str:
    """One of the groups above."""
    return _TASKS[task].group if task in _TASKS else OTHER


def metric_name(metric: str) -> str:
    """One name for what several tools call differently."""
    return _SAME_METRIC.get(metric, metric)


def metric_title(metric: str) -> str:
    """The name of a metric in a table."""
    return _METRIC_TITLES.get(metric, metric)


def is_share(metric: str) -> bool:
    """Whether the metric is a share in 0..1, to be shown in percent."""
    return metric not in _NOT_SHARES


def lower_is_better(metric: str) -> bool:
    """Whether it is an error."""
    return metric in LOWER_IS_BETTER
