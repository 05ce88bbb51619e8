import copy

import pytest
import torch
from torch import nn

from byola_diff.audio.log_mel import LogMel, log_mix
from byola_diff.augment.crop import Span, resize_crop
from byola_diff.augment.fader import fade
from byola_diff.augment.mixup import MixupMemory
from byola_diff.clips.stored import PackedSource, ResidentSource
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.norm_relu_pool import norm_relu_pool
from byola_diff.models.pair import OnlineTargetPair
from byola_diff.sounds import training_batch
from byola_diff.store.packed import PackedStore
from byola_diff.training.objective import Objective


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected, atol):
    assert found.shape == expected.shape
    difference = (found.cpu().double() - expected.double()).abs().max().item()
    assert difference <= atol, f"{difference} apart, {atol} allowed"


@pytest.mark.parametrize("n_fft", [400, 1024])
def test_front_end(device, n_fft):
    log_mel = LogMel(window_samples=n_fft, n_fft=n_fft, f_min_hz=60.0, f_max_hz=7800.0)
    waveform = uniform(16, 15_200) - 0.5
    waveform[0] = 0
    expected = log_mel(waveform)
    assert_close(copy.deepcopy(log_mel).to(device)(waveform.to(device)), expected, 2e-4)


def test_crop(device):
    log_mel, draws = uniform(64, 1, 64, 96), uniform(4, 64, seed=1)
    mel = Span((draws[0] * 20).long(), 1 + (draws[1] * 40).long())
    frame = Span((draws[2] * 60).long() - 24, 1 + (draws[3] * 80).long())
    expected = resize_crop(log_mel.double(), mel, frame)
    spans = [Span(*(value.to(device) for value in span)) for span in (mel, frame)]
    assert_close(resize_crop(log_mel.to(device), *spans), expected, 2e-5)


def test_mixup_and_fader(device):
    first, second = 8 * uniform(32, 1, 64, 96) - 4, 8 * uniform(32, 1, 64, 96, seed=1) - 4
    share, ends = 0.4 * uniform(32, seed=2), uniform(2, 32, seed=3)
    share[0] = 0
    there = [value.to(device) for value in (first, second, share)]
    assert_close(log_mix(*there), log_mix(first.double(), second.double(), share.double()), 1e-5)
    assert_close(fade(there[0], *ends.to(device)), fade(first, *ends), 1e-6)


def test_mixup_memory(device):
    here, there = MixupMemory(4, 3, size=7), MixupMemory(4, 3, size=7).to(device)
    for seed in range(3):
        batch = uniform(4, 1, 4, 3, seed=seed)
        here.write(batch)
        there.write(batch.to(device))
    assert torch.equal(there.clips.cpu(), here.clips)
    position = uniform(16, seed=9)
    assert torch.equal(there.read(position.to(device)).cpu(), here.read(position))


def test_norm_relu_pool(device):
    """The three modules on the device against the fused step of the CPU, values and gradients."""
    maps = uniform(8, 64, 32, 48) - 0.5
    norm = nn.BatchNorm2d(64)
    with torch.no_grad():
        norm.weight.copy_(uniform(64, seed=1) - 0.3)  # negative scales among them
        norm.bias.copy_(uniform(64, seed=2) - 0.5)
    there = copy.deepcopy(norm).to(device)
    inputs = [maps.clone().requires_grad_(), maps.to(device).requires_grad_()]
    pooled = [
        norm_relu_pool(inputs[0], norm),
        nn.functional.max_pool2d(there(inputs[1]).relu(), 2),
    ]
    for output in pooled:
        (output * output).sum().backward()
    assert_close(pooled[1], pooled[0], 1e-5)
    for name in ("weight", "bias"):
        gradients = [getattr(one, name).grad for one in (there, norm)]
        assert_close(gradients[0], gradients[1], 2e-5 * gradients[1].abs().max().item())
    for name in ("running_mean", "running_var"):
        assert_close(getattr(there, name), getattr(norm, name), 1e-6)
    assert_close(inputs[1].grad, inputs[0].grad, 1e-4)


def make_pair():
    torch.manual_seed(0)
    pair = OnlineTargetPair(AudioNTT2022(dim=1100), projection_hidden=64, projection_dim=32)
    for module in pair.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # masks of the two devices differ
    return pair


def test_objective_and_gradients_against_float64(device, monkeypatch):
    first, second = (2 * uniform(16, 1, 64, 96, seed=seed) - 1 for seed in (0, 1))
    # Both mixing rates are fixed, as generators of the two devices differ.
    objective = Objective(difference_weight=0.5, rate_range=(0.4, 0.4))
    pair = make_pair().to(device)
    found = objective(pair, first.to(device), second.to(device), torch.Generator(device))
    found["total"].backward()

    oracle = make_pair().double()
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # the oracle stays in float64
        expected = objective(oracle, first.double(), second.double(), torch.Generator())
        expected["total"].backward()
    for term in ("total", "byol", "difference"):
        assert found[term].item() == pytest.approx(expected[term].item(), abs=2e-5)
    for (name, weight), wanted in zip(pair.named_parameters(), oracle.parameters(), strict=True):
        assert (weight.grad is None) == (wanted.grad is None), name
        if wanted.grad is not None:
            # As a whole: rounding moves a maximum to its neighbour here and there, and with it the
            # gradient. A bias before a batch normalisation has none but rounding.
            error = (weight.grad.cpu().double() - wanted.grad).norm() / (wanted.grad.norm() + 1e-3)
            assert error < 0.02, name


def test_resident_store_gives_the_crops_of_the_disk(device, store):
    packed = PackedStore.open(store)
    resident = ResidentSource(packed, crop_samples=5120, seed=3, device=device)
    on_disk = PackedSource(packed, crop_samples=5120, seed=3)
    clips = torch.tensor([3, 0, 9, 9, 5])
    for epoch in (0, 4):
        waveform = resident.batch(epoch, clips, device)
        assert waveform.device.type == device.type
        assert torch.equal(waveform.cpu(), on_disk.batch(epoch, clips))


def test_sounds(device):
    here = training_batch(0, torch.arange(64), 15_200, 16_000)
    there = training_batch(0, torch.arange(64, device=device), 15_200, 16_000).cpu()
    error = (here - there).norm(dim=1) / here.norm(dim=1)
    assert error.median() < 1e-3  # an event may fall on the next sample in a clip or two
