import os
import shutil
from functools import partial

import numpy as np
import pytest
import soundfile

from byola_diff.audio import files
from byola_diff.audio.resample import resample
from byola_diff.store import packing
from byola_diff.store.description import PackedStoreError
from byola_diff.store.packing import begin, pack_shard, plan_store, record_path
from tests.file_hashes import file_hashes
from tests.helpers import peak_bytes
from tests.store.store_maker import RATE, files_of, pack, write_sounds


@pytest.fixture
def source(tmp_path):
    """Six sounds that make three shards."""
    return write_sounds(tmp_path / "source", [200_000 + n for n in range(6)])


def test_other_rate_is_resampled_once(tmp_path):
    source = write_sounds(tmp_path / "source", [44_100], rate=44_100, subtype="FLOAT")
    waveform, _ = soundfile.read(source / "000.wav", dtype="float32")
    expected = np.rint(resample(waveform, 44_100, RATE) * 32768)
    store = pack(source, tmp_path / "store")
    np.testing.assert_array_equal(store.read(0), expected)
    assert store.meta["counts"]["upsampled"] == 0


def test_upsampled_clips_are_counted(tmp_path):
    source = write_sounds(tmp_path / "source", [8000], rate=8000)
    assert pack(source, tmp_path / "store").meta["counts"]["upsampled"] == 1


def test_unusable_files_are_listed_and_the_others_kept(tmp_path):
    source = write_sounds(tmp_path / "source", [100] * 4)
    (source / "000.wav").write_bytes(b"")
    (source / "002.wav").write_text("no sound")
    soundfile.write(source / "003.wav", np.zeros(1), 48_000)
    (source / "004.wav").symlink_to("nowhere")
    store = pack(source, tmp_path / "store")
    assert files_of(store) == ["001.wav"]
    assert store.meta["counts"]["rejected"] == 4
    lines = (store.path / "rejected.csv").read_text().splitlines()
    assert lines[0] == "file,reason"
    assert lines[1] == "000.wav,empty: 0 bytes"
    assert lines[2].startswith("002.wav,unreadable: ")
    assert lines[3] == "003.wav,empty at 16000 Hz"
    assert lines[4].startswith("004.wav,unreadable: ")


@pytest.mark.parametrize("bad", [0, 5000, 9999])
def test_a_file_that_breaks_off_leaves_no_samples(tmp_path, monkeypatch, bad):
    source = write_sounds(tmp_path / "source", [10_000] * 3, subtype="FLOAT")
    samples, _ = soundfile.read(source / "001.wav", dtype="float32")
    samples[bad] = np.nan
    soundfile.write(source / "001.wav", samples, RATE, subtype="FLOAT")
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 1000)
    store = pack(source, tmp_path / "store")
    assert files_of(store) == ["000.wav", "002.wav"]
    for clip, file in enumerate(files_of(store)):
        expected, _ = soundfile.read(source / file, dtype="float32")
        np.testing.assert_array_equal(store.read(clip), np.rint(expected * 32768))


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_file_of_many_blocks_has_the_bytes_of_one(tmp_path, monkeypatch, rate):
    source = write_sounds(tmp_path / "source", [50_001, 10], rate=rate)
    whole = pack(source, tmp_path / "whole")
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 777)
    monkeypatch.setattr(packing, "_BLOCKS_AT_ONCE", 1)
    assert file_hashes(pack(source, tmp_path / "parts").path) == file_hashes(whole.path)


def test_a_file_twice_as_long_needs_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 1 << 16)
    monkeypatch.setattr(packing, "_BLOCKS_AT_ONCE", 4)
    peaks = []
    for number, seconds in enumerate((3, 60, 120)):  # the first imports
        source = write_sounds(tmp_path / f"source{number}", [44_100 * seconds], rate=44_100)
        out = tmp_path / f"store{number}"
        peaks.append(peak_bytes(partial(pack, source, out, 256)))
    assert peaks[2] < 1.1 * peaks[1]
    assert peaks[2] < 4 * 44_100 * 60  # half of its samples as they are read


def test_name_that_is_no_utf8(tmp_path):
    source = write_sounds(tmp_path / "source", [100])
    odd = os.fsdecode(b"\xff.wav")
    (source / "000.wav").rename(source / odd)
    assert files_of(pack(source, tmp_path / "store")) == [odd]


def test_no_audio(tmp_path):
    with pytest.raises(ValueError, match="no audio files"):
        plan_store(tmp_path, RATE)


def test_stopped_run_goes_on_to_the_same_bytes(source, tmp_path):
    whole = pack(source, tmp_path / "whole")
    plan, out = plan_store(source, RATE, shard_mib=1), tmp_path / "stopped"
    begin(plan, out)
    assert plan.n_shards == 3
    pack_shard(plan.of_shard(0), out, 0)
    pack_shard(plan.of_shard(1), out, 1)
    record_path(out, 1).unlink()  # stopped between the shard and its record
    (out / ".shard-00002.i16.999999999.tmp").write_bytes(b"half")  # and within a shard
    kept = (out / "shard-00000.i16").stat().st_mtime_ns
    continued = pack(source, out)
    assert file_hashes(continued.path) == file_hashes(whole.path)
    assert (out / "shard-00000.i16").stat().st_mtime_ns == kept


def test_a_shard_cut_short_after_its_record_is_written_anew(source, tmp_path):
    plan, out = plan_store(source, RATE, shard_mib=1), tmp_path / "store"
    begin(plan, out)
    pack_shard(plan.of_shard(0), out, 0)
    (out / "shard-00000.i16").write_bytes(b"")
    pack(source, out)
    assert file_hashes(out) == file_hashes(pack(source, tmp_path / "whole").path)


@pytest.mark.parametrize("name", ["shard-00000.i16", "parts/shard-00000.json"])
def test_a_shard_altered_before_its_run_went_on_is_written_anew(source, tmp_path, name):
    plan, out = plan_store(source, RATE, shard_mib=1), tmp_path / "store"
    begin(plan, out)
    pack_shard(plan.of_shard(0), out, 0)
    content = bytearray((out / name).read_bytes())
    content[len(content) // 2] ^= 1
    (out / name).write_bytes(content)
    pack(source, out)
    assert file_hashes(out) == file_hashes(pack(source, tmp_path / "whole").path)


def test_error_while_writing_leaves_no_shard(source, tmp_path):
    plan, out = plan_store(source, RATE), tmp_path / "store"
    begin(plan, out)
    (out / "parts").write_text("in the way of the records")
    with pytest.raises(OSError, match="parts"):
        pack_shard(plan.of_shard(0), out, 0)
    assert not list(out.glob(".*"))


def test_changed_source_or_setting_is_refused(source, tmp_path):
    pack(source, tmp_path / "store")
    with pytest.raises(PackedStoreError, match=r"sample_rate \(16000 -> 8000\).*delete"):
        begin(plan_store(source, 8000, shard_mib=1), tmp_path / "store")
    shutil.copy(source / "000.wav", source / "new.wav")
    with pytest.raises(PackedStoreError, match=r"found \(6 -> 7\)"):
        begin(plan_store(source, RATE, shard_mib=1), tmp_path / "store")


def test_a_machine_with_other_programs_packs_nothing(source, tmp_path, monkeypatch):
    plan = plan_store(source, RATE)
    begin(plan, tmp_path / "store")
    monkeypatch.setattr(packing, "decoder_name", lambda: "another decoder")
    with pytest.raises(PackedStoreError, match="this machine has another decoder"):
        pack_shard(plan.of_shard(0), tmp_path / "store", 0)
    assert not any(path.name.startswith("shard") for path in (tmp_path / "store").iterdir())


def test_foreign_folder_is_left_alone(source):
    with pytest.raises(PackedStoreError, match="neither empty nor"):
        begin(plan_store(source, RATE), source)
