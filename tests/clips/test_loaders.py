"""How many loader processes there are, on machines of any number of cores."""

import pytest

from byola_diff.clips import loaders
from byola_diff.config import SourceConfig


@pytest.fixture
def machine(monkeypatch):
    """Makes the machine one of so many cores and GPUs."""

    def make(n_cores, n_gpus=0):
        monkeypatch.setattr(loaders, "usable_cores", lambda: n_cores)
        monkeypatch.setattr("torch.cuda.device_count", lambda: n_gpus)
        monkeypatch.setattr("torch.cuda.is_available", lambda: n_gpus > 0)

    return make


MIXED = (
    SourceConfig(source="folder", root="a", share=0.5),
    SourceConfig(source="procedural", share=0.5),
)
FOLDER, SHARDS = {"source": "folder", "root": "a"}, {"source": "shards", "root": "a"}
PROCEDURAL, MIX = {"source": "procedural"}, {"source": "folder", "sources": MIXED}


@pytest.mark.parametrize(
    ("data", "n_cores", "n_gpus", "devices", "expected"),
    [
        (FOLDER, 1, 0, 1, 0),
        (FOLDER, 2, 0, 1, 0),
        (FOLDER, 3, 0, 1, 2),
        (FOLDER, 64, 0, 1, 4),
        (FOLDER, 8, 0, 2, 4),
        (FOLDER, 4, 0, 2, 0),
        (FOLDER, 1, 1, "auto", 1),
        (FOLDER, 2, 1, "auto", 2),
        (FOLDER, 16, 8, "auto", 2),
        (SHARDS, 2, 0, 1, 0),
        # A device would not make these sounds to the same bits.
        (PROCEDURAL, 1, 0, 1, 1),
        (PROCEDURAL, 2, 0, 1, 2),
        (MIX, 1, 0, 4, 1),
    ],
)
def test_auto_by_hand(data, n_cores, n_gpus, devices, expected, small_config, tmp_path, machine):
    machine(n_cores, n_gpus)
    training = {"devices": devices, "accelerator": "auto" if n_gpus else "cpu"}
    config = small_config(tmp_path, data=data | {"num_workers": "auto"}, training=training)
    assert loaders.count_loaders(config) == expected


@pytest.mark.parametrize("given", [0, 1, 7])
def test_a_number_that_is_given_is_taken(given, small_config, tmp_path, machine):
    machine(2)
    config = small_config(tmp_path, data=FOLDER | {"num_workers": given})
    assert loaders.count_loaders(config) == given


@pytest.mark.parametrize("n_cores", [1, 2, 3, 4, 64])
def test_lanes_of_auto_are_those_of_four_on_any_machine(n_cores, small_config, tmp_path, machine):
    machine(n_cores)
    lanes = {}
    for number in ("auto", 4):
        training = {"devices": 2, "nodes": 3}
        config = small_config(tmp_path, data=SHARDS | {"num_workers": number}, training=training)
        lanes[number] = loaders.count_lanes(config)
    assert lanes == {"auto": 24, 4: 24}
