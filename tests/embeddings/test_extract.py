import numpy as np
import pytest
import torch

from byola_diff import progress
from byola_diff.audio.files import write_wav
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.embeddings import batches
from byola_diff.embeddings.extract import (
    ExtractionOptions,
    embed,
    embed_clips,
)
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.open import NamedEncoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.precision import computes_bfloat16
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError
from tests.corpus import RATE, PowerEncoder, tone, write_corpus
from tests.embeddings.counting_encoder import named

WHOLE = Preprocessing()
QUIET = ExtractionOptions(progress=False)


def batches_of(batch_size):
    return ExtractionOptions(batch_size=batch_size, progress=False)


def network_encoder(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AudioNTT2020(dim=64)
    front_end = LogMel(sample_rate=RATE, f_max_hz=4000.0)
    return AudioEncoder(front_end, Normalize(-5.0, 4.0), network)


def test_rows_are_in_the_order_of_the_clips(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = PowerEncoder()
    embeddings = embed_clips(encoder, manifest, batches_of(5))
    assert embeddings.shape == (12, 3)
    assert embeddings[:, 0].tolist() == [2400 if number % 3 else 3200 for number in range(12)]
    torch.testing.assert_close(embeddings[:, 1], torch.full((12,), 0.125), atol=1e-3, rtol=0)
    # Eight clips of one length and four of the other, at most five together.
    assert sorted(encoder.batch_shapes) == [(3, 2400), (4, 3200), (5, 2400)]


def test_grouping_does_not_change_the_embeddings_of_a_network(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = network_encoder()
    together = embed_clips(encoder, manifest, batches_of(12))
    alone = embed_clips(encoder, manifest, batches_of(1))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_other_rates_are_resampled(tmp_path):
    write_wav(tmp_path / "fast.wav", tone(500, 44100, 44100), 44100)
    manifest = Manifest(tmp_path, (Clip("fast.wav", ("a",)),), ("a",))
    [[length, power, difference]] = embed_clips(PowerEncoder(), manifest, QUIET).tolist()
    assert length == RATE
    assert power == pytest.approx(0.125, abs=1e-3)
    # Of a sine: 2 sin^2(pi f / rate) of twice its power.
    assert difference == pytest.approx(0.5 * np.sin(np.pi * 500 / RATE) ** 2, abs=1e-3)


def test_only_the_stretch_of_the_clip_is_read(tmp_path):
    sound = np.concatenate([np.zeros(800), tone(500, 800), np.zeros(800)])
    write_wav(tmp_path / "a.wav", sound, RATE)
    clip = Clip("a.wav", ("a",), start_s=0.1, duration_s=0.1)
    manifest = Manifest(tmp_path, (clip,), ("a",))
    [embedding] = embed_clips(PowerEncoder(), manifest, QUIET)
    assert embedding[0] == 800
    assert embedding[1].item() == pytest.approx(0.125, abs=1e-3)


def test_all_unreadable_files_are_named_before_any_work(tmp_path):
    manifest = write_corpus(tmp_path)
    (tmp_path / "3.wav").write_bytes(b"")
    (tmp_path / "7.wav").write_bytes(b"no audio at all")
    encoder = PowerEncoder()
    with pytest.raises(UnreadableClipsError, match=r"2 of 12(.|\n)*3\.wav(.|\n)*7\.wav"):
        embed_clips(encoder, manifest, QUIET)
    assert encoder.batch_shapes == []


def test_nan_samples_and_late_starts_are_refused(tmp_path):
    import soundfile

    broken = np.zeros(100, np.float32)
    broken[3] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, RATE, subtype="FLOAT")
    write_wav(tmp_path / "short.wav", np.zeros(80), RATE)
    with pytest.raises(UnreadableClipsError, match="NaN"):
        embed_clips(
            PowerEncoder(), Manifest(tmp_path, (Clip("nan.wav", ("a",)),), ("a",)), options=QUIET
        )
    late = Clip("short.wav", ("a",), start_s=0.01)
    with pytest.raises(UnreadableClipsError, match="ends before"):
        embed_clips(PowerEncoder(), Manifest(tmp_path, (late,), ("a",)), options=QUIET)


def test_no_clips(tmp_path):
    with pytest.raises(ValueError, match="no clips"):
        embed_clips(PowerEncoder(), Manifest(tmp_path, (), ()), QUIET)


def quiet(encoder, manifest, readout="scene", cut=WHOLE, **options):
    return embed(encoder, manifest, readout, cut, ExtractionOptions(progress=False, **options))


def test_readouts_of_clips_of_two_lengths(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = named()
    assert torch.equal(quiet(encoder, manifest).scene[:, 0], torch.tensor([3200.0, 2400, 2400] * 4))
    layers = quiet(encoder, manifest, "layers").layers
    # Mean plus maximum over frames; "b" has half the stride of "a", so two of its frames make one.
    assert {name: layer.shape for name, layer in layers.items()} == {"b": (12, 5), "a": (12, 2)}
    embeddings, centers_ms = next(quiet(encoder, manifest, "timestamps").pop_timestamps())
    assert embeddings.shape == (8, 1)
    assert centers_ms.tolist() == [25, 75, 125, 175, 225, 275, 325, 375]


def test_workers_change_nothing(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = NamedEncoder("net", network_encoder(), "hash")
    cut = Preprocessing(unit_s=0.2)
    one, many = (
        quiet(encoder, manifest, cut=cut, batch_size=5, n_workers=n_workers).scene
        for n_workers in (1, 7)
    )
    assert torch.equal(one, many)
    assert one.std(dim=0).max() > 0.01
    reseeded = quiet(encoder, manifest, cut=Preprocessing(0.2, seed=7)).scene
    assert not torch.equal(one[0], reseeded[0])  # of the training split
    torch.testing.assert_close(one[8:], reseeded[8:], atol=1e-5, rtol=0)  # of the test split


def test_long_clips_share_smaller_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "_BATCH_S", 1)
    encoder = named()
    quiet(encoder, write_corpus(tmp_path))
    # 0.3 and 0.4 s: three and two fit into a second.
    assert sorted(encoder.encoder.shapes) == [(2, 2400), (2, 3200), (2, 3200), *[(3, 2400)] * 2]
    encoder = named()
    monkeypatch.setattr(batches, "_BATCH_S", 0)
    quiet(encoder, Manifest(tmp_path, (Clip("0.wav", ("a",)),), ("a",)))
    assert encoder.encoder.shapes == [(1, 3200)]


@pytest.mark.parametrize("is_fused", [False, True])
def test_bfloat16_is_for_the_network_alone(tmp_path, is_fused):
    manifest = write_corpus(tmp_path)
    inner = network_encoder()
    encoder = FusedEncoder(inner, ["conv3", "output"]) if is_fused else inner
    seen, hidden = [], []
    inner.normalize.register_forward_hook(lambda *call: seen.append(call[2]))
    inner.network.fc[0].register_forward_hook(lambda *call: hidden.append(call[2].dtype))
    names = ("float32", "bfloat16", "float32")
    runs = [
        quiet(NamedEncoder("net", encoder, "hash"), manifest, batch_size=12, precision=precision)
        for precision in names
    ]
    exact, rounded, again = (run.scene for run in runs)
    third = len(seen) // 3
    log_mels = [
        torch.cat([x.flatten() for x in seen[i * third : (i + 1) * third]]) for i in range(3)
    ]
    assert all(x.dtype == torch.float32 for x in seen)
    assert torch.equal(log_mels[0], log_mels[1])
    assert hidden[:: len(hidden) // 3] == [torch.float32, torch.bfloat16, torch.float32]
    assert rounded.dtype == torch.float32
    assert torch.equal(exact, again)
    difference = (rounded - exact).norm() / exact.norm()
    assert 1e-5 < difference < 0.02


def test_auto_takes_what_the_hardware_computes(tmp_path):
    manifest = write_corpus(tmp_path)
    encoder = NamedEncoder("net", network_encoder(), "hash")
    expected = "bfloat16" if computes_bfloat16("cpu") else "float32"
    found = quiet(encoder, manifest, precision="auto").scene
    assert torch.equal(found, quiet(encoder, manifest, precision=expected).scene)


def test_timestamps_can_be_let_go_one_by_one(tmp_path):
    manifest = write_corpus(tmp_path)
    expected = list(quiet(named(), manifest, "timestamps").pop_timestamps())
    extracted = quiet(named(), manifest, "timestamps")
    taken = extracted.pop_timestamps()
    for row, (embeddings, centers_ms) in enumerate(expected):
        found = next(taken)
        assert torch.equal(found[0], embeddings)
        assert torch.equal(found[1], centers_ms)
        assert extracted.missing() == list(range(row + 1))


def test_the_bar_counts_all_clips(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    embed(named(), write_corpus(tmp_path), "scene", WHOLE)
    assert "/12" in capsys.readouterr().err
