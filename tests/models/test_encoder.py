"""The encoder contract, and every check of the HEAR validator."""

import warnings

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.audio.waveform import checked_waveform
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.pooling import mean_max_pool

NETWORKS = {
    "2022": (AudioNTT2022, 1060, 4),
    "2020": (AudioNTT2020, 48, 8),
}


def make_encoder(kind="2022", **front_end):
    network, dim, _ = NETWORKS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = network(dim=dim)
        for layer in network.features:  # as after training: statistics that do something
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(layer.running_mean, -0.2, 0.2)
                torch.nn.init.uniform_(layer.running_var, 0.5, 2)
        return AudioEncoder(LogMel(**front_end), Normalize(-9.0, 4.5), network)


@pytest.fixture(scope="module", params=list(NETWORKS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(kind):
    return make_encoder(kind)


def noise(batch, n_samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, n_samples, generator=generator) * 2 - 1


def test_attributes_are_python_integers(encoder, kind):
    for name in ("sample_rate", "scene_embedding_size", "timestamp_embedding_size"):
        assert type(getattr(encoder, name)) is int
    assert encoder.sample_rate == 16_000
    assert encoder.scene_embedding_size == NETWORKS[kind][1]


@pytest.mark.parametrize("seconds", [1.07, 1.98, 4.0])
def test_hear_validator_timestamps(encoder, kind, seconds):
    embeddings, centers = encoder.timestamps(noise(2, int(seconds * 16_000)))
    end = 1000 * seconds
    assert embeddings.dtype == centers.dtype == torch.float32
    assert embeddings.ndim == 3
    assert centers.ndim == 2
    assert embeddings.shape[:2] == centers.shape
    assert embeddings.shape[::2] == (2, encoder.timestamp_embedding_size)
    spacing = centers.diff(dim=1)
    assert (spacing - spacing.mean()).abs().max() < 1e-3
    assert centers.max() <= end
    # What it warns about. The 80 ms of AudioNTT2020 are a warning that we accept.
    if kind == "2022":
        assert spacing.max() <= 50
        assert centers[:, -1].min() >= end - 50
    assert centers[:, 0].max() <= spacing.mean()
    assert centers[:, -1].min() >= end - spacing.mean()


def test_hear_validator_scene(encoder):
    embeddings = encoder.scene(noise(4, int(2.74 * 16_000)))
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (4, encoder.scene_embedding_size)


@pytest.mark.parametrize(("kind", "expected"), [("2022", [15, 55, 95]), ("2020", [35, 115])])
def test_centers_by_hand(kind, expected):
    # 0.12 s: frames centred at 15, 55, 95 ms, and 135 ms is past the end.
    _, centers = make_encoder(kind).timestamps(noise(2, 1920))
    assert centers.tolist() == [expected, expected]


def test_every_frame_centred_in_the_clip_is_there(encoder, kind):
    stride = NETWORKS[kind][2]
    for n_samples in range(1500, 4700, 37):
        _, centers = encoder.timestamps(noise(1, n_samples))
        first, spacing = (stride - 1) * 5, stride * 10
        expected = [first + k * spacing for k in range(100)]
        assert centers[0].tolist() == [c for c in expected if c <= n_samples / 16]


def test_centers_do_not_drift_where_a_hop_is_no_whole_number_of_ms():
    encoder = make_encoder(sample_rate=22_050, hop_samples=220)
    _, centers = encoder.timestamps(noise(1, 60 * 22_050))
    index = torch.arange(centers.shape[1], dtype=torch.float64)
    exact = (index * 4 + 1.5) * 220 / 22.05
    torch.testing.assert_close(centers[0].double(), exact, rtol=0, atol=5e-3)
    assert centers[0, -1] > 60_000 - 40


def test_whole_frames_agree_with_the_parts_run_by_hand(encoder):
    waveform = noise(2, 15_200)
    frames = encoder.network(encoder.normalize(encoder.log_mel(waveform)))
    torch.testing.assert_close(encoder.timestamps(waveform)[0], frames, rtol=0, atol=1e-6)
    torch.testing.assert_close(encoder.scene(waveform), mean_max_pool(frames), rtol=0, atol=1e-5)


def test_a_peak_in_a_frame_shows_up_at_its_center(encoder):
    waveform = torch.zeros(1, 32_000)
    waveform[0, 16_000:16_160] = noise(1, 160)
    frames, centers = encoder.timestamps(waveform)
    change = (frames - frames[:, :1]).square().sum(-1)[0, 2:-2]
    at = centers[0, 2:-2][change.argmax()]
    assert abs(at - 1005) <= encoder.frame_spacing_ms


@pytest.mark.parametrize("n_samples", [48_000, 50_001, 51_333, 63_999])
def test_windows_give_the_result_of_one_pass(encoder, n_samples):
    waveform = noise(2, n_samples)
    whole = encoder.scene(waveform), encoder.timestamps(waveform)[0], encoder.layers(waveform)
    encoder.window_samples = 48 * 160
    try:
        parts = encoder.scene(waveform), encoder.timestamps(waveform)[0], encoder.layers(waveform)
    finally:
        encoder.window_samples = 4096 * 160
    for one, other in zip(whole[:2], parts[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert list(whole[2]) == list(parts[2])
    for name, layer in whole[2].items():
        torch.testing.assert_close(layer, parts[2][name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_three_minutes_in_windows():
    encoder = make_encoder("2020", window_samples=400, n_fft=400)
    waveform = noise(1, 3 * 60 * 16_000)
    encoder.window_samples = 20_000 * 160
    whole = encoder.timestamps(waveform)[0]
    encoder.window_samples = 1000 * 160
    torch.testing.assert_close(encoder.timestamps(waveform)[0], whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(encoder.scene(waveform), mean_max_pool(whole), rtol=0, atol=1e-5)


def test_layers_are_those_of_the_network(encoder):
    waveform = noise(2, 16_000)
    layers = encoder.layers(waveform)
    expected = encoder.network.layers(encoder.normalize(encoder.log_mel(waveform)))
    assert list(layers) == list(expected)
    for name, layer in layers.items():
        torch.testing.assert_close(layer, expected[name], rtol=0, atol=1e-6)
    pooled = mean_max_pool(layers["output"])
    torch.testing.assert_close(pooled, encoder.scene(waveform), rtol=0, atol=1e-5)


def test_same_input_same_bits(encoder):
    waveform = noise(3, 20_000)
    torch.testing.assert_close(encoder.scene(waveform), encoder.scene(waveform), rtol=0, atol=0)


def test_neighbours_in_the_batch_do_not_matter(encoder):
    waveform = noise(5, 20_000)
    other = torch.cat([waveform[:1], torch.zeros(1, 20_000), 0.01 * noise(2, 20_000, seed=1)])
    alone = encoder.scene(waveform[:1])
    for batch in (waveform, other):
        torch.testing.assert_close(encoder.scene(batch)[:1], alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            encoder.timestamps(batch)[0][:1], encoder.timestamps(waveform[:1])[0], rtol=0, atol=1e-5
        )


def test_batches_beyond_one_pass_are_split(encoder):
    waveform = noise(5, 8000)
    whole = encoder.scene(waveform), encoder.timestamps(waveform), encoder.layers(waveform)
    encoder.window_samples = 110 * 160  # two clips of 51 frames
    try:
        split = encoder.scene(waveform), encoder.timestamps(waveform), encoder.layers(waveform)
    finally:
        encoder.window_samples = 4096 * 160
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 2, 100, 512, 513, 514, 1119, 1120, 1121])
def test_short_clips_give_one_finite_frame(encoder, n_samples):
    waveform = noise(2, n_samples)
    scene, (frames, centers) = encoder.scene(waveform), encoder.timestamps(waveform)
    assert scene.shape == (2, encoder.scene_embedding_size)
    assert scene.isfinite().all()
    assert frames.shape[1] == centers.shape[1] >= 1
    assert frames.isfinite().all()
    assert centers.max() <= n_samples / 16
    assert all(layer.isfinite().all() for layer in encoder.layers(waveform).values())


def test_short_clips_are_padded_on_the_right(encoder):
    waveform = noise(1, 400)
    padded = torch.nn.functional.pad(waveform, (0, 1120 - 400))
    if encoder.network.frame_stride == 4:
        padded = padded[:, :513]
    torch.testing.assert_close(encoder.scene(waveform), encoder.scene(padded), rtol=0, atol=0)


def test_silence_is_finite(encoder):
    for n_samples in (1, 16_000):
        assert encoder.scene(torch.zeros(1, n_samples)).isfinite().all()
        assert encoder.timestamps(torch.zeros(1, n_samples))[0].isfinite().all()


def test_never_leaves_eval_mode(encoder):
    waveform = noise(2, 16_000)
    before = encoder.scene(waveform)
    buffers = {name: value.clone() for name, value in encoder.named_buffers()}
    assert encoder.train() is encoder
    assert not any(module.training for module in encoder.modules())
    torch.testing.assert_close(encoder.scene(waveform), before, rtol=0, atol=0)
    torch.testing.assert_close(dict(encoder.named_buffers()), buffers, rtol=0, atol=0)


def test_output_is_float32_without_gradient_and_fit_to_train_on(encoder):
    waveform = noise(1, 16_000).double().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        embedding = encoder.scene(waveform)
    torch.testing.assert_close(embedding, encoder.scene(waveform), rtol=0, atol=0)
    assert embedding.dtype == torch.float32
    assert not embedding.requires_grad
    probe = torch.nn.Linear(encoder.scene_embedding_size, 2)
    probe(embedding).sum().backward()  # inference tensors would refuse
    assert probe.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.bool])
def test_refuses_integers(encoder, dtype):
    with pytest.raises(TypeError, match="divide 16-bit samples by 32768"):
        encoder.scene(torch.ones(1, 16_000, dtype=dtype))


def test_refuses_arrays():
    # Of the whole method only this part: run-time type checks, on in tests, would refuse earlier.
    with pytest.raises(TypeError, match=r"not ndarray.*from_numpy"):
        checked_waveform(torch.zeros(1, 16_000).numpy())


@pytest.mark.parametrize("shape", [(16_000,), (1, 1, 16_000), (0, 16_000), (2, 0)])
def test_refuses_other_shapes(encoder, shape):
    for method in (encoder.scene, encoder.timestamps, encoder.layers):
        with pytest.raises(ValueError, match=r"\[batch, sample\]"):
            method(torch.zeros(shape))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_refuses_samples_that_are_not_finite(encoder, bad):
    waveform = torch.zeros(3, 1600)
    waveform[1, 7] = bad
    with pytest.raises(ValueError, match=r"clips \[1\]"):
        encoder.scene(waveform)


def test_warns_of_unscaled_samples(encoder):
    with pytest.warns(UserWarning, match="3.277e\\+04, expected"):
        assert encoder.scene(32_768 * noise(1, 16_000).sign()).isfinite().all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.scene(1.4 * noise(1, 16_000))


def test_refuses_parts_that_do_not_fit():
    with pytest.raises(ValueError, match="32 mel bands, the network takes 64"):
        AudioEncoder(LogMel(n_mels=32), Normalize(0.0, 1.0), AudioNTT2020(dim=8))
