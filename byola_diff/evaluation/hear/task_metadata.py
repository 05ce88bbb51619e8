"""`task_metadata.json` of a HEAR task: what is predicted, on which splits, and the metrics."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from byola_diff.evaluation.hear.events import (
    DEFAULT_GRID,
    TASK_GRIDS,
    PostProcessing,
    grid_from_metadata,
)
from byola_diff.evaluation.hear.grid import checked_overrides

EmbeddingType = Literal["scene", "event"]
PredictionType = Literal["multiclass", "multilabel"]
SplitMode = Literal["trainvaltest", "new_split_kfold", "presplit_kfold"]

SCENE_METRICS = ("top1_acc", "pitch_acc", "chroma_acc", "mAP", "d_prime", "aucroc")
EVENT_METRICS = (
    "event_onset_200ms_fms",
    "event_onset_50ms_fms",
    "event_onset_offset_50ms_20perc_fms",
    "segment_1s_er",
)


class HearTaskError(ValueError):
    """A HEAR task that can't be used: which file, which entry, and why."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class TaskMetadata:
    """The part of the metadata that the evaluation depends on."""

    task_name: str
    version: str
    mode: str
    """How much of the corpus: full, 5h, 50h or small."""
    embedding_type: EmbeddingType
    prediction_type: PredictionType
    split_mode: SplitMode
    splits: tuple[str, ...]
    """train, valid and test, or the folds, sorted."""
    metrics: tuple[str, ...]
    """The first is the primary one."""
    post_processing: tuple[PostProcessing, ...]
    """To choose from, for events."""
    selects_by_score: bool
    """Whether validation looks at the primary metric, or at the loss."""
    grid_overrides: Mapping[str, Sequence[Any]]
    """Values of hyper-parameters by the names of HEAR's kit, in place of those of the grid."""

    @property
    def name(self) -> str:
        """Task with version and mode, as its folder is called."""
        return f"{self.task_name}-{self.version}-{self.mode}"


def read_metadata(path: Path) -> TaskMetadata:
    """The metadata, checked.

    Raises:
        HearTaskError: If the file is missing or malformed, or entries are missing or unknown;
            names all that are missing or of a wrong type.
    """
    entries = read_json_object(path)
    try:
        return _metadata(entries)
    except ValueError as error:
        raise HearTaskError(path, str(error)) from None


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object without repeated keys.

    Raises:
        HearTaskError: If the file is missing, or no such object.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise HearTaskError(path, f"unreadable: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HearTaskError(path, f"malformed JSON: {error}") from error
    if not isinstance(content, dict):
        raise HearTaskError(path, f"must hold a JSON object, not {type(content).__name__}")
    return content


def _metadata(entries: Mapping[str, Any]) -> TaskMetadata:
    _check_types(entries)
    name = entries["task_name"]
    embedding_type, prediction_type = entries["embedding_type"], entries["prediction_type"]
    split_mode = entries["split_mode"]
    if embedding_type == "event" and prediction_type == "multiclass":
        raise ValueError("'prediction_type': events may overlap, so they must be multilabel")
    params = entries.get("evaluation_params") or {}
    grid = params.get("event_postprocessing_grid")
    default_grid = TASK_GRIDS.get(name, DEFAULT_GRID)
    return TaskMetadata(
        task_name=name,
        version=entries["version"],
        mode=entries["mode"],
        embedding_type=embedding_type,
        prediction_type=prediction_type,
        split_mode=split_mode,
        splits=_splits(entries, split_mode),
        metrics=_metrics(entries, embedding_type),
        post_processing=default_grid if grid is None else grid_from_metadata(grid),
        selects_by_score=entries.get("use_scoring_for_early_stopping", True),
        grid_overrides=checked_overrides(params.get("task_specific_param_grid", {})),
    )


def _check_types(entries: Mapping[str, Any]) -> None:
    """Refuse missing keys and values of a wrong type, all of them in one error."""
    missing = [repr(key) for key in _REQUIRED if key not in entries]
    problems = [f"lacks {', '.join(missing)}"] if missing else []
    for key, check in (_REQUIRED | _OPTIONAL).items():
        try:
            if key in entries:
                check(key, entries[key])
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))


def _splits(entries: Mapping[str, Any], split_mode: SplitMode) -> tuple[str, ...]:
    splits = tuple(entries["splits"])
    if split_mode == "trainvaltest":
        if set(splits) != {"train", "valid", "test"}:
            raise ValueError(f"'splits' must be train, valid and test, not {splits}")
        return "train", "valid", "test"
    if len(splits) < 3:
        raise ValueError(f"'splits' must be at least 3 folds, to train, select and test: {splits}")
    if len(splits) != entries.get("nfolds", len(splits)):
        raise ValueError(f"'nfolds' is {entries['nfolds']}, but there are {len(splits)} 'splits'")
    return tuple(sorted(splits))


def _metrics(entries: Mapping[str, Any], embedding_type: EmbeddingType) -> tuple[str, ...]:
    metrics = tuple(entries["evaluation"])
    known = SCENE_METRICS if embedding_type == "scene" else EVENT_METRICS
    if unknown := [metric for metric in metrics if metric not in known]:
        raise ValueError(
            f"'evaluation': unknown metric {unknown[0]!r} of a task of {embedding_type}s, "
            f"not one of {', '.join(known)}"
        )
    return metrics


def _check_text(key: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key!r} must be a text, not {value!r}")


def _check_texts(key: str, values: Any) -> None:
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{key!r} must be a list of names, not {values!r}")
    if len(set(values)) < len(values):
        raise ValueError(f"{key!r} has a name twice: {values}")


def _check_choice(key: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{key!r} must be one of {', '.join(allowed)}, not {value!r}")


def _check_flag(key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{key!r} must be true or false, not {value!r}")


def _check_object(key: str, value: Any) -> None:
    if value and not isinstance(value, dict):
        raise ValueError(f"{key!r} must be an object, not {value!r}")


_REQUIRED: dict[str, Callable[[str, Any], None]] = {
    "task_name": _check_text,
    "version": _check_text,
    "mode": _check_text,
    "embedding_type": partial(_check_choice, allowed=get_args(EmbeddingType)),
    "prediction_type": partial(_check_choice, allowed=get_args(PredictionType)),
    "split_mode": partial(_check_choice, allowed=get_args(SplitMode)),
    "splits": _check_texts,
    "evaluation": _check_texts,
}
_OPTIONAL: dict[str, Callable[[str, Any], None]] = {
    "evaluation_params": _check_object,
    "use_scoring_for_early_stopping": _check_flag,
}


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} occurs twice")
    return content
