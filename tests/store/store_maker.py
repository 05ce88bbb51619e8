"""Small folders of sounds and packed stores of them, for the tests of this folder."""

import csv
import shutil

import numpy as np
import soundfile

from byola_diff.storage import sealed_json, sha256
from byola_diff.store.description import FORMAT_VERSION
from byola_diff.store.packed import BLOCK_SAMPLES, PackedStore, block_digests, shard_name
from byola_diff.store.packing import begin, pack_shard, plan_store, write_index

RATE = 16_000


def write_sounds(folder, lengths, rate=RATE, subtype="PCM_16"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, length in enumerate(lengths):
        samples = 0.2 * np.random.default_rng(number).standard_normal(length)
        soundfile.write(folder / f"{number:03d}.wav", samples, rate, subtype=subtype)
    return folder


def pack(source, out, shard_mib=1):
    plan = plan_store(source, RATE, shard_mib)
    begin(plan, out)
    records = [pack_shard(plan.of_shard(shard), out, shard) for shard in range(plan.n_shards)]
    write_index(plan, out, records)
    shutil.rmtree(out / "parts")
    return PackedStore.open(out)


def files_of(store):
    """Source file of each clip."""
    with (store.path / "clips.csv").open(newline="", errors="surrogateescape") as file:
        return [row["file"] for row in csv.DictReader(file)]


def write_synthetic_store(out, n_clips, clip_samples):
    """A store with a true index over one shard full of holes."""
    out.mkdir()
    index = np.zeros((n_clips, 3), np.int64)
    index[:, 1] = np.arange(n_clips) * clip_samples
    index[:, 2] = clip_samples
    n_blocks = -(-n_clips * clip_samples // BLOCK_SAMPLES)
    np.save(out / "index.npy", index)
    blocks = np.repeat(block_digests(np.zeros(BLOCK_SAMPLES, np.int16)), n_blocks)
    blocks[-1:] = block_digests(
        np.zeros(n_clips * clip_samples - (n_blocks - 1) * BLOCK_SAMPLES, np.int16)
    )
    np.save(out / "blocks.npy", blocks)
    with (out / shard_name(0)).open("wb") as stream:
        stream.truncate(n_clips * clip_samples * 2)
    meta = {
        "format_version": FORMAT_VERSION,
        "sample_rate": RATE,
        "resampler": "none",
        "decoder": "none",
        "counts": {"clips": n_clips},
        "shards": [{"samples": n_clips * clip_samples, "sha256": "0" * 64}],
        **{f"{name}_sha256": sha256(out / f"{name}.npy") for name in ("index", "blocks")},
    }
    (out / "meta.json").write_text(sealed_json(meta))
