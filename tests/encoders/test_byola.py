import pytest
import torch
from torch.nn import functional

from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.byola import layer_features, load_byola
from byola_diff.encoders.manifest_statistics import Corpus, log_mel_moments
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.storage import BrokenFileError
from byola_diff.tables.preprocessing import Preprocessing
from tests.corpus import write_corpus

STATISTICS = (-9.66, 4.72)


def save_network(path, network):
    torch.manual_seed(0)
    for layer in network.features:  # as after training: statistics that do something
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("byola") / "v1.pth", AudioNTT2020(dim=2050))


@pytest.fixture(scope="module")
def layered(wide):
    return load_byola(wide, statistics=STATISTICS, layered=True)


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("network", [AudioNTT2020(dim=48), AudioNTT2022(dim=1060)])
def test_both_versions_load_in_the_front_end_of_byola(tmp_path, network):
    encoder = load_byola(save_network(tmp_path / "w.pth", network), statistics=STATISTICS)
    assert type(encoder.network) is type(network)
    assert encoder.scene_embedding_size == network.dim
    settings = encoder.log_mel.settings()
    assert {name: settings[name] for name in ("window_samples", "n_fft", "f_max_hz")} == {
        "window_samples": 1024, "n_fft": 1024, "f_max_hz": 7800.0
    }  # fmt: skip
    assert (encoder.normalize.mean.item(), encoder.normalize.std.item()) == pytest.approx(
        STATISTICS
    )


def test_statistics_of_the_manifest_in_the_front_end_of_the_file(tmp_path):
    corpus = Corpus(write_corpus(tmp_path), Preprocessing())
    path = save_network(tmp_path / "w.pth", AudioNTT2020(n_mels=32, dim=16))
    encoder = load_byola(path, corpus, front_end={"f_min_hz": 50.0})
    expected = log_mel_moments(corpus, LogMel(n_mels=32, f_min_hz=50.0))
    assert (encoder.normalize.mean.item(), encoder.normalize.std.item()) == pytest.approx(expected)


def transcription(weights, normalised):
    """The five layers as P§2.3 gives them, for one clip, frame by frame."""
    maps, features = normalised, []
    for block in range(3):
        names = f"features.{4 * block}.", f"features.{4 * block + 1}."
        maps = functional.conv2d(
            maps, weights[f"{names[0]}weight"], weights[f"{names[0]}bias"], padding=1
        )
        maps = functional.batch_norm(
            maps,
            *(weights[names[1] + name] for name in ("running_mean", "running_var")),
            *(weights[names[1] + name] for name in ("weight", "bias")),
        )
        maps = functional.max_pool2d(maps.relu(), 2)
        frames = [maps[0, :, :, frame].flatten() for frame in range(maps.shape[-1])]
        for _ in range(2 - block):
            if len(frames) % 2 == 1:
                frames[-2:] = [(frames[-2] + frames[-1]) / 2]
            frames = [(frames[i] + frames[i + 1]) / 2 for i in range(0, len(frames), 2)]
        padded = torch.zeros(len(frames), 2050)
        padded[:, : len(frames[0])] = torch.stack(frames)
        features.append(padded)
    flat = torch.stack([maps[0, :, :, frame].T.flatten() for frame in range(maps.shape[-1])])
    hidden = (flat @ weights["fc.0.weight"].T + weights["fc.0.bias"]).relu()
    last = (hidden @ weights["fc.3.weight"].T + weights["fc.3.bias"]).relu()
    return torch.cat([*features, hidden, last], dim=1)


# 8 T' + 0, + 2 (odd conv1), + 6 (odd conv1 and conv2) log-mel frames.
@pytest.mark.parametrize("n_frames", [24, 26, 30])
def test_layers_side_by_side_are_those_of_a_transcription(wide, layered, n_frames):
    waveform = noise(1, (n_frames - 1) * 160)
    log_mel = LogMel()(waveform)
    assert log_mel.shape[-1] == n_frames
    weights = torch.load(wide, weights_only=True)
    expected = transcription(weights, (log_mel - STATISTICS[0]) / STATISTICS[1])
    assert expected.shape == (3, 5 * 2050)
    layers = layered.layers(waveform)
    assert list(layers) == list(layered.layer_strides) == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    found = torch.cat(list(layers.values()), dim=-1)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    pooled = expected.mean(dim=0) + expected.amax(dim=0)
    torch.testing.assert_close(layered.scene(waveform)[0], pooled, atol=1e-4, rtol=0)


def test_layer_features_by_hand():
    # Channels 2, mel 2, frames 5: value = 100 channel + 10 mel + frame.
    maps = (
        100 * torch.arange(2.0)[:, None, None]
        + 10 * torch.arange(2.0)[:, None]
        + torch.tensor([1.0, 2.0, 3.0, 4.0, 8.0])
    )[None]
    # Frames 1 2 3 (4 8) -> 1 2 3 6 -> 1.5 4.5; channel outside, mel inside, then zeros.
    expected = torch.tensor([[[1.5, 11.5, 101.5, 111.5, 0, 0], [4.5, 14.5, 104.5, 114.5, 0, 0]]])
    torch.testing.assert_close(layer_features(maps, n_frames=2, dim=6), expected)


def test_layers_side_by_side_keep_the_hear_contract(layered):
    embeddings, centers_ms = layered.timestamps(noise(2, 16_000))
    # Frames of 8 log-mel frames, centred between the fourth and the fifth.
    assert centers_ms[0].tolist() == [35.0 + 80 * frame for frame in range(13)]
    assert embeddings.shape == (2, 13, 5 * 2050)


def test_hear_contract(layered, check_hear_contract):
    check_hear_contract(layered)


def test_layers_of_another_width_or_version(tmp_path):
    narrow = save_network(tmp_path / "v1.pth", AudioNTT2020(dim=512))
    with pytest.raises(BrokenFileError, match=r"v1\.pth: layer conv1 has 2048 .* width of 512"):
        load_byola(narrow, statistics=STATISTICS, layered=True)
    other = save_network(tmp_path / "v2.pth", AudioNTT2022(dim=1060))
    with pytest.raises(BrokenFileError, match=r"v2\.pth: .*not AudioNTT2022"):
        load_byola(other, statistics=STATISTICS, layered=True)


def test_bad_input(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights of BYOL-A at .*none\.pth.*nttcslab"):
        load_byola(tmp_path / "none.pth", statistics=STATISTICS)
    with pytest.raises(ValueError, match="name a bundle by its folder alone"):
        load_byola(tmp_path, statistics=STATISTICS)
    path = save_network(tmp_path / "w.pth", AudioNTT2020(dim=16))
    with pytest.raises(ValueError, match=r"w\.pth holds weights without .* give a manifest"):
        load_byola(path)
    with pytest.raises(ValueError, match="front_end: unknown key 'hop', did you mean 'hop_samp"):
        load_byola(path, statistics=STATISTICS, front_end={"hop": 3})
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(BrokenFileError, match="no AudioNTT network"):
        load_byola(path, statistics=STATISTICS)
