import functools

import librosa
import numpy as np
import pytest
import torch
from torch.nn import functional

from byola_diff.encoders import cnn14
from byola_diff.encoders.cnn14 import (
    Cnn14,
    Cnn14Encoder,
    Cnn14LogMel,
    load_cnn14,
    untrained_cnn14,
)
from byola_diff.storage import BrokenFileError

FRONT_ENDS = {16_000: (512, 160, 8000), 32_000: (1024, 320, 14_000)}
"""Window, hop and upper edge by rate."""
CHANNELS = 2
DIM = 32 * CHANNELS


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    # 2 channels in the first block instead of 64: a thousandth of the weights.
    monkeypatch.setattr(cnn14, "Cnn14", functools.partial(Cnn14, channels=CHANNELS))


@pytest.fixture(scope="module")
def network():
    """Random weights, and statistics that are not those of a new batch normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Cnn14(CHANNELS)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for values in (module.weight, module.bias, module.running_mean):
                    torch.nn.init.normal_(values, std=0.5)
                torch.nn.init.uniform_(module.running_var, 0.5, 2)
        network.bn0.running_mean.sub_(40)
        network.bn0.running_var.mul_(100)
    return network


@pytest.fixture(scope="module")
def encoder(network):
    return Cnn14Encoder(network)


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def mel_bank(rate):
    n_fft, _, f_max_hz = FRONT_ENDS[rate]
    return librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=64, fmin=50, fmax=f_max_hz)


def reference_decibels(samples, rate):
    """The released front end, written from its description, with the mel bank of librosa."""
    n_fft, hop, _ = FRONT_ENDS[rate]
    padded = np.pad(samples, n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    starts = range(0, len(samples) + 1, hop)
    power = [np.abs(np.fft.rfft(padded[start : start + n_fft] * window)) ** 2 for start in starts]
    return 10 * np.log10(np.maximum(np.array(power) @ mel_bank(rate).T, 1e-10))


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_front_end(rate):
    n_samples = rate // 5 + 7
    waveform = 0.1 * noise(2, n_samples)
    waveform[1] = 0.5 * torch.sin(torch.arange(n_samples) * 0.3)
    found = Cnn14LogMel(rate)(waveform)[:, 0].numpy()
    assert found.shape == (2, 21, 64)
    expected = np.stack([reference_decibels(clip, rate) for clip in waveform.double().numpy()])
    np.testing.assert_allclose(found[0], expected[0], atol=0.01, rtol=0)
    # Far from a tone there is less power than float32 resolves.
    loud = expected[1] > expected[1].max() - 60
    assert loud.mean() > 0.1
    np.testing.assert_allclose(found[1][loud], expected[1][loud], atol=0.01, rtol=0)


def test_front_end_of_silence():
    assert (Cnn14LogMel(16_000)(torch.zeros(1, 600)) == -100).all()


@pytest.mark.parametrize("rate", FRONT_ENDS)
@pytest.mark.parametrize(("seconds", "frames"), [(1, 101), (5, 501)])
def test_layer_shapes_are_those_of_the_table(network, rate, seconds, frames):
    encoder = Cnn14Encoder(network, rate)
    layers = encoder.layers(noise(1, rate * seconds))
    assert list(layers) == list(encoder.layer_strides) == list("123456")
    for number in range(1, 6):
        stride = 2**number
        shape = (1, CHANNELS * 2 ** (number - 1), 64 // stride, frames // stride)
        assert layers[str(number)].shape == shape
        assert encoder.layer_strides[str(number)] == stride
    assert layers["6"].shape == (1, DIM, 2, {101: 3, 501: 15}[frames])
    assert encoder.layer_strides["6"] == 32


def test_layers_equal_a_functional_network(encoder, network):
    waveform = noise(2, 16_000)
    log_mel = Cnn14LogMel(16_000)(waveform)
    state = network.state_dict()

    def norm(maps, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(maps, *(state[f"{name}.{part}"] for part in names))

    maps = norm(log_mel.permute(0, 3, 2, 1), "bn0").permute(0, 3, 2, 1)
    layers = encoder.layers(waveform)
    for number in range(1, 7):
        for part in (1, 2):
            block = f"conv_block{number}"
            maps = functional.conv2d(maps, state[f"{block}.conv{part}.weight"], padding=1)
            maps = norm(maps, f"{block}.bn{part}").clamp_min(0)
        if number < 6:
            maps = functional.avg_pool2d(maps, 2)
        torch.testing.assert_close(layers[str(number)], maps.transpose(2, 3))
    frames = maps.mean(3).transpose(1, 2)
    pooled = frames.mean(1) + frames.amax(1)
    weight, bias = state["fc1.weight"], state["fc1.bias"]
    scene = functional.linear(pooled, weight, bias).clamp_min(0)
    torch.testing.assert_close(encoder.scene(waveform), scene)
    assert 0 < scene.count_nonzero() < scene.numel()
    embeddings, _ = encoder.timestamps(waveform)
    torch.testing.assert_close(embeddings, functional.linear(frames, weight, bias).clamp_min(0))


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_timestamps_are_centres_of_32_frames(network, rate):
    encoder = Cnn14Encoder(network, rate)
    _, centres_ms = encoder.timestamps(noise(1, rate + rate // 8))
    # Frames lie at 0, 10, ..., 310 ms, and so on.
    assert centres_ms.tolist() == [[155, 475, 795, 1115]]


def test_windows_are_one_pass_but_for_the_seams(encoder, network):
    waveform, windowed = noise(1, 16_000 * 6), Cnn14Encoder(network, window_s=3.2)
    assert windowed.window_samples == 51_200
    expected = encoder.layers(waveform)
    for name, output in windowed.layers(waveform).items():
        assert output.shape == expected[name].shape
        # Two convolutions at each stride from 1 to 32 reach 126 frames over the seam, at 320.
        stop, start = (hops // encoder.layer_strides[name] for hops in (320 - 128, 320 + 128))
        for part in (slice(0, stop), slice(start, None)):
            torch.testing.assert_close(output[..., part], expected[name][..., part])
    found, whole = windowed.timestamps(waveform), encoder.timestamps(waveform)
    assert torch.equal(found[1], whole[1])
    torch.testing.assert_close(found[0][:, :6], whole[0][:, :6])


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_contract(network, rate, check_hear_contract):
    check_hear_contract(Cnn14Encoder(network, rate))


def test_names_and_shapes_of_the_published_files():
    with torch.device("meta"):
        network = Cnn14()
    norms = {"bn0": 64}
    expected = {"fc1.weight": (2048, 2048), "fc1.bias": (2048,)}
    widths = [1, 64, 128, 256, 512, 1024, 2048]
    for number in range(1, 7):
        block = f"conv_block{number}"
        norms |= {f"{block}.bn1": widths[number], f"{block}.bn2": widths[number]}
        expected[f"{block}.conv1.weight"] = (widths[number], widths[number - 1], 3, 3)
        expected[f"{block}.conv2.weight"] = (widths[number], widths[number], 3, 3)
    for name, width in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{name}.{part}"] = (width,)
        expected[f"{name}.num_batches_tracked"] = ()
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert found == expected
    # The paper counts 80,753,615, with its classifier of 527 classes.
    n_weights = sum(weight.numel() for weight in network.parameters())
    assert n_weights + 527 * (2048 + 1) == 80_753_615


def published(network, rate):
    """What a published file holds, but for the state of its sampler."""
    n_fft = FRONT_ENDS[rate][0]
    return {"iteration": 600_000, "model": network.state_dict()} | {
        "model": {
            "spectrogram_extractor.stft.conv_real.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
            "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
            "logmel_extractor.melW": torch.from_numpy(mel_bank(rate).T.copy()),
            **network.state_dict(),
            "fc_audioset.weight": torch.zeros(527, DIM),
            "fc_audioset.bias": torch.zeros(527),
        }
    }


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_published_files_load(tmp_path, network, rate):
    torch.save(published(network, rate), tmp_path / "cnn14.pth")
    loaded = load_cnn14(str(tmp_path / "cnn14.pth"), rate)
    assert loaded.sample_rate == rate
    waveform = noise(1, rate)
    assert torch.equal(loaded.scene(waveform), Cnn14Encoder(network, rate).scene(waveform))
    weights = loaded.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())


def test_weights_without_a_mel_bank_could_be_of_any_rate(tmp_path, network):
    content = published(network, 16_000)["model"]
    del content["logmel_extractor.melW"]
    torch.save(content, tmp_path / "cnn14.pth")
    with pytest.raises(BrokenFileError, match=r"lacks logmel_extractor\.melW.*same shapes"):
        load_cnn14(tmp_path / "cnn14.pth")


@pytest.mark.parametrize(("rate", "asked"), [(16_000, 32_000), (32_000, 16_000)])
def test_weights_for_the_other_rate_are_refused(tmp_path, network, rate, asked):
    torch.save(published(network, rate), tmp_path / "cnn14.pth")
    with pytest.raises(BrokenFileError, match=f"at {asked} Hz.*give sample_rate={rate}"):
        load_cnn14(tmp_path / "cnn14.pth", asked)


def test_another_mel_bank_of_the_same_shape_is_refused(tmp_path, network):
    content = published(network, 16_000)
    other = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=64, fmin=50, fmax=8000, htk=True)
    content["model"]["logmel_extractor.melW"] = torch.from_numpy(other.T.copy())
    torch.save(content, tmp_path / "cnn14.pth")
    with pytest.raises(BrokenFileError, match=r"mel bank \[257, 64\] is not .* 16000 Hz$"):
        load_cnn14(tmp_path / "cnn14.pth")


def test_other_files_are_refused(tmp_path, network):
    with pytest.raises(FileNotFoundError, match=r"Cnn14_16k_mAP=0\.438\.pth.*zenodo"):
        load_cnn14(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match=r"Cnn14_mAP=0\.431\.pth"):
        load_cnn14(tmp_path / "none.pth", 32_000)
    with pytest.raises(ValueError, match=r"\(16000, 32000\), not 8000"):
        load_cnn14(tmp_path / "none.pth", 8000)
    torch.save({"features.0.weight": torch.ones(64, 1, 3, 3)}, tmp_path / "vggish.pth")
    with pytest.raises(BrokenFileError, match=r"another architecture.*missing: bn0.*features"):
        load_cnn14(tmp_path / "vggish.pth")
    torch.save(network.state_dict() | {"fc1.bias": torch.full((DIM,), torch.inf)}, tmp_path / "a")
    with pytest.raises(BrokenFileError, match=r"infinite.*fc1\.bias"):
        load_cnn14(tmp_path / "a")


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_untrained_weights_depend_on_the_seed_alone(rate):
    first = untrained_cnn14(0, rate)
    assert first.sample_rate == rate
    torch.manual_seed(123)
    second, third = untrained_cnn14(0, rate).state_dict(), untrained_cnn14(1, rate).state_dict()
    for name, value in first.state_dict().items():
        assert torch.equal(second[name], value)
        assert torch.equal(third[name], value) == (value.ndim < 2)
