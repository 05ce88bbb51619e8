"""Clips in sequence from tar shards: each once in an epoch, and the same ones after a stop."""

import csv
import io
import os
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from byola_diff.clips import shards as module
from byola_diff.clips import tar_files
from byola_diff.clips.endless import MixedSource
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.open import open_source
from byola_diff.clips.shards import ShardSource
from byola_diff.clips.source import Rejection, TooManyRejectedError
from byola_diff.clips.tar_files import Shard, find_shards
from byola_diff.config import SourceConfig
from byola_diff.training import run_identity
from byola_diff.training.clip_module import StepBatches
from tests.clips.shard_maker import RATE, wav, write_shard, write_tar

CROP, N_SHARDS, N_CLIPS = 400, 6, 5


@pytest.fixture(autouse=True)
def counted_anew(monkeypatch):
    tar_files._counted.cache_clear()
    monkeypatch.setattr(tar_files, "_WAITS_S", ())


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


def test_other_sounds_in_shards_of_the_same_names_are_another_run(folder):
    before = open_shards(folder).identity()
    write_shard(folder / "part-03.tar", [16, 17, 18, 19, 21])
    tar_files._counted.cache_clear()
    other = open_shards(folder).identity()
    assert other != before
    assert other.startswith("30 clips in 6 tar shards, ")


def test_crops_are_new_in_each_epoch(tmp_path):
    content = io.BytesIO()
    soundfile.write(content, np.linspace(-1, 1, 30_000), RATE, format="WAV")
    write_tar(tmp_path / "a.tar", {"long.wav": content.getvalue()})
    source = open_shards(tmp_path, n_lanes=1)
    crops = source.batch(0, torch.arange(4))
    assert len({float(crop[0]) for crop in crops}) == 4
    torch.testing.assert_close(
        crops[:, 1:] - crops[:, :-1], torch.full((4, CROP - 1), 2 / 29_999), atol=1e-4, rtol=0
    )


def test_short_clips_are_padded(tmp_path):
    write_tar(tmp_path / "a.tar", {"a.wav": wav(500, n_samples=100)})
    waveform = open_shards(tmp_path, n_lanes=1).batch(0, torch.arange(1))
    assert (waveform[0, :100] == 0.5).all()
    assert waveform[0, 100:].count_nonzero() == 0


def test_what_cannot_be_decoded_is_noted_and_the_next_stands_in_the_same_after_a_stop(folder):
    write_shard(folder / "part-05.tar", [26, 27], {"bad.wav": b"no sound", "worse.flac": b""})
    source = open_shards(folder, n_lanes=1)
    whole = numbers(source, range(20))
    rejected = source.take_rejected()
    # Each once in an epoch, though one that stands in is looked at before its turn.
    assert sorted(rejection.file for rejection in rejected[:2]) == [
        "part-05.tar/bad.wav",
        "part-05.tar/worse.flac",
    ]
    assert source.take_rejected() == []
    assert set(whole) == set(range(1, 28))
    for epoch in (whole[:29], whole[29:58]):
        repeated = [place for place, (one, next_) in enumerate(pairwise(epoch)) if one == next_]
        assert 1 <= len(repeated) <= 2
    for start in range(20):
        assert numbers(open_shards(folder, n_lanes=1), range(start, 20)) == whole[3 * start :]


def test_a_batch_of_one_clip_that_cannot_be_decoded_stops_nothing(tmp_path):
    write_shard(tmp_path / "a.tar", [7], {"bad.wav": b"no sound"})
    source = open_shards(tmp_path, n_lanes=1, batch_size=1)
    assert numbers(source, range(8)) == [7] * 8
    assert len(source.take_rejected()) == 4


def test_too_many_broken_files_stop_the_run(folder, monkeypatch):
    monkeypatch.setattr(module, "_FEW", 10)
    write_shard(folder / "part-05.tar", [26], {f"bad{n}.wav": b"no sound" for n in range(3)})
    with pytest.raises(TooManyRejectedError, match=r"can't be .*, part-05\.tar/bad\d.wav last"):
        numbers(open_shards(folder, n_lanes=1), range(10))
    numbers(open_shards(folder, n_lanes=1, max_rejected=0.4), range(10))


def test_none_of_a_hundred_clips_in_a_row_stops_the_run(tmp_path):
    write_shard(tmp_path / "a.tar", [], {f"{n}.wav": b"no sound" for n in range(3)})
    with pytest.raises(TooManyRejectedError, match=r"100 clips in a row .* a\.tar/\d\.wav: unread"):
        numbers(open_shards(tmp_path, n_lanes=1, max_rejected=1.0), range(1))
    write_shard(tmp_path / "a.tar", [5], {f"{n}.wav": b"no sound" for n in range(60)})
    tar_files._counted.cache_clear()
    assert numbers(open_shards(tmp_path, n_lanes=1, max_rejected=1.0), range(5)) == [5] * 15


def test_shards_that_cannot_be_used_are_told(tmp_path, folder):
    with pytest.raises(ValueError, match="6 tar shards are fewer than the 7 parts"):
        open_shards(folder, n_lanes=7)
    write_shard(tmp_path / "part-03.tar", [], {"a.txt": b"words", "__meta__/b.wav": wav(1)})
    tar_files._counted.cache_clear()
    signed = Shard("https://mine.org/a.tar?signature", 0, "")
    with pytest.raises(ValueError, match=r"\Ahttps://mine\.org/a\.tar: a tar shard without"):
        ShardSource([signed], sample_rate=1, crop_samples=1, seed=0, batch_size=1, n_lanes=1)
    with pytest.raises(ValueError, match=r"part-03\.tar: a tar shard without any audio file"):
        open_shards(tmp_path)


def test_a_shard_that_is_cut_off_while_training_is_told_each_time(folder):
    source = open_shards(folder, n_lanes=1)
    for path in folder.glob("*.tar"):
        os.truncate(path, 3000)
    for _ in range(2):
        with pytest.raises(OSError, match=r"part-0\d.tar: unexpected end of data"):
            numbers(source, [0])


def test_names_that_are_no_unicode(tmp_path):
    files = {b"\xff.wav": wav(3), b"\xfe.wav": b"no sound"}
    write_tar(tmp_path / "a.tar", {os.fsdecode(name): files[name] for name in files})
    source = open_shards(tmp_path, n_lanes=1, batch_size=2)
    assert numbers(source, [0]) == [3, 3]
    assert source.take_rejected()[0].file == os.fsdecode(b"a.tar/\xfe.wav")


class Watched(ShardSource):
    """Tells with each batch which lanes this process has opened."""

    def take_rejected(self):
        return [Rejection(str(sorted(self._lanes)), "")]


def loaded(source, steps, n_workers, rank=0, world_size=1):
    batches = StepBatches(source, 5, source.batch_size, rank, world_size)
    loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=n_workers)
    return [(batch["waveform"], batch["rejected"][0].file) for batch in loader]


@pytest.mark.parametrize("start", [0, 5])
def test_each_loader_worker_of_each_process_reads_a_lane_of_its_own(folder, start):
    def make():
        sizes = {"sample_rate": RATE, "crop_samples": CROP, "seed": 4, "batch_size": 3}
        return Watched(find_shards(folder), n_lanes=4, **sizes)

    alone = make()
    expected = [alone.batch(0, torch.arange(3 * n, 3 * n + 3)) for n in range(2 * 12)]
    for rank in (0, 1):
        found = loaded(make(), range(start, 12), 2, rank, 2)
        for step, (waveform, _) in enumerate(found, start):
            assert torch.equal(waveform, expected[2 * step + rank])
        lanes = [lane for _, lane in found]
        assert {*lanes[::2]} == {f"[{(2 * start + rank) % 4}]"}
        assert {*lanes[1::2]} == {f"[{(2 * start + 2 + rank) % 4}]"}


@pytest.mark.parametrize("n_workers", [2, 1, 0])
def test_fewer_loader_workers_than_lanes_have_some_each_to_themselves(folder, n_workers):
    def make():
        sizes = {"sample_rate": RATE, "crop_samples": CROP, "seed": 4, "batch_size": 3}
        return Watched(find_shards(folder), n_lanes=4, **sizes)

    alone = make()
    found = loaded(make(), range(12), n_workers)
    for step, (waveform, _) in enumerate(found):
        assert torch.equal(waveform, alone.batch(0, torch.arange(3 * step, 3 * step + 3)))
    lanes = [lane for _, lane in found[-2:]]
    assert lanes == (["[0, 2]", "[1, 3]"] if n_workers == 2 else ["[0, 1, 2, 3]"] * 2)


def test_a_large_buffer_of_few_bytes():
    samples = [module._Sample("a", f"{n}", bytes(100), 0) for n in range(40)]
    given = []

    def watched():
        for number, sample in enumerate(samples):
            given.append(number)
            yield sample

    def order(most, most_bytes, seed=0):
        return module._shuffled(watched(), most, most_bytes, random.Random(seed))

    next(order(10, 10**6))
    assert len(given) == 11
    given.clear()
    next(order(10, 450))
    assert len(given) == 5
    given.clear()
    next(order(10, 50))  # one alone has more
    assert len(given) == 1
    for most_bytes in (10**6, 450, 50):
        names = [sample.name for sample in order(10, most_bytes)]
        assert sorted(names, key=int) == [sample.name for sample in samples]
        assert names == [sample.name for sample in order(10, most_bytes)]
        assert (names == [sample.name for sample in order(10, most_bytes, 1)]) == (most_bytes == 50)


def mixed(shards, folder, share=0.25, **settings):
    sizes = {"sample_rate": RATE, "crop_samples": CROP, "seed": 4}
    sources = [open_shards(shards, 1, **settings), FolderSource(folder, **sizes)]
    return MixedSource(sources, [share, 1 - share], 9)


@pytest.fixture
def quiet(tmp_path):
    """A folder of sounds below those of shards."""
    (tmp_path / "quiet").mkdir()
    for number in range(4):
        level = np.full(600, -number / 1000)
        soundfile.write(tmp_path / "quiet" / f"{number}.wav", level, RATE)
    return tmp_path / "quiet"


def test_one_bad_file_of_a_hundred_stops_no_mix(tmp_path, quiet):
    write_shard(tmp_path / "a.tar", range(1, 100), {"bad.wav": b"no sound"})
    source, found = mixed(tmp_path, quiet, share=0.5), []
    for step in range(120):  # with one clip or two, or none, of the shard
        waveform = source.batch(0, torch.arange(2 * step, 2 * step + 2))
        found += [round(1000 * value) for value in waveform[:, 0].tolist() if value > 0]
    assert len(set(found)) == 99
    assert {rejection.file for rejection in source.take_rejected()} == {"sources[0]/a.tar/bad.wav"}


def test_a_mix_asks_again_for_second_views_and_shards_are_read_once(folder, quiet, monkeypatch):
    source, opened = mixed(folder, quiet), []
    monkeypatch.setattr(
        module, "read_clips", lambda shard: opened.append(shard) or tar_files.read_clips(shard)
    )
    shards, other = source.sources
    monkeypatch.setattr(other, "second_batch", other.batch, raising=False)
    for step in range(4):
        clips = torch.arange(16 * step, 16 * step + 16)
        first = source.batch(0, clips)
        kept = first.clone()
        first.zero_()
        second = source.second_batch(0, clips)
        assert torch.equal(second, kept)
    assert len(opened) <= N_SHARDS
    once = shards.batch(0, torch.arange(3))
    once.zero_()
    assert shards.batch(0, torch.arange(3)).count_nonzero() > 0


def test_a_mix_is_the_same_for_any_number_of_workers(small_config, folder, quiet, tmp_path):
    def batches(num_workers):
        parts = (
            SourceConfig(source="shards", root=str(folder / "part-0{0..5}.tar"), share=0.5),
            SourceConfig(source="folder", root=quiet, share=0.5),
        )
        data = {"source": "folder", "sources": parts, "num_workers": num_workers}
        source = open_source(small_config(tmp_path, data=data), "cpu")
        steps = StepBatches(source, 42, 4, 0, 1)
        loader = DataLoader(steps, batch_size=None, sampler=range(8), num_workers=num_workers)
        return torch.stack([batch["waveform"] for batch in loader])

    assert torch.equal(batches(0), batches(2))


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_goes_on_after_a_stop_as_if_there_had_been_none(
    num_workers, folder, small_config, pretrain, tmp_path_factory
):
    def run(out, steps, resume="no"):
        data = {"source": "shards", "root": folder, "statistics_clips": 8}
        data["num_workers"] = num_workers
        return pretrain(small_config(out, data=data, training={"steps": steps}), resume)

    at_once, stopped = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    expected = run(at_once, 6)
    run(stopped, 3)
    actual = run(stopped, 6, "auto")
    for name, value in expected.pair.state_dict().items():
        assert torch.equal(actual.pair.state_dict()[name], value), name


def rejected_of(out):
    with (out / "rejected.csv").open(newline="") as file:
        return [row["file"] for row in csv.DictReader(file)]


def test_a_bad_file_of_a_shard_is_listed_in_the_run(small_config, pretrain, tmp_path):
    write_shard(tmp_path / "a.tar", range(1, 21), {"bad.wav": b"no sound"})
    out = tmp_path / "run"
    data = {"source": "shards", "root": tmp_path, "statistics_clips": 21}
    # Met while statistics are computed, and again, without a second row, by the steps.
    pretrain(small_config(out, data=data, training={"steps": 6}))
    assert rejected_of(out) == ["a.tar/bad.wav"]
    (out / "rejected.csv").unlink()
    pretrain(small_config(out, data=data, training={"steps": 12}), "auto")
    assert rejected_of(out) == ["a.tar/bad.wav"]


def test_bad_files_of_shards_are_not_counted_against_those_of_a_folder(
    folder, quiet, small_config, pretrain, tmp_path_factory
):
    # Two of 60, but more than a twentieth of the folder.
    for number in range(10):
        noise = np.random.default_rng(number).normal(0, 0.1, 600)
        soundfile.write(quiet / f"{number}.wav", noise, RATE)
    bad = {"bad.wav": b"no sound", "worse.wav": b""}
    write_shard(folder / "part-00.tar", range(1, 24), bad)
    parts = (
        SourceConfig(source="shards", root=folder, share=0.5),
        SourceConfig(source="folder", root=quiet, share=0.5),
    )
    out = tmp_path_factory.mktemp("run")
    data = {"source": "folder", "sources": parts, "statistics_clips": 130}
    pretrain(small_config(out, data=data, training={"steps": 2}))
    files = ["sources[0]/part-00.tar/bad.wav", "sources[0]/part-00.tar/worse.wav"]
    assert sorted(rejected_of(out)) == files


def test_statistics_take_one_pass_over_the_shards(small_config, tmp_path):
    for name, numbers_of in (("a", range(1, 71)), ("b", range(71, 101))):
        write_shard(tmp_path / f"{name}.tar", numbers_of)
    config = small_config(tmp_path / "run", data={"statistics_clips": 10_000})
    source, read = open_shards(tmp_path, n_lanes=1, crop_samples=config.unit_samples), []
    crop = source._crop
    source._crop = lambda clip: read.append(clip) or crop(clip)
    run_identity.compute_statistics(config, source)
    assert read == list(range(100))  # not ten thousand, a hundred times each clip


def test_statistics_hold_one_buffer_whatever_the_number_of_workers(
    folder, small_config, tmp_path_factory, monkeypatch
):
    lanes = set()
    begin = module._Lane.__init__
    monkeypatch.setattr(
        module._Lane, "__init__", lambda s, *of: begin(s, *of) or lanes.add((of[0].n_lanes, of[1]))
    )
    found = []
    for num_workers in (0, 3):
        data = {"source": "shards", "root": folder, "num_workers": num_workers}
        config = small_config(tmp_path_factory.mktemp("run"), data=data)
        found.append(run_identity.statistics_of_run(config, None))
    assert lanes == {(1, 0)}
    assert found[0] == found[1]
