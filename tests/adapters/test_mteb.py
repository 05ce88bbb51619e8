import numpy as np
import pytest
import torch

from byola_diff.adapters.mteb import MtebEncoder
from byola_diff.audio.resample import resample
from tests.adapters.level_encoder import SPEC
from tests.helpers import uniform_noise

TASK = {"task_metadata": None, "hf_split": "test", "hf_subset": "default", "prompt_type": None}


@pytest.fixture
def model():
    return MtebEncoder("byola-diff/level", "1", encoder_spec=SPEC, device="cpu")


def item(samples, sampling_rate=8000):
    return {"array": np.asarray(samples, dtype=np.float32), "sampling_rate": sampling_rate}


def test_embeddings_by_hand_in_the_order_of_the_clips(model):
    # Mean plus maximum over frames of mean and power: twice both for a steady clip.
    levels = [(0.5, 800), (0.25, 80), (-0.5, 800), (0.0, 160)]
    batches = [
        {"audio": [item(np.full(count, level)) for level, count in part]}
        for part in (levels[:3], levels[3:])
    ]
    found = model.encode(batches, **TASK, batch_size=2)
    assert found.dtype == np.float32
    expected = [[2 * level, 2 * level**2] for level, _ in levels]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_channels_and_rates(model):
    clip = 0.1 * uniform_noise(2, 44_100)
    found = model.encode([{"audio": [{"array": clip.numpy(), "sampling_rate": 44_100}]}], **TASK)
    waveform = torch.from_numpy(resample(clip.mean(0).numpy(), 44_100, 8000))
    assert np.array_equal(found, model.encoder.scene(waveform[None]).numpy())


@pytest.mark.parametrize("encoder_spec", [SPEC, "byola-diff-small"])
def test_clips_of_no_sample_or_few(encoder_spec):
    model = MtebEncoder("byola-diff/any", encoder_spec=encoder_spec, device="cpu")
    clips = [item([]), item([0.5]), item(np.ones(7)), item([0.5], 48_000), item(np.zeros((2, 0)))]
    found = model.encode([{"audio": clips}], **TASK)
    assert found.shape == (5, model.encoder.scene_embedding_size)
    assert np.isfinite(found).all()
    assert np.array_equal(found[0], found[4])


def test_no_clips_at_all(model):
    assert model.encode([], **TASK).shape == (0, 2)


def test_other_modalities_are_refused(model):
    with pytest.raises(ValueError, match="audio alone, not text, id"):
        model.encode([{"text": ["a"], "id": ["1"]}], **TASK)


def test_similarity_is_the_cosine(model):
    first, second = np.array([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, -2.0]])
    expected = torch.tensor([[0.6, -0.8], [0.0, 0.0]])
    torch.testing.assert_close(model.similarity(first, second), expected)
    torch.testing.assert_close(model.similarity_pairwise(first, second), torch.tensor([0.6, 0.0]))
    assert model.similarity(first[0], second[0]).shape == (1, 1)
