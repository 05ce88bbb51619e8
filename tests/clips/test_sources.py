import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from byola_diff.audio.files import read_audio
from byola_diff.audio.resample import resample
from byola_diff.audio.waveform import as_waveform
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.order import crop_draws, crop_starts
from byola_diff.clips.source import ClipSource, TooManyRejectedError
from byola_diff.clips.stored import (
    PackedSource,
    Part,
    ResidentSource,
    StoreTooLargeError,
    _check_fits,
)
from byola_diff.training.clip_module import StepBatches
from tests.store.store_maker import RATE, pack, write_sounds

CROP = 15_200


def folder_source(source, rate=RATE, max_rejected=0.05):
    return FolderSource(
        source, sample_rate=rate, crop_samples=CROP, seed=3, max_rejected=max_rejected
    )


@pytest.fixture
def three(tmp_path, store):
    """The three sources over the same clips."""
    return [
        PackedSource(store, crop_samples=CROP, seed=3),
        ResidentSource(store, crop_samples=CROP, seed=3, device="cpu"),
        folder_source(tmp_path / "source"),
    ]


def test_each_is_a_source(three):
    for source in three:
        assert isinstance(source, ClipSource)
        assert (source.sample_rate, source.n_clips) == (RATE, 5)
    assert [source.on_device for source in three] == [False, True, False]


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_same_crops_from_all(three, epoch):
    clips = torch.tensor([3, 0, 4, 4, 2, 1])
    packed, resident, folder = (source.batch(epoch, clips, "cpu") for source in three)
    assert packed.shape == (6, CROP)
    assert torch.equal(packed, resident)
    assert torch.equal(packed, folder)


def test_stored_samples_are_the_same_waveform(three):
    clips = torch.tensor([3, 2, 1])
    stored = [source.stored_batch(1, clips, "cpu") for source in three]
    assert [samples.dtype for samples in stored] == [torch.int16, torch.float32, torch.float32]
    for samples, source in zip(stored, three, strict=True):
        assert torch.equal(as_waveform(samples), source.batch(1, clips, "cpu"))


def test_crop_is_the_stretch_by_the_law(three, store):
    clips = torch.tensor([3])
    start = int(crop_starts(crop_draws(3, 2, clips), torch.tensor([30_000]), CROP))
    assert 0 < start < 30_000 - CROP
    expected = store.read(3, start, CROP) / np.float32(32768)
    for source in three:
        np.testing.assert_array_equal(source.batch(2, clips, "cpu")[0].numpy(), expected)


def test_short_clips_are_padded_on_the_right(three, store):
    for source in three:
        waveform = source.batch(0, torch.tensor([2, 4]), "cpu")
        np.testing.assert_array_equal(waveform[0, :100].numpy() * 32768, store.read(2))
        assert waveform[0, 100:].count_nonzero() == 0
        assert waveform[1, 1:].count_nonzero() == 0


def test_a_crop_does_not_depend_on_its_neighbours(three):
    for source in three:
        alone = source.batch(1, torch.tensor([3]), "cpu")
        assert torch.equal(alone[0], source.batch(1, torch.tensor([0, 3, 3]), "cpu")[2])


@pytest.mark.parametrize("rate", [44_100, 8_000, 22_050, 15_999])
def test_resampled_part_is_the_part_of_the_resampled_file(tmp_path, rate):
    source = write_sounds(tmp_path / "s", [rate * 3] * 4, rate=rate, subtype="FLOAT")
    clips = torch.arange(4)
    waveform = folder_source(source).batch(0, clips, "cpu")
    starts = crop_starts(crop_draws(3, 0, clips), torch.full((4,), RATE * 3), CROP).tolist()
    for clip, path in enumerate(sorted(source.iterdir())):
        whole = resample(read_audio(path)[0], rate, RATE)
        expected = whole[starts[clip] : starts[clip] + CROP]
        np.testing.assert_allclose(waveform[clip].numpy(), expected, atol=1e-6)


def test_packed_and_folder_agree_on_resampled_files(tmp_path):
    source = write_sounds(tmp_path / "s", [44_100 * 2] * 3, rate=44_100)
    packed = PackedSource(pack(source, tmp_path / "p"), crop_samples=CROP, seed=3)
    clips = torch.arange(3)
    difference = packed.batch(0, clips) - folder_source(source).batch(0, clips)
    assert difference.abs().max() < 0.51 / 32768


def test_unreadable_files_are_replaced_by_the_next(tmp_path):
    source = write_sounds(tmp_path / "s", [100] * 6)
    (source / "005.wav").write_bytes(b"")
    (source / "000.wav").write_bytes(b"")
    folder = folder_source(source, max_rejected=0.5)
    waveform = folder.batch(0, torch.tensor([5, 1]), "cpu")
    assert torch.equal(waveform[0], waveform[1])
    expected = [("005.wav", "empty: 0 bytes"), ("000.wav", "empty: 0 bytes")]
    assert folder.take_rejected() == expected
    assert folder.take_rejected() == []
    assert folder.rejected.reasons == dict(expected)


def test_too_many_unreadable_files_stop_the_run(tmp_path):
    source = write_sounds(tmp_path / "s", [100] * 6)
    (source / "002.wav").write_text("text")
    with pytest.raises(TooManyRejectedError, match=r"1 of 6[^\n]*\n  002\.wav: unreadable"):
        folder_source(source).batch(0, torch.arange(6), "cpu")


def test_no_readable_file_ends_the_search(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 1 files"):
        folder_source(tmp_path, max_rejected=1.0).batch(0, torch.tensor([0]), "cpu")


def test_no_files(tmp_path):
    with pytest.raises(ValueError, match="no audio files"):
        folder_source(tmp_path)


def batches(source, n_workers):
    steps = StepBatches(source, seed=5, batch_size=2, rank=0, world_size=1)
    return list(DataLoader(steps, batch_size=None, sampler=range(6, 12), num_workers=n_workers))


def test_number_of_workers_changes_nothing(tmp_path, store):
    source = write_sounds(tmp_path / "s", [20_000] * 12)
    for name in ("003.wav", "008.wav"):
        (source / name).write_bytes(b"")
    for make in (
        lambda: folder_source(source, max_rejected=0.5),
        lambda: PackedSource(store, crop_samples=CROP, seed=3),
    ):
        alone, shared = batches(make(), 0), batches(make(), 2)
        assert len(alone) == len(shared) >= 2
        for first, second in zip(alone, shared, strict=True):
            assert torch.equal(first["waveform"], second["waveform"])
            assert first.get("rejected") == second.get("rejected")
    # The two unreadable files reach the main process from the workers.
    rejected = {
        file
        for batch in batches(folder_source(source, max_rejected=0.5), 2)
        for file, _ in batch["rejected"]
    }
    assert rejected == {"003.wav", "008.wav"}


def test_resident_store_has_to_fit(three, monkeypatch):
    store = three[0].store
    needed = 2 * int(store.shard_samples.sum())
    free_and_total = [needed - 1, 0]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: tuple(free_and_total))
    with pytest.raises(StoreTooLargeError, match=r"--data\.source packed"):
        ResidentSource(store, crop_samples=CROP, seed=3, device="cuda")
    # A quarter of the memory is for training.
    free_and_total[:] = [2 * needed - 1, 4 * needed]
    with pytest.raises(StoreTooLargeError, match="beside the 25%"):
        ResidentSource(store, crop_samples=CROP, seed=3, device="cuda")


def test_resident_store_that_just_fits_is_loaded(three, monkeypatch):
    store = three[0].store
    needed = 2 * int(store.shard_samples.sum())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * needed, 4 * needed))
    _check_fits(store.path, needed // 2, torch.device("cuda"))


def test_parts_of_a_resident_store_are_its_clips(three):
    packed, resident = three[:2]
    parts = [
        ResidentSource(packed.store, crop_samples=CROP, seed=3, device="cpu", part=Part(rank, 2))
        for rank in range(2)
    ]
    # Each holds its own samples alone.
    assert sum(len(part._samples) for part in parts) == len(resident._samples)
    assert all(part.n_clips == 5 and part.n_parts == 2 for part in parts)
    for part, clips in zip(parts, ([4, 0, 2], [3, 1, 3]), strict=True):
        numbers = torch.tensor(clips)
        assert torch.equal(part.batch(1, numbers, "cpu"), packed.batch(1, numbers, "cpu"))


def test_clips_of_a_store_may_lie_in_any_order(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", [400_000, 410_000, 420_000, 430_000, 440_000])
    store = pack(sounds, tmp_path / "packed")
    assert len(store.shard_samples) > 2
    store.index = np.array(store.index)[[4, 1, 0, 3, 2]]
    packed = PackedSource(store, crop_samples=CROP, seed=3)
    for part, clips in ((Part(0, 1), [0, 1, 2, 3, 4]), (Part(0, 2), [2, 4, 0])):
        source = ResidentSource(store, crop_samples=CROP, seed=3, device="cpu", part=part)
        numbers = torch.tensor(clips)
        assert torch.equal(source.batch(0, numbers, "cpu"), packed.batch(0, numbers, "cpu"))


def test_peaks_are_clipped_in_all_sources(tmp_path):
    (tmp_path / "s").mkdir()
    loud = np.linspace(-2, 2, CROP)
    soundfile.write(tmp_path / "s" / "a.wav", loud, RATE, subtype="FLOAT")
    packed = PackedSource(pack(tmp_path / "s", tmp_path / "p"), crop_samples=CROP, seed=3)
    for source in (packed, folder_source(tmp_path / "s")):
        waveform = source.batch(0, torch.tensor([0]))[0]
        np.testing.assert_allclose(waveform, loud.clip(-1, 1), atol=1.01 / 32768)
