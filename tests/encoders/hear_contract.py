"""What the HEAR validator asks of an encoder, and what is asked of every encoder here on top."""

import pytest
import torch

TOLERANCE = 1e-5
"""Between a clip alone and in a batch, relative to the largest value of the output."""


def assert_hear_contract(encoder):
    """Run every check on an encoder behind the contract of `encoders/contract.py`."""
    _check_attributes(encoder)
    for seconds in (1.07, 1.98, 4.0):
        _check_timestamps(encoder, _noise(encoder, 2, seconds))
    _check_scene(encoder, _noise(encoder, 4, 2.74))
    # At once: sounds for which a logarithm or a division may fail, and clips shorter than a frame.
    for clip in (torch.zeros(1, encoder.sample_rate), torch.zeros(1, 1), torch.full((1, 1), 0.5)):
        _check_scene(encoder, clip)
        _check_timestamps(encoder, clip)
        _check_layers(encoder, clip)
    _check_neighbours(encoder, _noise(encoder, 3, 1.25))


def _noise(encoder, batch, seconds):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, int(encoder.sample_rate * seconds), generator=generator) * 2 - 1


def _check_attributes(encoder):
    assert encoder.sample_rate in {16_000, 22_050, 32_000, 44_100, 48_000}
    assert type(encoder.scene_embedding_size) is type(encoder.timestamp_embedding_size) is int


def _check_timestamps(encoder, waveform):
    embeddings, centres_ms = encoder.timestamps(waveform)
    assert embeddings.dtype == centres_ms.dtype == torch.float32
    assert centres_ms.ndim == 2
    assert centres_ms.shape[0] == len(waveform)
    assert embeddings.shape == (*centres_ms.shape, encoder.timestamp_embedding_size)
    assert embeddings.isfinite().all()
    assert centres_ms.min() >= 0
    assert centres_ms.max() <= 1000 * waveform.shape[1] / encoder.sample_rate
    assert (centres_ms == centres_ms[:1]).all()
    if centres_ms.shape[1] > 1:
        spacing = centres_ms.diff(dim=1)
        assert spacing.min() > 0
        assert (spacing - spacing.mean()).abs().max() <= 1
        assert (centres_ms[:, 0] <= spacing.mean()).all()


def _check_scene(encoder, waveform):
    embeddings = encoder.scene(waveform)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (len(waveform), encoder.scene_embedding_size)
    assert embeddings.isfinite().all()


def _check_layers(encoder, waveform):
    layers = encoder.layers(waveform)
    assert list(layers) == list(encoder.layer_strides)
    for name, output in layers.items():
        assert output.ndim in {3, 4}, name
        assert output.dtype == torch.float32, name
        assert len(output) == len(waveform), name
        assert output.shape[-1 if output.ndim == 4 else 1] > 0, name
        assert output.isfinite().all(), name


def _check_neighbours(encoder, waveform):
    # Neighbours far louder and all silent, so that what leaks from them is seen.
    waveform = waveform * torch.tensor([[0.01], [1.0], [0.0]])
    together = _everything(encoder, waveform)
    for number in range(len(waveform)):
        alone = _everything(encoder, waveform[number : number + 1])
        assert alone.keys() == together.keys()
        for name, output in alone.items():
            expected = together[name][number : number + 1]
            largest = expected.abs().max().item()
            assert output.shape == expected.shape, name
            assert (output - expected).abs().max().item() == pytest.approx(
                0, abs=TOLERANCE * max(1, largest)
            ), f"{name} of clip {number} depends on what else is in the batch"


def _everything(encoder, waveform):
    embeddings, _ = encoder.timestamps(waveform)
    layers = {f"layer {name}": output for name, output in encoder.layers(waveform).items()}
    return {"scene": encoder.scene(waveform), "timestamps": embeddings, **layers}
