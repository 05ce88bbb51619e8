"""`task_metadata.json` of a HEAR task: what is predicted, on which splits, and the metrics."""

import itertools
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    with_config,
)
from typing_extensions import TypedDict

from byola_diff.evaluation.hear.events import DEFAULT_GRID, DETECTION, TASK_GRIDS, PostProcessing
from byola_diff.evaluation.hear.grid import ParameterValues, Several
from byola_diff.tables.validation import describe

SCENE_METRICS = ("top1_acc", "pitch_acc", "chroma_acc", "mAP", "d_prime", "aucroc")
EVENT_METRICS = (*DETECTION, "segment_1s_er")

Info = Any
"""pydantic's ValidationInfo, which is a protocol that can't be checked at run time."""

Milliseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class HearTaskError(ValueError):
    """A HEAR task that can't be used: which file, which entry, and why."""


def _without_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"has a name twice: {', '.join(names)}")
    return names


Text = Annotated[str, Field(min_length=1)]
Names = Annotated[
    tuple[str, ...], Field(min_length=1, strict=False), AfterValidator(_without_repeats)
]


@with_config(ConfigDict(extra="forbid", strict=True))
class _PostProcessingGrid(TypedDict):
    """Values whose combinations are the cells."""

    median_filter_ms: Several[Milliseconds]
    min_duration: Several[Milliseconds]


class _EvaluationParams(TypedDict, total=False):
    """What a task sets of the evaluation; more than this may stand there."""

    event_postprocessing_grid: _PostProcessingGrid | None
    task_specific_param_grid: ParameterValues


class TaskMetadata(BaseModel):
    """The part of the metadata that the evaluation depends on; a file has more than this."""

    model_config = ConfigDict(frozen=True, strict=True)

    task_name: Text
    version: Text
    mode: Text
    """How much of the corpus: full, 5h, 50h or small."""
    embedding_type: Literal["scene", "event"]
    prediction_type: Literal["multiclass", "multilabel"]
    split_mode: Literal["trainvaltest", "new_split_kfold", "presplit_kfold"]
    nfolds: int | None = None
    splits: Names
    """train, valid and test, or the folds, sorted."""
    metrics: Names = Field(alias="evaluation")
    """The first is the primary one."""
    evaluation_params: _EvaluationParams | None = None
    selects_by_score: bool = Field(True, alias="use_scoring_for_early_stopping")
    """Whether validation looks at the primary metric, or at the loss."""

    @property
    def name(self) -> str:
        """Task with version and mode, as its folder is called."""
        return f"{self.task_name}-{self.version}-{self.mode}"

    @property
    def post_processing(self) -> tuple[PostProcessing, ...]:
        """What there is to choose from, for events."""
        grid = (self.evaluation_params or {}).get("event_postprocessing_grid")
        if grid is None:
            return TASK_GRIDS.get(self.task_name, DEFAULT_GRID)
        cells = itertools.product(grid["median_filter_ms"], grid["min_duration"])
        return tuple(PostProcessing(median, least) for median, least in cells)

    @property
    def grid_overrides(self) -> ParameterValues:
        """Values of hyper-parameters in place of those of the grid."""
        return (self.evaluation_params or {}).get("task_specific_param_grid", {})

    @field_validator("prediction_type")
    @classmethod
    def _check_prediction(cls, kind: str, info: Info) -> str:
        if kind == "multiclass" and info.data.get("embedding_type") == "event":
            raise ValueError("events may overlap, so they must be multilabel")
        return kind

    @field_validator("splits")
    @classmethod
    def _check_splits(cls, splits: tuple[str, ...], info: Info) -> tuple[str, ...]:
        if odd := [each for each in splits if not re.fullmatch(r"[\w-]+", each)]:
            raise ValueError(f"{odd[0]!r} is no plain name")  # it is to be that of a file
        mode, n_folds = info.data.get("split_mode"), info.data.get("nfolds")
        if mode == "trainvaltest":
            if set(splits) != {"train", "valid", "test"}:
                raise ValueError(f"must be train, valid and test, not {', '.join(splits)}")
            return "train", "valid", "test"
        if mode and len(splits) < 3:
            raise ValueError("must be at least 3 folds, to train, select and test")
        if mode and n_folds not in (None, len(splits)):
            raise ValueError(f"'nfolds' is {n_folds}, but there are {len(splits)} splits")
        return tuple(sorted(splits))

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: tuple[str, ...], info: Info) -> tuple[str, ...]:
        kind = info.data.get("embedding_type")
        known = SCENE_METRICS if kind == "scene" else EVENT_METRICS
        if kind and (unknown := [metric for metric in metrics if metric not in known]):
            raise ValueError(
                f"unknown metric {unknown[0]!r} of a task of {kind}s, not one of {', '.join(known)}"
            )
        return metrics


def read_json_object(path: Path, kind: Any, context: Any = None) -> Any:
    """What a file with a JSON object says, of a kind whose validators are given a context.

    Raises:
        HearTaskError: If the file is missing, no such object or has a key twice, or if entries are
            missing, unknown or of a wrong type; names all of them.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_without_repeated_keys)
    except OSError as error:
        raise HearTaskError(f"{path}: unreadable: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HearTaskError(f"{path}: malformed JSON: {error}") from error
    if not isinstance(content, dict):
        raise HearTaskError(f"{path}: must hold a JSON object, not {type(content).__name__}")
    try:
        return TypeAdapter(kind).validate_python(content, context=context)
    except ValidationError as error:
        raise HearTaskError(describe(error, path)) from None


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} occurs twice")
    return content
