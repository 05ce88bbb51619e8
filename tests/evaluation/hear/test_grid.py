import random

import pytest
from sklearn.model_selection import ParameterGrid

from byola_diff.evaluation.hear.grid import hyperparameter_grid

# Protocol sheet, 6.6; by the names of the kit, whose other parameters have one value each.
DEFAULT = {
    "hidden_layers": [1, 2],
    "hidden_dim": [1024],
    "dropout": [0.1],
    "lr": [3.2e-3, 1e-3, 3.2e-4, 1e-4],
    "patience": [20],
    "max_epochs": [500],
    "check_val_every_n_epoch": [3],
    "batch_size": [1024],
    "initialization": ["xavier_uniform", "xavier_normal"],
}
FAST = DEFAULT | {"max_epochs": [10, 50], "check_val_every_n_epoch": [3, 10]}
FASTER = DEFAULT | {
    "hidden_layers": [0, 1],
    "hidden_dim": [64, 128],
    "patience": [1, 3],
    "max_epochs": [10],
    "check_val_every_n_epoch": [1],
}


def kit_order(grid, n_points=8):
    points = list(ParameterGrid(grid))
    random.Random(42).shuffle(points)
    return points[:n_points]


def in_kit_names(point):
    names = {
        "lr": "learning_rate",
        "initialization": "initialisation",
        "check_val_every_n_epoch": "check_every",
    }
    return {name: getattr(point, names.get(name, name)) for name in DEFAULT}


@pytest.mark.parametrize(
    ("name", "task", "grid"),
    [
        ("default", "esc50", DEFAULT),
        ("fast", "esc50", FAST),
        ("faster", "esc50", FASTER),
        ("default", "dcase2016_task2", DEFAULT | {"check_val_every_n_epoch": [10]}),
        ("default", "maestro", DEFAULT | {"check_val_every_n_epoch": [1], "max_epochs": [50]}),
    ],
)
def test_points_and_their_order_are_those_of_the_kit(name, task, grid):
    points = hyperparameter_grid(name, task, {})
    assert [in_kit_names(point) for point in points] == kit_order(grid)


def test_the_whole_grid_has_16_points():
    points = hyperparameter_grid("default", "esc50", {}, n_points=99)
    assert len(set(points)) == len(points) == 16
    assert hyperparameter_grid("default", "esc50", {}) == points[:8]


def test_metadata_goes_before_all_else():
    overrides = {"lr": [1.0, 2.0], "check_val_every_n_epoch": [2]}
    points = hyperparameter_grid("default", "dcase2016_task2", overrides, n_points=99)
    assert {point.learning_rate for point in points} == {1.0, 2.0}
    assert {point.check_every for point in points} == {2}


def test_a_patience_of_0_is_that_of_1_as_in_the_kit():
    [point] = hyperparameter_grid("default", "esc50", {"patience": [0]}, n_points=1)
    assert (point.patience, point.rules(shuffle=False).patience) == (0, 1)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rules_are_those_of_the_kit(shuffle):
    [point] = hyperparameter_grid("default", "esc50", {}, n_points=1)
    rules, probe = point.rules(shuffle), point.probe(seed=7)
    assert (rules.batch_size, rules.max_epochs, rules.check_every, rules.patience) == (
        1024,
        500,
        3,
        20,
    )
    assert rules.shuffle is shuffle
    assert not rules.later_wins
    assert not rules.divide_by_classes
    assert rules.weight_decay == 0
    assert (probe.seed, probe.hidden_dim, probe.dropout) == (7, 1024, 0.1)
    assert probe.learning_rate == point.learning_rate
    assert (probe.hidden_layers, probe.initialisation) == (
        point.hidden_layers,
        point.initialisation,
    )
