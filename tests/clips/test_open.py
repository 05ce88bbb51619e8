import dataclasses

import pytest
import torch

from byola_diff.clips.endless import ProceduralSource
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.open import count_files, identify_clips, open_source
from byola_diff.clips.shards import ShardSource
from byola_diff.clips.stored import PackedSource, ResidentSource
from byola_diff.config import FrontEndConfig, SourceConfig
from tests.clips.shard_maker import write_shard


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


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "tar").mkdir()
    for number in range(8):
        write_shard(tmp_path / "tar" / f"{number}.tar", range(1, 4))
    return tmp_path / "tar"


def test_shards_are_divided_among_the_loader_processes_of_the_run(small_config, shards, tmp_path):
    def lanes(n_lanes=None, **data):
        training = {"devices": 2, "nodes": 2}
        data = {"source": "shards", "root": shards, "num_workers": 2} | data
        source = open_source(small_config(tmp_path, data=data, training=training), "cpu", n_lanes)
        assert isinstance(source, ShardSource)
        return source.n_lanes

    assert lanes() == 8
    assert lanes(num_workers=0) == 4
    assert lanes(n_lanes=1) == 1
    with pytest.raises(ValueError, match="8 tar shards are fewer than the 12 parts"):
        lanes(num_workers=3)


def test_in_a_mix_shards_are_not_divided(small_config, shards, sounds, tmp_path):
    parts = [(shards, "shards", 0.5), (sounds, "folder", 0.5)]
    sources = tuple(SourceConfig(root=root, source=kind, share=by) for root, kind, by in parts)
    data = {"source": "folder", "sources": sources, "num_workers": 20}
    config = small_config(tmp_path, data=data)
    assert open_source(config, "cpu").sources[0].n_lanes == 1
    assert identify_clips(config)[0].endswith("read by 1 in batches of 4")


@pytest.mark.parametrize(
    ("kind", "expected"), [("shards", 24), ("folder", 10), ("packed", 0), ("procedural", 0)]
)
def test_files_that_may_turn_out_unreadable(
    kind, expected, small_config, shards, sounds, store, tmp_path
):
    root = {"shards": shards, "folder": sounds, "packed": store.path}.get(kind)
    part = SourceConfig(source=kind, root=root, share=0.5)
    rest = SourceConfig(source="folder", root=sounds, share=0.5)
    alone = small_config(tmp_path, data={"source": kind, "root": root})
    assert count_files(alone) == expected
    both = small_config(tmp_path, data={"source": "folder", "sources": (part, rest)})
    assert count_files(both) == expected + 10
