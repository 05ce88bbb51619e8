import numpy as np
import pytest
import torch
from corpus import RATE, PowerEncoder, tone, write_corpus

from byola_diff.audio.files import write_wav
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.data.manifest import Clip, Manifest
from byola_diff.evaluation.extract import UnreadableClipsError, embed_clips
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder


def test_rows_are_in_the_order_of_the_clips(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = PowerEncoder()
    embeddings = embed_clips(encoder, manifest, batch_size=5, progress=False)
    assert embeddings.shape == (12, 3)
    assert embeddings[:, 0].tolist() == [2400 if number % 3 else 3200 for number in range(12)]
    torch.testing.assert_close(embeddings[:, 1], torch.full((12,), 0.125), atol=1e-3, rtol=0)
    # Eight clips of one length and four of the other, at most five together.
    assert sorted(encoder.batch_shapes) == [(3, 2400), (4, 3200), (5, 2400)]


def test_a_part_of_the_clips(tmp_path):
    manifest = write_corpus(tmp_path)
    every = embed_clips(PowerEncoder(), manifest, progress=False)
    some = embed_clips(PowerEncoder(), manifest, manifest.in_split("test"), progress=False)
    torch.testing.assert_close(some, every[8:])


def test_grouping_does_not_change_the_embeddings_of_a_network(tmp_path):
    manifest = write_corpus(tmp_path)
    torch.manual_seed(0)
    front_end = LogMel(sample_rate=RATE, f_max_hz=4000.0)
    encoder = AudioEncoder(front_end, Normalize(-5.0, 4.0), AudioNTT2020(dim=64))
    together = embed_clips(encoder, manifest, batch_size=12, progress=False)
    alone = embed_clips(encoder, manifest, batch_size=1, progress=False)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_other_rates_are_resampled(tmp_path):
    write_wav(tmp_path / "fast.wav", tone(500, 44100, 44100), 44100)
    manifest = Manifest(tmp_path, (Clip("fast.wav", ("a",)),), ("a",))
    [[length, power, difference]] = embed_clips(PowerEncoder(), manifest, progress=False).tolist()
    assert length == RATE
    assert power == pytest.approx(0.125, abs=1e-3)
    # Of a sine: 2 sin^2(pi f / rate) of twice its power.
    assert difference == pytest.approx(0.5 * np.sin(np.pi * 500 / RATE) ** 2, abs=1e-3)


def test_only_the_stretch_of_the_clip_is_read(tmp_path):
    sound = np.concatenate([np.zeros(800), tone(500, 800), np.zeros(800)])
    write_wav(tmp_path / "a.wav", sound, RATE)
    clip = Clip("a.wav", ("a",), start_s=0.1, duration_s=0.1)
    manifest = Manifest(tmp_path, (clip,), ("a",))
    [embedding] = embed_clips(PowerEncoder(), manifest, progress=False)
    assert embedding[0] == 800
    assert embedding[1].item() == pytest.approx(0.125, abs=1e-3)


def test_all_unreadable_files_are_named_before_any_work(tmp_path):
    manifest = write_corpus(tmp_path)
    (tmp_path / "3.wav").write_bytes(b"")
    (tmp_path / "7.wav").write_bytes(b"no audio at all")
    encoder = PowerEncoder()
    with pytest.raises(UnreadableClipsError, match=r"2 of 12(.|\n)*3\.wav(.|\n)*7\.wav"):
        embed_clips(encoder, manifest, progress=False)
    assert encoder.batch_shapes == []


def test_nan_samples_and_late_starts_are_refused(tmp_path):
    import soundfile

    broken = np.zeros(100, np.float32)
    broken[3] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, RATE, subtype="FLOAT")
    write_wav(tmp_path / "short.wav", np.zeros(80), RATE)
    with pytest.raises(UnreadableClipsError, match="NaN"):
        embed_clips(
            PowerEncoder(), Manifest(tmp_path, (Clip("nan.wav", ("a",)),), ("a",)), progress=False
        )
    late = Clip("short.wav", ("a",), start_s=0.01)
    with pytest.raises(UnreadableClipsError, match="ends before"):
        embed_clips(PowerEncoder(), Manifest(tmp_path, (late,), ("a",)), progress=False)


def test_no_clips_and_no_batch(tmp_path):
    manifest = write_corpus(tmp_path)
    with pytest.raises(ValueError, match="no clips"):
        embed_clips(PowerEncoder(), manifest, [], progress=False)
    with pytest.raises(ValueError, match="batch_size"):
        embed_clips(PowerEncoder(), manifest, batch_size=0, progress=False)
