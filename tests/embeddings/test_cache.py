import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from byola_diff.audio import resample
from byola_diff.audio.files import write_wav
from byola_diff.embeddings import cache as embedding_cache
from byola_diff.embeddings.cache import EmbeddingCache, clip_digests
from byola_diff.embeddings.extract import (
    ExtractionOptions,
    NonFiniteEmbeddingError,
    count_cached,
    embed,
)
from byola_diff.embeddings.extracted import Extracted
from byola_diff.encoders import code_digest
from byola_diff.tables.manifest import Clip, Manifest, read_manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError
from tests.corpus import RATE, tone, write_corpus
from tests.embeddings.counting_encoder import named

WHOLE = Preprocessing()
SMALL = ExtractionOptions(batch_size=2, progress=False)
BYTES, MANY_BYTES = 100_000, 1_000_003  # bytes: read at once, and in blocks


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    return write_corpus(folder)


def run(encoder, manifest, tmp_path, readout="scene", cut=WHOLE, **options):
    # Not "auto", which is bfloat16 on some machines.
    usual = {"cache": tmp_path / "cache", "batch_size": 2, "precision": "float32"}
    options = {**usual, "progress": False, **options}
    return embed(encoder, manifest, readout, cut, ExtractionOptions(**options))


def parts(tmp_path):
    return sorted((tmp_path / "cache").glob("*/*.safetensors"))


def n_calls(encoder):
    return len(encoder.encoder.shapes)


@pytest.mark.parametrize("readout", ["scene", "layers", "timestamps"])
def test_a_second_run_reads_the_same_bits(manifest, tmp_path, readout):
    first = run(named(), manifest, tmp_path, readout)
    encoder = named()
    second = run(encoder, manifest, tmp_path, readout)
    assert n_calls(encoder) == 0
    assert (first.n_cached, second.n_cached) == (0, 12)
    plain = embed(named(), manifest, readout, WHOLE, SMALL)

    def values_of(extracted):
        takes = readout == "timestamps"
        return list(extracted.pop_timestamps()) if takes else getattr(extracted, readout)

    of_first = values_of(first)
    for one in (second, plain):
        values, expected = values_of(one), of_first
        if readout == "layers":
            assert list(values) == list(expected) == ["b", "a"]
            values, expected = list(values.values()), list(expected.values())
        if readout == "timestamps":  # clips of 2400 and 3200 samples
            assert [len(frames) for frames, _ in values] == [8, 6, 6] * 4
            assert [len(centers) for _, centers in values] == [8, 6, 6] * 4
            values, expected = ([t for pair in pairs for t in pair] for pairs in (values, expected))
        assert all(torch.equal(a, b) for a, b in zip(values, expected, strict=True))


def test_a_stopped_run_goes_on_where_it_was(manifest, tmp_path):
    whole = embed(named(), manifest, "scene", WHOLE, SMALL)
    stopped = named(fails_at_call=4)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, manifest, tmp_path)
    resumed = named()
    extracted = run(resumed, manifest, tmp_path)
    assert extracted.n_cached == 6  # three batches, though no part was full
    assert torch.equal(extracted.scene, whole.scene)
    assert n_calls(resumed) == 3
    assert resumed.encoder.shapes[0] == stopped.encoder.shapes[3]  # the same batches


def test_a_full_disk_does_not_hide_why_a_run_stopped(manifest, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Path, "write_bytes", full_disk(Path.write_bytes))
    with pytest.raises(KeyboardInterrupt):
        run(named(fails_at_call=4), manifest, tmp_path)
    assert "no space left on device" in capsys.readouterr().err


def full_disk(write):
    """`Path.write_bytes` where parts of the cache do not fit."""

    def broken(path, content):
        if "settings" in path.name:
            return write(path, content)
        write(path, content[:100])
        raise OSError("no space left on device")

    return broken


def test_parts_are_closed_by_size_too(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "_PART_BYTES", 4 * 3 * 4)  # of four clips
    run(named(), manifest, tmp_path)
    assert len(parts(tmp_path)) == 3


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty"])
def test_a_damaged_part_is_told_of_and_made_anew(manifest, tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setattr(embedding_cache, "_PART_CLIPS", 4)
    first = run(named(), manifest, tmp_path)
    before = parts(tmp_path)
    content = bytearray(before[1].read_bytes())
    content[-1] ^= 1
    damaged = {"truncated": content[:-7], "altered": content, "empty": b""}[damage]
    before[1].write_bytes(damaged)
    encoder = named()
    second = run(encoder, manifest, tmp_path)
    assert n_calls(encoder) == 2
    assert second.n_cached == 8
    assert torch.equal(second.scene, first.scene)
    assert before[1].name in capsys.readouterr().err
    assert parts(tmp_path) == before


@pytest.mark.parametrize("readout", ["scene", "layers", "timestamps"])
def test_clips_are_counted_without_reading_their_embeddings(
    manifest, tmp_path, monkeypatch, readout
):
    monkeypatch.setattr(embedding_cache, "_PART_CLIPS", 4)
    assert count(manifest, tmp_path, readout) == 0
    run(named(), manifest, tmp_path, readout)
    monkeypatch.setattr(embedding_cache, "load_file", None)
    assert count(manifest, tmp_path, readout) == 12
    assert count(manifest, tmp_path, readout, precision="bfloat16") == 0
    assert count_cached(named(), manifest, readout, WHOLE, SMALL) == 0
    write_wav(manifest.root / "4.wav", tone(300, 2000), RATE)
    assert count(manifest, tmp_path, readout) == 11


@pytest.mark.parametrize("damage", [lambda content: content[:-7], lambda content: b""])
def test_counting_leaves_damaged_parts_alone(manifest, tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setattr(embedding_cache, "_PART_CLIPS", 4)
    run(named(), manifest, tmp_path)
    before = parts(tmp_path)
    before[1].write_bytes(damage(before[1].read_bytes()))
    assert count(manifest, tmp_path, "scene") == 8
    assert parts(tmp_path) == before
    assert capsys.readouterr().err == ""


def count(manifest, tmp_path, readout, **options):
    options = {"precision": "float32", "cache": tmp_path / "cache", **options}
    return count_cached(named(), manifest, readout, WHOLE, ExtractionOptions(**options))


def test_half_written_files_are_not_parts(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full_disk(Path.write_bytes))
    with pytest.raises(OSError, match="no space"):
        run(named(), manifest, tmp_path)
    monkeypatch.undo()
    files = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert files == ["settings.json"]
    assert run(named(), manifest, tmp_path).n_cached == 0


def test_a_part_of_other_settings_is_not_taken(manifest, tmp_path, capsys):
    run(named(gain=2.0), manifest, tmp_path)
    [foreign] = parts(tmp_path)
    first = run(named(), manifest, tmp_path)
    [own] = [path for path in parts(tmp_path) if path != foreign]
    own.unlink()
    shutil.copy(foreign, own.with_name(foreign.name))
    second = run(named(), manifest, tmp_path)
    assert second.n_cached == 0
    assert torch.equal(second.scene, first.scene)
    assert "of other settings" in capsys.readouterr().err


def test_any_altered_byte_of_a_part_is_found(manifest, tmp_path):
    run(named(), manifest, tmp_path)
    [path] = parts(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        extracted = Extracted(12, "scene")
        store = EmbeddingCache(path.parents[1], {})
        store.folder = path.parent
        store.load(extracted, clip_digests(manifest, WHOLE))
        assert extracted.n_cached == 0, place
        assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": lambda: named(gain=2.0)},
        {"readout": "layers"},
        {"cut": Preprocessing(unit_s=0.2)},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_do_not_share(manifest, tmp_path, change):
    run(named(), manifest, tmp_path)
    change = dict(change)
    encoder = change.pop("encoder", named)()
    assert run(encoder, manifest, tmp_path, **change).n_cached == 0
    assert n_calls(encoder) > 0


def test_seeds_count_where_clips_are_cut_at_random(manifest, tmp_path):
    run(named(), manifest, tmp_path, cut=Preprocessing(0.1, seed=1))
    extracted = run(named(), manifest, tmp_path, cut=Preprocessing(0.1, seed=2))
    assert extracted.n_cached == 4  # those of the test split
    run(named(), manifest, tmp_path, cut=Preprocessing(seed=1))
    assert run(named(), manifest, tmp_path, cut=Preprocessing(seed=2)).n_cached == 12


def test_resamplers_do_not_share(manifest, tmp_path, monkeypatch):
    run(named(), manifest, tmp_path)
    monkeypatch.setattr("byola_diff.embeddings.encoding.resampler_name", lambda: "other")
    assert run(named(), manifest, tmp_path).n_cached == 0


def test_edited_reading_of_clips_does_not_share(manifest, tmp_path, monkeypatch):
    run(named(), manifest, tmp_path)
    code, edited = code_digest._code, {Path(resample.__file__): ("another resampler", [])}
    monkeypatch.setattr(code_digest, "_code", lambda file: edited.get(file) or code(file))
    assert run(named(), manifest, tmp_path).n_cached == 0


def test_batches_and_workers_are_not_settings(manifest, tmp_path):
    run(named(), manifest, tmp_path)
    assert run(named(), manifest, tmp_path, batch_size=12, n_workers=1).n_cached == 12


def test_labels_and_order_are_not_content(manifest, tmp_path):
    first = run(named(), manifest, tmp_path)
    clips = tuple(Clip(clip.file, ("other",), clip.split) for clip in manifest.clips[::-1])
    second = run(named(), Manifest(manifest.root, clips, ("other",)), tmp_path)
    assert second.n_cached == 12
    assert torch.equal(second.scene.flip(0), first.scene)


def test_only_new_and_changed_clips_are_embedded(manifest, tmp_path):
    run(named(), manifest, tmp_path)
    write_wav(manifest.root / "new.wav", tone(300, 2400), RATE)
    write_wav(manifest.root / "4.wav", tone(300, 2000), RATE)
    clips = (Clip("new.wav", ("low",), "train"), *manifest.clips[1:])
    extracted = run(named(), Manifest(manifest.root, clips, manifest.classes), tmp_path)
    assert extracted.n_cached == 10
    assert extracted.scene[4, 0] == 2000
    assert extracted.scene[0, 0] == 2400


def test_parts_without_any_of_the_clips_are_not_loaded(manifest, tmp_path, monkeypatch):
    run(named(), manifest, tmp_path)
    write_wav(manifest.root / "new.wav", tone(300, 2400), RATE)
    other = Manifest(manifest.root, (Clip("new.wav", ("low",), "train"),), manifest.classes)

    def refuse(path):
        raise AssertionError(f"{path} was read")

    with monkeypatch.context() as patched:
        patched.setattr("byola_diff.embeddings.cache.sha256", refuse)
        patched.setattr("byola_diff.embeddings.cache.load_file", refuse)
        assert run(named(), other, tmp_path).n_cached == 0
    assert run(named(), manifest, tmp_path).n_cached == 12


def test_clips_are_known_wherever_and_whenever_they_were_unpacked(manifest, tmp_path):
    first = run(named(), manifest, tmp_path)
    moved = manifest.root.rename(tmp_path / "moved")
    for path in moved.iterdir():
        os.utime(path, (1, 1))
    second = run(named(), read_manifest(moved / "manifest.csv"), tmp_path)
    assert second.n_cached == 12
    assert torch.equal(second.scene, first.scene)


def test_equal_names_and_sizes_are_not_enough(manifest, tmp_path):
    run(named(), manifest, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    write_corpus(other)
    write_wav(other / "5.wav", tone(300, 2400), RATE)
    os.utime(other / "5.wav", (1, 1))
    assert run(named(), read_manifest(other / "manifest.csv"), tmp_path).n_cached == 11


def test_stretches_and_splits_count_where_they_decide_what_is_read(manifest, tmp_path):
    def with_rows(**fields):
        clips = (Clip("0.wav", ("low",), **fields),)
        return Manifest(manifest.root, clips, ("low",))

    cut = Preprocessing(unit_s=0.1)
    run(named(), with_rows(split="train"), tmp_path, cut=cut)
    assert run(named(), with_rows(split="valid"), tmp_path, cut=cut).n_cached == 1
    assert run(named(), with_rows(split="test"), tmp_path, cut=cut).n_cached == 0
    assert run(named(), with_rows(split="train", start_s=0.1), tmp_path, cut=cut).n_cached == 0
    run(named(), with_rows(split="train"), tmp_path)
    assert run(named(), with_rows(split="test"), tmp_path).n_cached == 1


def test_one_clip_in_two_rows(manifest, tmp_path):
    twice = Manifest(manifest.root, manifest.clips[:1] * 2, ("low",))
    run(named(), twice, tmp_path)
    extracted = run(named(), twice, tmp_path)
    assert extracted.n_cached == 2
    assert torch.equal(extracted.scene[0], extracted.scene[1])


def test_unreadable_clips_are_not_done(manifest, tmp_path):
    (manifest.root / "3.wav").write_bytes(b"RIFF")
    with pytest.raises(UnreadableClipsError, match=r"1 of 12(.|\n)*3\.wav"):
        run(named(), manifest, tmp_path)
    assert parts(tmp_path) == []
    write_wav(manifest.root / "3.wav", tone(300, 2400), RATE)
    assert run(named(), manifest, tmp_path).n_cached == 0


def test_clips_broken_inside_keep_the_others(manifest, tmp_path):
    import numpy as np
    import soundfile

    samples = tone(300, 2400)
    samples[7] = np.nan  # the header tells nothing
    soundfile.write(manifest.root / "3.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(UnreadableClipsError, match=r"1 of 12(.|\n)*3\.wav.*NaN"):
        run(named(), manifest, tmp_path)
    write_wav(manifest.root / "3.wav", tone(300, 2400), RATE)
    encoder = named()
    assert run(encoder, manifest, tmp_path).n_cached == 11
    assert encoder.encoder.shapes == [(1, 2400)]


def test_embeddings_that_are_not_finite_are_refused_and_not_kept(manifest, tmp_path):
    with pytest.raises(NonFiniteEmbeddingError, match=r"audio/0\.wav.*audio/3\.wav.*float32"):
        run(named(gain=float("nan")), manifest, tmp_path)
    assert parts(tmp_path) == []


def test_the_folder_says_what_it_holds(manifest, tmp_path):
    encoder = named()
    run(encoder, manifest, tmp_path, cut=Preprocessing(unit_s=0.5))
    [about] = (tmp_path / "cache").glob("*/settings.json")
    settings = json.loads(about.read_text())
    assert settings["encoder"] == encoder.content_hash
    assert settings["unit_s"] == 0.5
    assert settings["precision"] in ("float32", "bfloat16")


def digest(root, file="a.wav", cut=WHOLE, **fields):
    [found] = clip_digests(Manifest(root, (Clip(file, (), **fields),), ()), cut)
    return found


def noise(n_bytes):
    return np.random.default_rng(0).bytes(n_bytes)


@pytest.mark.parametrize("n_bytes", [BYTES, MANY_BYTES])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.97])
def test_a_change_of_a_thirtieth_of_the_file_is_seen_anywhere(tmp_path, n_bytes, place):
    content = bytearray(noise(n_bytes))
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    before = digest(tmp_path)
    first = round(place * n_bytes)
    content[first : first + n_bytes // 30] = bytes(n_bytes // 30)
    path.write_bytes(content)
    assert digest(tmp_path) != before


@pytest.mark.parametrize("place", [0, 40_000, 499_999, -1])
@pytest.mark.parametrize("n_bytes", [BYTES * 5, MANY_BYTES])
def test_every_byte_is_read(tmp_path, n_bytes, place):
    content = bytearray(noise(n_bytes))
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    before = digest(tmp_path)
    content[place] ^= 1
    path.write_bytes(content)
    assert digest(tmp_path) != before


def test_sizes_differ_where_blocks_do_not(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(MANY_BYTES))
    before = digest(tmp_path)
    path.write_bytes(bytes(MANY_BYTES + 1))
    assert digest(tmp_path) != before


def test_name_and_stretch_count(tmp_path):
    for file in ("a.wav", "b.wav"):
        (tmp_path / file).write_bytes(noise(BYTES))
    found = [
        digest(tmp_path),
        digest(tmp_path, "b.wav"),
        digest(tmp_path, start_s=0.5),
        digest(tmp_path, duration_s=0.5),
        digest(tmp_path, "missing.wav"),
    ]
    assert len(set(found)) == len(found)


def test_a_seed_counts_for_clips_that_are_cut_by_it(tmp_path):
    (tmp_path / "a.wav").write_bytes(noise(BYTES))

    def seeds_differ(unit_s, **fields):
        cuts = [Preprocessing(unit_s, seed) for seed in (1, 2)]
        one, other = (digest(tmp_path, cut=cut, **fields) for cut in cuts)
        return one != other

    assert seeds_differ(0.1, split="train")
    assert not seeds_differ(0.1, split="test")
    assert not seeds_differ(None, split="train")


def test_audio_is_hashed_once_for_all_encoders(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(noise(BYTES))
    monkeypatch.setattr(embedding_cache, "_SETTLED_NS", 0)
    read = []
    before = digest(tmp_path)
    monkeypatch.setattr(type(path), "open", lambda path, *a, **k: read.append(path))
    assert digest(tmp_path) == before
    assert read == []


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(noise(BYTES))
    opened, plain = [], type(path).open
    monkeypatch.setattr(
        type(path), "open", lambda p, *a, **k: opened.append(p) or plain(p, *a, **k)
    )
    clips = tuple(Clip("a.wav", (), start_s=float(start)) for start in range(5))
    assert len(set(clip_digests(Manifest(tmp_path, clips, ()), WHOLE))) == 5
    assert opened == [path]


def test_a_pipe_is_not_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.wav")
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("waits for ever"))
    assert digest(tmp_path) == digest(tmp_path)


def test_what_was_just_written_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(noise(BYTES))
    opened, plain = [], Path.open
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: opened.append(p) or plain(p, *a, **k))
    assert digest(tmp_path) == digest(tmp_path)
    assert opened == [path, path]
