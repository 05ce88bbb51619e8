"""Clips in sequence from tar shards: each once in an epoch, and the same ones after a stop."""

import io
import pickle
import tarfile
from itertools import pairwise
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
import torch

from byola_diff.clips.shards import Shard, ShardSource, _count_clips, find_shards
from byola_diff.clips.source import TooManyRejectedError
from tests.conftest import SMALL

RATE, CROP, N_SHARDS, N_CLIPS = 16_000, 400, 6, 5


def wav(number, n_samples=600):
    """All samples of clip k are k / 1000."""
    content = io.BytesIO()
    soundfile.write(content, np.full(n_samples, number / 1000), RATE, format="WAV")
    return content.getvalue()


def write_tar(stream, files):
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_shard(path, numbers, extra=None):
    files = {f"{number:03d}.wav": wav(number) for number in numbers}
    files |= {f"{number:03d}.json": b"{}" for number in numbers}
    with path.open("wb") as stream:
        write_tar(stream, files | (extra or {}))


@pytest.fixture(autouse=True)
def counted_anew():
    _count_clips.cache_clear()


@pytest.fixture
def folder(tmp_path):
    for shard in range(N_SHARDS):
        numbers = range(1 + shard * N_CLIPS, 1 + (shard + 1) * N_CLIPS)
        write_shard(tmp_path / f"part-{shard:02d}.tar", numbers)
    return tmp_path


def open_shards(folder, n_lanes=2, batch_size=3, **settings):
    sizes = {"sample_rate": RATE, "crop_samples": CROP, "seed": 4, "shuffled": 4}
    settings = {"batch_size": batch_size, "n_lanes": n_lanes, **sizes, **settings}
    return ShardSource(find_shards(folder), **settings)


def numbers(source, batches):
    """Numbers of the clips of some batches of the stream."""
    found = []
    for batch in batches:
        clips = torch.arange(batch * source.batch_size, (batch + 1) * source.batch_size)
        waveform = source.batch(0, clips)
        assert waveform.shape == (source.batch_size, CROP)
        assert (waveform == waveform[:, :1]).all()
        found += [round(1000 * value) for value in waveform[:, 0].tolist()]
    return found


def test_each_clip_once_in_an_epoch_of_a_lane_and_none_in_two_lanes(folder):
    # 3 shards of 5 clips to a lane: 5 batches of 3.
    source = open_shards(folder)
    lanes = [numbers(source, range(lane, 10, 2)) for lane in (0, 1)]
    assert all(len(set(lane)) == 15 for lane in lanes)
    assert sorted(lanes[0] + lanes[1]) == list(range(1, 31))


def test_clips_are_shuffled_within_and_between_shards_anew_in_each_epoch(folder):
    source = open_shards(folder, n_lanes=1)
    first, second = numbers(source, range(10)), numbers(source, range(10, 20))
    assert sorted(first) == sorted(second) == list(range(1, 31))
    assert first != second
    shards = [(number - 1) // N_CLIPS for number in first]
    assert first != sorted(first)
    assert sum(a != b for a, b in pairwise(shards)) > N_SHARDS


def test_neighbours_change_in_each_epoch_also_within_a_shard(tmp_path):
    write_shard(tmp_path / "a.tar", range(1, 13))
    source = open_shards(tmp_path, n_lanes=1)
    first, second = numbers(source, range(4)), numbers(source, range(4, 8))
    assert sorted(first) == sorted(second) == list(range(1, 13))
    assert first != second


def test_shards_come_in_another_order_in_each_epoch(folder):
    source = open_shards(folder, n_lanes=1, shuffled=1)
    first, second = numbers(source, range(10)), numbers(source, range(10, 20))
    assert first[:2] != second[:2]
    orders = [[number // N_CLIPS for number in np.array(epoch) - 1] for epoch in (first, second)]
    assert orders[0] != orders[1]


def test_batches_are_the_same_from_any_place(folder):
    whole = numbers(open_shards(folder), range(24))
    for start in (0, 1, 7, 13, 20):
        assert numbers(open_shards(folder), range(start, 24)) == whole[3 * start :]
    source = open_shards(folder)
    for batch in (5, 11, 5, 2):
        assert numbers(source, [batch]) == whole[3 * batch : 3 * batch + 3]


def test_another_process_reads_the_same(folder):
    source = open_shards(folder)
    first = numbers(source, range(4))
    assert numbers(pickle.loads(pickle.dumps(source)), range(4)) == first


def test_seed_and_lanes_make_another_order_and_the_latter_another_run(folder):
    whole = numbers(open_shards(folder), range(10))
    assert numbers(open_shards(folder, seed=5), range(10)) != whole
    assert numbers(open_shards(folder, n_lanes=1), range(10)) != whole
    identities = [open_shards(folder, n_lanes=n).identity() for n in (1, 2)]
    assert identities[0] != identities[1]
    assert identities[0].startswith("30 clips in 6 tar shards, SHA-256 ")
    assert identities[0].endswith("read by 1 in batches of 3")


def test_crops_are_new_in_each_epoch(tmp_path):
    content = io.BytesIO()
    soundfile.write(content, np.linspace(-1, 1, 30_000), RATE, format="WAV")
    with (tmp_path / "a.tar").open("wb") as stream:
        write_tar(stream, {"long.wav": content.getvalue()})
    source = open_shards(tmp_path, n_lanes=1)
    crops = source.batch(0, torch.arange(4))
    assert len({float(crop[0]) for crop in crops}) == 4
    torch.testing.assert_close(
        crops[:, 1:] - crops[:, :-1], torch.full((4, CROP - 1), 2 / 29_999), atol=1e-4, rtol=0
    )


def test_short_clips_are_padded(tmp_path):
    with (tmp_path / "a.tar").open("wb") as stream:
        write_tar(stream, {"a.wav": wav(500, n_samples=100)})
    waveform = open_shards(tmp_path, n_lanes=1).batch(0, torch.arange(1))
    assert (waveform[0, :100] == 0.5).all()
    assert waveform[0, 100:].count_nonzero() == 0


def test_urls_and_braces(folder):
    files = fsspec.filesystem("memory")
    for path in sorted(folder.glob("*.tar")):
        files.pipe(f"/bucket/{path.name}", path.read_bytes())
    # As a configuration has it: a path, which keeps but one of two slashes.
    remote = find_shards(Path("memory://bucket/part-{00..05}.tar"))
    assert [shard.url for shard in remote] == [
        f"memory://bucket/part-{n:02d}.tar" for n in range(6)
    ]
    here = find_shards(folder / "part-{00..05}.tar")
    assert [shard.n_clips for shard in here] == [shard.n_clips for shard in remote] == [5] * 6
    settings = {"sample_rate": RATE, "crop_samples": CROP, "seed": 4, "batch_size": 3, "n_lanes": 2}
    sources = [ShardSource(shards, **settings) for shards in (remote, here)]
    assert numbers(sources[0], range(6)) == numbers(sources[1], range(6))
    assert sources[0].identity() == sources[1].identity()


def test_what_cannot_be_decoded_is_noted_and_replaced_the_same_after_a_stop(folder):
    write_shard(folder / "part-05.tar", [26, 27], {"bad.wav": b"no sound", "worse.flac": b""})
    source = open_shards(folder, n_lanes=1)
    whole = numbers(source, range(10))
    rejected = source.take_rejected()
    assert {rejection.file for rejection in rejected} == {"bad.wav", "worse.flac"}
    assert source.take_rejected() == []
    assert set(whole) <= set(range(1, 28))
    for start in range(10):
        assert numbers(open_shards(folder, n_lanes=1), range(start, 10)) == whole[3 * start :]


def test_too_many_broken_files_stop_the_run(folder, monkeypatch):
    monkeypatch.setattr("byola_diff.clips.shards._FEW", 10)
    write_shard(folder / "part-05.tar", [26], {f"bad{n}.wav": b"no sound" for n in range(3)})
    with pytest.raises(TooManyRejectedError, match=r"clips can't be decoded, bad\d.wav last"):
        numbers(open_shards(folder, n_lanes=1), range(10))


def test_a_batch_without_any_clip_stops_the_run(tmp_path):
    write_shard(tmp_path / "a.tar", [], {f"{n}.wav": b"no sound" for n in range(3)})
    with pytest.raises(TooManyRejectedError, match="none of 3 clips"):
        numbers(open_shards(tmp_path, n_lanes=1), range(1))


def test_shards_that_cannot_be_used_are_told(tmp_path, folder):
    with pytest.raises(ValueError, match="6 tar shards are fewer than the 7 loader processes"):
        open_shards(folder, n_lanes=7)
    with pytest.raises(FileNotFoundError, match="no tar files"):
        find_shards(make_empty(tmp_path))
    (tmp_path / "part-00.tar").write_bytes(b"not a tar" * 200)
    _count_clips.cache_clear()
    with pytest.raises(OSError, match=r"part-00\.tar: no uncompressed tar file"):
        find_shards(tmp_path)


def make_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_a_shard_without_audio_is_told(tmp_path):
    write_shard(tmp_path / "a.tar", [], {"a.txt": b"words", "__meta__/b.wav": wav(1)})
    with pytest.raises(ValueError, match="a tar shard holds no audio file"):
        open_shards(tmp_path, n_lanes=1)


def test_a_shard_that_has_changed_since_it_was_counted_is_told(folder):
    shards = [Shard(shard.url, 6) for shard in find_shards(folder)]
    source = ShardSource(
        shards, sample_rate=RATE, crop_samples=CROP, seed=4, batch_size=3, n_lanes=1, shuffled=2
    )
    with pytest.raises(OSError, match=r"part-0\d.tar: 5 clips, of which 6 were counted"):
        numbers(source, range(10))


def test_a_shard_cut_off_while_training_is_told(folder):
    source = open_shards(folder, n_lanes=1)
    for path in folder.glob("*.tar"):
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"part-0\d.tar: unexpected end of data"):
        numbers(source, range(10))


def test_training_goes_on_after_a_stop_as_if_there_had_been_none(
    folder, small_config, pretrain, tmp_path_factory
):
    def run(out, steps, resume="no"):
        data = SMALL["data"] | {"source": "shards", "root": folder, "statistics_clips": 8}
        return pretrain(small_config(out, data=data, training={"steps": steps}), resume)

    at_once, stopped = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    expected = run(at_once, 6)
    run(stopped, 3)
    actual = run(stopped, 6, "auto")
    for name, value in expected.pair.state_dict().items():
        assert torch.equal(actual.pair.state_dict()[name], value), name
