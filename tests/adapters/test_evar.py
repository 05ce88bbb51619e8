import pytest
import torch

from byola_diff.adapters.evar import EvarRepresentation
from byola_diff.encoders.open import open_encoder
from tests.adapters.level_encoder import OTHER_SPEC, SPEC


def configuration(encoder_spec=SPEC, **changes):
    content_hash = open_encoder(encoder_spec).content_hash
    facts = {"encoder": encoder_spec, "sample_rate": 8000, "content_hash": content_hash}
    return facts | {"batch_size": 64} | changes


def test_embeddings_by_hand():
    representation = EvarRepresentation(configuration()).to("cpu").eval()
    audio = torch.cat([torch.full((1, 80), 0.5), torch.full((1, 80), -0.25)], dim=1).repeat(3, 1)
    representation.precompute("cpu", data_loader=[])
    frames = representation.encode_frames(audio)
    torch.testing.assert_close(frames, torch.tensor([[[0.5, -0.25], [0.25, 0.0625]]] * 3))
    # Mean plus maximum.
    torch.testing.assert_close(representation(audio), torch.tensor([[0.625, 0.40625]] * 3))


def test_a_configuration_of_other_weights_or_another_rate_is_refused():
    other = configuration(OTHER_SPEC)["content_hash"]
    with pytest.raises(ValueError, match=r"content_hash is .*byola-diff adapter evar"):
        EvarRepresentation(configuration(content_hash=other))
    with pytest.raises(ValueError, match="sample_rate is 8000, not 16000"):
        EvarRepresentation(configuration(sample_rate=16_000))


def test_silence_and_one_sample():
    representation = EvarRepresentation(configuration())
    for audio in (torch.zeros(2, 800), torch.ones(2, 1)):
        assert representation(audio).isfinite().all()
