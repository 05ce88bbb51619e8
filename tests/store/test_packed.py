import gc
import json
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.store import packed
from byola_diff.store.description import PackedStoreError
from byola_diff.store.packed import PackedStore
from tests.store.store_maker import RATE, files_of, pack, write_sounds, write_synthetic_store


def test_clips_are_the_files(store, tmp_path):
    assert files_of(store) == [f"{number:03d}.wav" for number in range(5)]
    assert len(store) == 5
    for clip, file in enumerate(files_of(store)):
        samples, _ = soundfile.read(tmp_path / "source" / file, dtype="int16")
        np.testing.assert_array_equal(store.read(clip), samples)
    np.testing.assert_array_equal(store.read(3, 7, 11), store.read(3)[7:18])


def test_several_shards_hold_the_same(tmp_path):
    source = write_sounds(tmp_path / "source", [200_000 + n for n in range(7)])
    store = pack(source, tmp_path / "store")
    assert len(store.meta["shards"]) == 4
    for clip, file in enumerate(files_of(store)):
        samples, _ = soundfile.read(source / file, dtype="int16")
        np.testing.assert_array_equal(store.read(clip), samples)


def test_reads_outside_are_refused(store):
    for clip, start, length in [(5, 0, 1), (-1, 0, 1), (2, 0, 101), (2, 100, 1), (2, -1, 1)]:
        with pytest.raises(ValueError, match="clip"):
            store.read(clip, start, length)


def test_crops_are_parts_of_clips_with_zeros_behind(store):
    # Clip 2 has 100 samples.
    crops = store.read_crops([3, 2, 3], [7, 90, 0], 11)
    assert crops.dtype == np.int16
    np.testing.assert_array_equal(crops[0], store.read(3, 7, 11))
    np.testing.assert_array_equal(crops[1], [*store.read(2, 90), 0])
    np.testing.assert_array_equal(crops[2], store.read(3, 0, 11))


@pytest.mark.parametrize(("clip", "start"), [(5, 0), (-1, 0), (2, 101), (2, -1)])
def test_crops_outside_are_refused(store, clip, start):
    with pytest.raises(ValueError, match="clip"):
        store.read_crops([0, clip], [0, start], 10)


def open_shards():
    paths = (os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
    return [path for path in paths if Path(path).name.startswith("shard-")]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the list of open files is Linux's")
def test_few_of_many_shards_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_MOST_OPEN", 2)
    store = pack(write_sounds(tmp_path / "source", [200_000 + n for n in range(7)]), tmp_path / "s")
    clips = [0, 6, 2, 4, 0, 6]
    crops = store.read_crops(clips, [0] * 6, 200_000)
    assert len(open_shards()) == 2
    for crop, clip in zip(crops, clips, strict=True):
        np.testing.assert_array_equal(crop, store.read(clip, 0, 200_000))
    del store, crops
    gc.collect()
    assert not open_shards()


@pytest.mark.parametrize("system", ["posix", "another"])
def test_every_system_reads_the_same(store, monkeypatch, system):
    if system == "another":
        monkeypatch.delattr(os, "preadv", raising=False)
    np.testing.assert_array_equal(store.read_crops([3], [7], 11)[0], store.read(3)[7:18])
    os.truncate(store.shard_path(0), 1000)
    with pytest.raises(PackedStoreError, match="truncated since opened"):
        store.read_crops([3], [20_000], 100)


def test_a_shard_that_shrinks_while_it_is_read_is_told(store):
    store.read(3)
    os.truncate(store.shard_path(0), 1000)
    with pytest.raises(PackedStoreError, match="truncated since opened"):
        store.read_crops([3], [0], 100)


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="other systems read in another way")
def test_what_comes_in_parts_is_put_together(store, monkeypatch):
    """As of more than 2 GiB, or over a network."""
    before = [store.read(clip) for clip in range(5)]
    whole = store.read_shard(0)
    preadv, sizes = os.preadv, []

    def short(descriptor, buffers, offset):
        (buffer,) = buffers
        sizes.append(len(buffer))
        return preadv(descriptor, [memoryview(buffer)[:999]], offset)  # within a sample

    monkeypatch.setattr(os, "preadv", short)
    fresh = PackedStore.open(store.path)
    for clip, samples in enumerate(before):
        np.testing.assert_array_equal(fresh.read(clip), samples)
    np.testing.assert_array_equal(fresh.read_crops([3], [7], 4000)[0], before[3][7:4007])
    np.testing.assert_array_equal(fresh.read_shard(0), whole)
    assert max(sizes) == 2 * len(whole)
    os.truncate(store.shard_path(0), 100_000)
    with pytest.raises(PackedStoreError, match="truncated since opened"):
        fresh.read_shard(0)


def test_description(store, tmp_path):
    assert store.meta["sample_rate"] == RATE
    counts = {"found": 5, "clips": 5, "rejected": 0, "upsampled": 0, "clipped": 0}
    counts["samples"] = 65_301
    assert store.meta["counts"] == counts
    assert store.meta["resampler"].startswith("soxr ")
    assert store.meta["decoder"].startswith("soundfile ")
    written = "".join(p.read_text() for p in store.path.iterdir() if p.suffix in (".json", ".csv"))
    assert str(tmp_path) not in written
    lines = (store.path / "clips.csv").read_text().splitlines()
    assert lines[:2] == ["clip,file,source_rate,seconds,peak", "0,000.wav,16000,1.25,0.8047"]


def test_copies_for_other_processes_read_the_same(store):
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read(3), store.read(3))


def test_two_million_clips_open_in_two_seconds(tmp_path):
    write_synthetic_store(tmp_path / "big", n_clips=2_000_000, clip_samples=1000)
    start_s = time.perf_counter()
    big = PackedStore.open(tmp_path / "big")
    assert time.perf_counter() - start_s < 2
    assert big.read(1_999_999).tolist() == [0] * 1000
    assert len(pickle.dumps(big)) < 1000


def damage(store, name, change):
    path = store.path / name
    change(path)
    with pytest.raises(PackedStoreError, match=name) as caught:
        PackedStore.open(store.path)
    return str(caught.value)


def edit_meta(**values):
    def change(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def test_other_format_version(store):
    message = damage(store, "meta.json", edit_meta(format_version=99))
    assert "format version 99, this program reads 1 and 2; pack the source again" in message


def test_unfinished_store(store):
    message = damage(store, "meta.json", lambda path: path.unlink())
    assert "run the same command again" in message


def test_broken_description(store):
    damage(store, "meta.json", lambda path: path.write_text("{"))


def test_missing_shard(store):
    assert "missing; restore" in damage(store, "shard-00000.i16", lambda path: path.unlink())


def test_truncated_shard(store):
    message = damage(store, "shard-00000.i16", lambda p: p.write_bytes(p.read_bytes()[:-2]))
    assert "truncated or altered, 130600 bytes instead of 130602" in message


def test_bad_index(store):
    index = np.array(store.index)
    outside = index.copy()
    outside[4, 1] += 1
    damage(store, "index.npy", lambda path: path.write_bytes(b"no array"))
    damage(store, "index.npy", lambda path: np.save(path, np.zeros((4, 3), np.int64)))
    np.save(store.path / "index.npy", index)
    damage(store, "blocks.npy", lambda path: path.unlink())
    as_format_1(store)
    assert "clip 4" in damage(store, "index.npy", lambda path: np.save(path, outside))


def as_format_1(store):
    """Turn a store into one of the format that had neither hashes of blocks nor of the index."""
    new = ("index_sha256", "blocks_sha256", "file_sha256")
    meta = {key: value for key, value in store.meta.items() if key not in new}
    (store.path / "meta.json").write_text(json.dumps({**meta, "format_version": 1}))
    (store.path / "blocks.npy").unlink(missing_ok=True)


def flip(path, place, bit=1):
    content = bytearray(path.read_bytes())
    content[place] ^= bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["index.npy", "blocks.npy", "meta.json"])
def test_any_altered_byte_beside_the_shards_is_found_at_once(store, name):
    size = (store.path / name).stat().st_size
    for place in {*range(0, size, max(1, size // 40)), size - 1}:
        damage(store, name, lambda path, place=place: flip(path, place))
        flip(store.path / name, place)
    assert len(PackedStore.open(store.path)) == 5


def test_an_altered_sample_is_found_when_its_block_is_read(store):
    opened = PackedStore.open(store.path)
    before = opened.read(3)  # samples 35,300 to 65,300, in the second block of two
    flip(store.shard_path(0), 2 * 40_000)
    fresh = PackedStore.open(store.path)
    np.testing.assert_array_equal(fresh.read(0), opened.read(0))
    for start, length in ((0, None), (29_990, 10)):  # another sample of its block
        with pytest.raises(PackedStoreError, match=r"shard-00000\.i16: altered since packed; rest"):
            fresh.read(3, start, length)
    flip(store.shard_path(0), 2 * 40_000)
    np.testing.assert_array_equal(fresh.read(3), before)
    np.testing.assert_array_equal(fresh.read(4), opened.read(4))  # the last, a short block


def test_a_block_is_compared_once_in_a_process(store, monkeypatch):
    compared, digests = [], packed.block_digests
    monkeypatch.setattr(packed, "block_digests", lambda s: compared.append(len(s)) or digests(s))
    for _ in range(3):
        store.read_crops([0, 2], [0, 0], 50)
        store.read(2)
    assert compared == [packed.BLOCK_SAMPLES, 65_301 - packed.BLOCK_SAMPLES]  # a clip in each


def test_stores_of_format_1_are_read(store):
    before = [store.read(clip) for clip in range(5)]
    as_format_1(store)
    old = PackedStore.open(store.path)
    assert not old.checks_blocks
    for clip, samples in enumerate(before):
        np.testing.assert_array_equal(old.read(clip), samples)
    flip(store.shard_path(0), 1000)
    with pytest.raises(PackedStoreError, match="altered since packed"):
        old.read_shard(0)


def test_verify_finds_one_changed_sample(store):
    store.verify()
    path = store.shard_path(0)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(PackedStoreError, match=r"altered shard-00000\.i16"):
        PackedStore.open(store.path).verify()
