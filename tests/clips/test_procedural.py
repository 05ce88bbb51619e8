import pytest
import torch

from byola_diff.clips.procedural import ProceduralSource
from byola_diff.clips.source import ClipSource
from byola_diff.sounds import training_batch


@pytest.fixture(scope="module")
def source():
    return ProceduralSource(5, 5120, 16_000)


def test_is_an_endless_source_on_the_device(source):
    assert isinstance(source, ClipSource)
    assert source.take_rejected() == []
    assert source.on_device
    assert source.endless
    assert source.sample_rate == 16_000
    assert source.n_clips > 10**18


def test_clip_depends_on_seed_and_number_alone(source):
    batch = source.batch(0, torch.tensor([3, 10**12, 3]), "cpu")
    assert batch.shape == (3, 5120)
    assert torch.equal(batch[0], batch[2])
    assert not torch.equal(batch[0], batch[1])
    # Not to the bit: some processors sum a batch of another size in another order.
    alone = source.batch(1, torch.tensor([3]), "cpu")[0]
    torch.testing.assert_close(alone, batch[0], rtol=0, atol=2e-5)
    assert not torch.equal(
        ProceduralSource(6, 5120, 16_000).batch(0, torch.tensor([3]), "cpu")[0], batch[0]
    )


def test_is_the_stream_of_training_sounds(source):
    clips = torch.arange(2)
    assert torch.equal(source.batch(0, clips, "cpu"), training_batch(5, clips, 5120, 16_000))
