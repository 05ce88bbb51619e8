import dataclasses

import pytest
import torch

from byola_diff.clips.endless import ProceduralSource
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.open import open_source
from byola_diff.clips.stored import PackedSource, ResidentSource
from byola_diff.config import FrontEndConfig


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("procedural", ProceduralSource),
        ("folder", FolderSource),
        ("packed", PackedSource),
        ("resident", ResidentSource),
    ],
)
def test_source_of_each_kind(source, kind, small_config, sounds, store, tmp_path):
    root = {"procedural": None, "folder": sounds}.get(source, store.path)
    config = small_config(tmp_path, data={"source": source, "root": root})
    built = open_source(config, "cpu")
    assert isinstance(built, kind)
    assert built.sample_rate == 16_000
    assert built.batch(0, torch.arange(2), "cpu").shape == (2, 5120)


def test_root_that_is_not_there(small_config, tmp_path):
    root = tmp_path / "nowhere"
    config = small_config(tmp_path, data={"source": "folder", "root": root})
    with pytest.raises(FileNotFoundError, match=rf"data\.root {root} does not exist"):
        open_source(config, "cpu")


def test_store_of_another_rate(small_config, store, tmp_path):
    config = dataclasses.replace(
        small_config(tmp_path, data={"source": "packed", "root": store.path}),
        front_end=FrontEndConfig(sample_rate=8000, f_max_hz=3900.0),
    )
    with pytest.raises(ValueError, match=r"at 16000 Hz, .* is 8000: .*--sample-rate 8000"):
        open_source(config, "cpu")
