"""The hyper-parameters that HEAR tries for every task.

All combinations of the grid, in the order of scikit-learn's ParameterGrid (parameters by the names
they have in HEAR's kit, the last one varying fastest), are shuffled by Python's `random.Random(42)`
and the first 8 are tried. The kit shuffles by the global generator, seeded with 42 only on request.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from byola_diff.probing.settings import Initialisation, ProbeSettings, TrainingRules

GridName = Literal["default", "fast", "faster"]

_SHUFFLE_SEED = 42

# By the names of the kit, which the metadata of a task uses too; sorted, as ParameterGrid does.
_FIELDS = {
    "batch_size": "batch_size",
    "check_val_every_n_epoch": "check_every",
    "dropout": "dropout",
    "hidden_dim": "hidden_dim",
    "hidden_layers": "hidden_layers",
    "initialization": "initialisation",
    "lr": "learning_rate",
    "max_epochs": "max_epochs",
    "patience": "patience",
}

_DEFAULT: dict[str, Sequence[Any]] = {
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

_GRIDS: dict[GridName, dict[str, Sequence[Any]]] = {
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

# Of the tasks where looking at the validation part is slow, or frames are many.
_TASK_GRIDS: dict[str, dict[str, Sequence[Any]]] = {
    "dcase2016_task2": {"check_val_every_n_epoch": [10]},
    "maestro": {"check_val_every_n_epoch": [1], "max_epochs": [50]},
}


@dataclass(frozen=True)
class GridPoint:
    """One combination of hyper-parameters."""

    learning_rate: float
    hidden_layers: int
    hidden_dim: int
    dropout: float
    initialisation: Initialisation
    batch_size: int
    max_epochs: int
    check_every: int
    """Epochs between looks at the validation part."""
    patience: int
    """Looks without improvement after which training stops."""

    def probe(self, seed: int) -> ProbeSettings:
        """What differs between probes that are trained together."""
        return ProbeSettings(
            learning_rate=self.learning_rate,
            seed=seed,
            hidden_layers=self.hidden_layers,
            hidden_dim=self.hidden_dim,
            dropout=self.dropout,
            initialisation=self.initialisation,
        )

    def rules(self, shuffle: bool) -> TrainingRules:
        """What they share. Adam without weight decay; only a better look counts."""
        return TrainingRules(
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            check_every=self.check_every,
            patience=self.patience,
            later_wins=False,
            weight_decay=0.0,
            shuffle=shuffle,
        )

    def settings(self) -> dict[str, Any]:
        """Plain values, for records."""
        return asdict(self)


def hyperparameter_grid(
    name: GridName,
    task_name: str,
    overrides: Mapping[str, Sequence[Any]],
    n_points: int = 8,
) -> list[GridPoint]:
    """Up to `n_points` combinations, in the order they are tried.

    Args:
        name: "default" is HEAR's; "fast" and "faster" are its smaller ones.
        task_name: Some tasks have values of their own.
        overrides: Values from the metadata of the task, which go before all others.
        n_points: How many to try.

    Raises:
        ValueError: If there is nothing to try.
    """
    if n_points < 1:
        raise ValueError(f"at least one grid point must be tried, not {n_points}")
    values = {**_GRIDS[name], **_TASK_GRIDS.get(task_name, {}), **overrides}
    combinations = itertools.product(*(values[parameter] for parameter in _FIELDS))
    points = [
        GridPoint(**dict(zip(_FIELDS.values(), combination, strict=True)))
        for combination in combinations
    ]
    random.Random(_SHUFFLE_SEED).shuffle(points)
    return points[:n_points]


def checked_overrides(entry: Any) -> dict[str, list[Any]]:
    """`task_specific_param_grid`, as in task_metadata.json.

    Raises:
        ValueError: If a parameter is unknown, or has no list of values of its kind.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"'task_specific_param_grid' must be an object, not {entry!r}")
    checked = {}
    for parameter, values in entry.items():
        where = f"'task_specific_param_grid': {parameter!r}"
        if parameter not in _FIELDS:
            raise ValueError(f"{where} is none of {', '.join(_FIELDS)}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where} must be a list of values, not {values!r}")
        checked[parameter] = [_value(where, parameter, value) for value in values]
    return checked


def _value(where: str, parameter: str, value: Any) -> Any:
    example = _DEFAULT[parameter][0]
    if parameter == "initialization":
        if value not in _DEFAULT[parameter]:
            raise ValueError(f"{where} must be one of {_DEFAULT[parameter]}, not {value!r}")
        return value
    kinds = (int, float) if isinstance(example, float) else int
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{where} must be a number like {example}, not {value!r}")
    return type(example)(value)
