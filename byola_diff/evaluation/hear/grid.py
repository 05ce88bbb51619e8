"""The hyper-parameters that HEAR tries for every task.

All combinations of the grid, in the order of scikit-learn's ParameterGrid (parameters by the names
they have in HEAR's kit, the last one varying fastest), are shuffled by Python's `random.Random(42)`
and the first 8 are tried. The kit shuffles by the global generator, seeded with 42 only on request.
"""

import itertools
import random
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from byola_diff.probing.protocols import Initialisation, ProbeSettings, TrainingRules

GridName = Literal["default", "fast", "faster"]
"""HEAR's, and its two smaller ones."""

T = TypeVar("T")
Several = Annotated[list[T], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


@with_config(ConfigDict(extra="forbid", strict=True))
class ParameterValues(TypedDict, total=False):
    """Values to try by the names of HEAR's kit, as in the `task_specific_param_grid` of a task."""

    batch_size: Several[Count]
    check_val_every_n_epoch: Several[Count]
    dropout: Several[Annotated[float, Field(ge=0, lt=1)]]
    hidden_dim: Several[Count]
    hidden_layers: Several[Annotated[int, Field(ge=0)]]
    initialization: Several[Literal["xavier_uniform", "xavier_normal"]]
    lr: Several[Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    max_epochs: Several[Count]
    patience: Several[Annotated[int, Field(ge=0)]]


_RENAMED = {
    "check_val_every_n_epoch": "check_every",
    "initialization": "initialisation",
    "lr": "learning_rate",
}
"""Fields of a `GridPoint` that are called otherwise in the kit."""

_DEFAULT: ParameterValues = {
    "batch_size": [1024],
    "check_val_every_n_epoch": [3],
    "dropout": [0.1],
    "hidden_dim": [1024],
    "hidden_layers": [1, 2],
    "initialization": ["xavier_uniform", "xavier_normal"],
    "lr": [3.2e-3, 1e-3, 3.2e-4, 1e-4],
    "max_epochs": [500],
    "patience": [20],
}

_GRIDS: dict[GridName, ParameterValues] = {
    "default": _DEFAULT,
    "fast": {**_DEFAULT, "max_epochs": [10, 50], "check_val_every_n_epoch": [3, 10]},
    "faster": {
        **_DEFAULT,
        "hidden_layers": [0, 1],
        "hidden_dim": [64, 128],
        "patience": [1, 3],
        "max_epochs": [10],
        "check_val_every_n_epoch": [1],
    },
}

# For tasks where looking at the validation part is slow, or frames are many.
_TASK_GRIDS: dict[str, ParameterValues] = {
    "dcase2016_task2": {"check_val_every_n_epoch": [10]},
    "maestro": {"check_val_every_n_epoch": [1], "max_epochs": [50]},
}


@dataclass(frozen=True)
class GridPoint:
    """One combination of hyper-parameters, by the names of `ProbeSettings` and `TrainingRules`."""

    learning_rate: float
    hidden_layers: int
    hidden_dim: int
    dropout: float
    initialisation: Initialisation
    batch_size: int
    max_epochs: int
    check_every: int
    patience: int

    def probe(self, seed: int) -> ProbeSettings:
        """What differs between probes that are trained together."""
        shape = (self.hidden_layers, self.hidden_dim, self.dropout, self.initialisation)
        return ProbeSettings(self.learning_rate, seed, *shape)

    def rules(self, shuffle: bool) -> TrainingRules:
        """What they share. Adam without weight decay; only a better look counts."""
        # A patience of 0 is that of 1, as in the kit.
        how = (self.batch_size, self.max_epochs, self.check_every, max(1, self.patience))
        return TrainingRules(*how, later_wins=False, shuffle=shuffle)


def hyperparameter_grid(
    name: GridName, task_name: str, overrides: ParameterValues, n_points: int = 8
) -> list[GridPoint]:
    """Up to `n_points` combinations, in the order they are tried.

    Values of the grid are replaced by those that some tasks have, and these by `overrides`, which
    are from the metadata of the task.
    """
    given: dict[str, Any] = {**_GRIDS[name], **_TASK_GRIDS.get(task_name, {}), **overrides}
    values = {_RENAMED.get(name, name): given[name] for name in sorted(given)}
    combinations = itertools.product(*values.values())
    points = [GridPoint(**dict(zip(values, each, strict=True))) for each in combinations]
    random.Random(42).shuffle(points)
    return points[:n_points]
