import functools

import numpy as np
import pytest
import torch

from byola_diff.encoders import vggish
from byola_diff.encoders.vggish import (
    Vggish,
    VggishEncoder,
    VggishLogMel,
    load_vggish,
    untrained_vggish,
)
from byola_diff.storage import BrokenFileError

CONVS = {"2": (64, 64, 96), "5": (128, 32, 48), "8": (256, 16, 24), "10": (256, 16, 24)} | {
    "13": (512, 8, 12),
    "15": (512, 8, 12),
}
"""Channels, mel bands and frames per segment in Table I."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    # 16 hidden units instead of 4096: 5 million weights instead of 72.
    monkeypatch.setattr(vggish, "Vggish", functools.partial(Vggish, hidden=16))


@pytest.fixture(scope="module")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VggishEncoder(Vggish(hidden=16))


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def reference_log_mel(samples):
    """The released front end, written from its description, one frame and band at a time."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    bins = mel(np.arange(257) * 8000 / 256)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        magnitude = np.abs(np.fft.rfft(samples[start : start + 400] * window, 512))
        magnitude[0] = 0
        row = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
            row.append(np.log(magnitude @ np.clip(np.minimum(rise, fall), 0, None) + 0.01))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("n_samples", [400, 559, 560, 4000])
def test_front_end(n_samples):
    waveform = noise(2, n_samples)
    waveform[1] = 0.5 + 0.3 * torch.sin(torch.arange(n_samples) * 0.2)  # a tone and an offset
    found = VggishLogMel()(waveform)
    assert found.shape == (2, 1 + (n_samples - 400) // 160, 64)
    expected = np.stack([reference_log_mel(clip) for clip in waveform.double().numpy()])
    np.testing.assert_allclose(found.numpy()[0], expected[0], atol=1e-4, rtol=0)
    # Beside a tone float32 leaves 1e-6 of its magnitude, near the 0.01 under the logarithm.
    np.testing.assert_allclose(found.numpy()[1], expected[1], atol=2e-3, rtol=0)


def test_front_end_of_silence():
    found = VggishLogMel()(torch.zeros(1, 400))
    torch.testing.assert_close(found, torch.full((1, 1, 64), 0.01).log())


@pytest.mark.parametrize(("seconds", "segments"), [(1, 1), (2.5, 2), (5, 5), (5.8, 6)])
def test_layer_shapes_are_those_of_the_table(encoder, seconds, segments):
    layers = encoder.layers(noise(1, int(16_000 * seconds)))
    for name, (channels, mel, frames) in CONVS.items():
        assert layers[name].shape == (1, channels, mel, frames * segments), name
        assert encoder.layer_strides[name] == 96 // frames
        assert channels * mel == 4096
    for name in ("18", "20", "22"):
        assert layers[name].shape == (1, 6 * segments, 128 if name == "22" else 16), name
        assert encoder.layer_strides[name] == 16
    assert list(layers) == list(encoder.layer_strides) == [*CONVS, "18", "20", "22"]
    assert all(output.min() >= 0 for output in layers.values())


def test_layers_are_outputs_of_the_numbered_modules(encoder):
    network, waveform = encoder.network, noise(1, 15_600)
    values = encoder.front_end(waveform)[None]  # one segment: [1, 1, time, mel]
    layers = encoder.layers(waveform)
    for number, module in enumerate(network.features, start=1):
        values = module(values)
        if str(number) in CONVS:
            torch.testing.assert_close(layers[str(number)], values.transpose(2, 3))
    values = values.permute(0, 2, 3, 1).reshape(1, 12_288)
    for number, module in enumerate(network.fc, start=17):
        values = module(values)
        if number % 2 == 0:
            torch.testing.assert_close(layers[str(number)], values[:, None].expand(1, 6, -1))
    torch.testing.assert_close(encoder.scene(waveform), 2 * values)


def test_dense_layers_read_time_then_frequency_then_channel(encoder):
    log_mel = noise(1, 96 * 64).reshape(1, 1, 96, 64)
    network = Vggish(hidden=16)
    network.features.load_state_dict(encoder.network.features.state_dict())
    time, mel, channel = 4, 1, 300
    with torch.no_grad():
        network.fc[0].weight.zero_()
        network.fc[0].bias.zero_()
        network.fc[0].weight[7, time * 4 * 512 + mel * 512 + channel] = 1
        found = network.layers(log_mel)["18"][0]
        maps = network.features(log_mel)
    assert maps.shape == (1, 512, 6, 4)
    assert found[7] == maps[0, channel, time, mel]
    assert found.count_nonzero() <= 1


def test_segments_follow_each_other_in_time(encoder):
    waveform = noise(2, 2 * 15_360 + 240)
    both = encoder.layers(waveform)
    first, second = encoder.layers(waveform[:, :15_600]), encoder.layers(waveform[:, 15_360:])
    for name, output in both.items():
        axis = -1 if output.ndim == 4 else 1
        torch.testing.assert_close(output, torch.cat([first[name], second[name]], axis))


def test_scene_pools_the_segments_and_drops_the_tail(encoder):
    waveform = noise(2, 40_000)
    embeddings = torch.stack(
        [encoder.scene(part) / 2 for part in (waveform[:, :15_600], waveform[:, 15_360:30_960])], 1
    )
    scene = encoder.scene(waveform)
    torch.testing.assert_close(scene, embeddings.mean(1) + embeddings.amax(1))
    torch.testing.assert_close(encoder.scene(waveform[:, :30_960]), scene)


def test_one_timestamp_per_segment(encoder):
    embeddings, centres_ms = encoder.timestamps(noise(2, 64_000))
    assert centres_ms.tolist() == 2 * [[487.5, 1447.5, 2407.5, 3367.5]]
    torch.testing.assert_close(embeddings, encoder.layers(noise(2, 64_000))["22"][:, ::6])


def test_long_clips_do_not_depend_on_the_window(encoder):
    waveform, windowed = noise(1, 70_000), VggishEncoder(encoder.network, window_s=2.0)
    assert windowed.window_samples == 2 * 15_360
    torch.testing.assert_close(windowed.scene(waveform), encoder.scene(waveform))
    expected = encoder.layers(waveform)
    for name, output in windowed.layers(waveform).items():
        torch.testing.assert_close(output, expected[name])


def test_contract(encoder, check_hear_contract):
    check_hear_contract(encoder)


def test_names_and_shapes_of_the_published_files():
    with torch.device("meta"):
        state = Vggish().state_dict()
    convs = [(0, 64, 1), (3, 128, 64), (6, 256, 128), (8, 256, 256), (11, 512, 256), (13, 512, 512)]
    expected = {}
    for index, channels_out, channels_in in convs:
        expected[f"features.{index}.weight"] = (channels_out, channels_in, 3, 3)
        expected[f"features.{index}.bias"] = (channels_out,)
    for index, rows, columns in [(0, 4096, 12_288), (2, 4096, 4096), (4, 128, 4096)]:
        expected[f"fc.{index}.weight"], expected[f"fc.{index}.bias"] = (rows, columns), (rows,)
    assert {name: tuple(value.shape) for name, value in state.items()} == expected
    assert sum(value.numel() for value in state.values()) == 72_141_184


@pytest.mark.parametrize("naming", ["fc", "embeddings"])
def test_published_files_load(tmp_path, encoder, naming):
    weights = {
        name.replace("fc.", f"{naming}."): value
        for name, value in encoder.network.state_dict().items()
    }
    if naming == "embeddings":
        weights["pproc.pca_means"] = torch.ones(128, 1)
    torch.save(weights, tmp_path / "vggish.pth")
    loaded = load_vggish(str(tmp_path / "vggish.pth"))
    assert not any(weight.requires_grad for weight in loaded.parameters())
    waveform = noise(1, 16_000)
    assert torch.equal(loaded.scene(waveform), encoder.scene(waveform))


def test_other_files_are_refused(tmp_path, encoder):
    with pytest.raises(FileNotFoundError, match=r"VGGish.*pytorch_vggish\.pth.*tcvrick"):
        load_vggish(tmp_path / "none.pth")
    torch.save({"bn0.weight": torch.ones(64)}, tmp_path / "cnn14.pth")
    with pytest.raises(BrokenFileError, match=r"another architecture.*missing: features.*bn0"):
        load_vggish(tmp_path / "cnn14.pth")
    broken = encoder.network.state_dict() | {"fc.4.bias": torch.full((128,), float("nan"))}
    torch.save(broken, tmp_path / "nan.pth")
    with pytest.raises(BrokenFileError, match=r"NaN.*fc\.4\.bias"):
        load_vggish(tmp_path / "nan.pth")


def test_untrained_weights_depend_on_the_seed_alone():
    first = untrained_vggish(0).state_dict()
    torch.manual_seed(123)
    second, third = untrained_vggish(0).state_dict(), untrained_vggish(1).state_dict()
    assert all(torch.equal(second[name], value) for name, value in first.items())
    assert not any(torch.equal(third[name], value) for name, value in first.items())
