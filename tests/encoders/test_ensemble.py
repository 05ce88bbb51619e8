"""Ensembles against a transcription in numpy of the construction of Wu et al., 2022."""

import copy

import numpy as np
import pytest
import torch

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.ensemble import (
    EnsembleEncoder,
    Member,
    combined,
    group_means,
    resized,
)
from byola_diff.encoders.fusion import FusedEncoder
from tests.encoders.fake_encoders import FakeCrepe, FakeMaps, FakeSpeech, FakeTokens, Foreign
from tests.encoders.resized import resized_in_numpy


def noise(batch, n_samples, seed=0):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def xwc(states="mean", combine="interleave", groups=1):
    members = [
        Member(FakeSpeech(10, 5, seed=1), states),
        Member(FakeSpeech(6, 4, seed=2), states),
        Member(FakeCrepe(16), "last", FakeCrepe(16, hop_samples=4000)),
    ]
    return EnsembleEncoder(members, combine, scene_groups=groups, reference=1)


def transcription(ensemble, waveform, hop, states):
    """Frames [clip, frame, feature, member] as the authors make them."""
    hubert, wav2vec, _ = (member.encoder for member in ensemble.members)
    frames = []
    for encoder in (hubert, wav2vec):
        states_of = [layer.numpy() for layer in encoder.layers(waveform).values()]
        frames.append(np.mean(states_of, axis=0) if states == "mean" else states_of[-1])
    n_frames, width = frames[1].shape[1:]
    crepe = FakeCrepe(16, hop).layers(waveform)["5"].numpy()
    assert crepe.shape[1] == 1 + waveform.shape[1] // hop
    crepe = resized_in_numpy(resized_in_numpy(crepe, width).transpose(0, 2, 1), n_frames).transpose(
        0, 2, 1
    )
    return np.stack([resized_in_numpy(frames[0], width), frames[1], crepe], axis=-1)


@pytest.mark.parametrize("states", ["mean", "last"])
@pytest.mark.parametrize("n_samples", [4_000, 16_000, 30_321])
def test_fusion_cat_xwc_equals_a_transcription(states, n_samples):
    ensemble, waveform = xwc(states), noise(2, n_samples)
    expected = transcription(ensemble, waveform, 800, states)
    frames, _ = ensemble.timestamps(waveform)
    np.testing.assert_allclose(frames.numpy(), expected.reshape(2, -1, 18), atol=1e-5)
    torch.testing.assert_close(ensemble.layers(waveform)["ensemble"], frames)
    for_scene = transcription(ensemble, waveform, 4000, states).reshape(2, -1, 18)
    np.testing.assert_allclose(ensemble.scene(waveform), for_scene.mean(axis=1), atol=1e-5)
    size = for_scene.shape[1] // 5
    groups = [for_scene[:, i * size : (i + 1) * size].mean(axis=1) for i in range(5)]
    found = xwc(states, groups=5).scene(waveform)
    np.testing.assert_allclose(found, np.concatenate(groups, axis=1), atol=1e-5)


def test_average_equals_a_transcription():
    waveform = noise(2, 16_000)
    ensemble = xwc("last", "average")
    expected = transcription(ensemble, waveform, 800, "last").mean(axis=-1)
    np.testing.assert_allclose(ensemble.timestamps(waveform)[0], expected, atol=1e-5)


def test_concat_keeps_widths():
    waveform = noise(2, 16_000)
    hubert, crepe = FakeSpeech(10), FakeCrepe(16)
    ensemble = EnsembleEncoder([Member(hubert), Member(crepe)], "concat")
    frames, _ = ensemble.timestamps(waveform)
    assert frames.shape == (2, 49, 26)
    torch.testing.assert_close(frames[..., :10], hubert.timestamps(waveform)[0])
    torch.testing.assert_close(frames[..., 10:], resized(crepe.timestamps(waveform)[0].mT, 49).mT)


@pytest.mark.parametrize("n_samples", [400, 719, 720, 16_000, 16_080, 64_000, 480_000])
@pytest.mark.parametrize("states", ["mean", "last"])
def test_times_of_wav2vec_are_exact(n_samples, states):
    _, centers_ms = xwc(states).timestamps(torch.zeros(1, n_samples))
    assert centers_ms[0].tolist() == [12.5 + 20 * i for i in range((n_samples - 400) // 320 + 1)]


def test_where_milliseconds_in_floating_point_lose_a_frame():
    n_samples = 16_080
    assert (int(n_samples / 16_000 * 1000) - 5) // 20 == 49
    assert xwc().timestamps(torch.zeros(1, n_samples))[1].shape == (1, 50)


def test_shorter_than_a_frame():
    frames, centers_ms = xwc().timestamps(torch.zeros(1, 16))
    assert frames.shape == (1, 1, 18)
    assert centers_ms.tolist() == [[1.0]]
    assert xwc(groups=5).scene(torch.zeros(1, 16)).shape == (1, 90)


HUBERT_XL, HUBERT_L, WAV2VEC, CREPE = (FakeSpeech(1280), FakeSpeech(1024), FakeSpeech(1024, 2),
                                       FakeCrepe(2048))  # fmt: skip


@pytest.mark.parametrize(
    ("members", "combine", "options", "timestamp_size", "scene_size"),
    [
        ([HUBERT_L, WAV2VEC], "average", {}, 1024, 1024),
        ([HUBERT_L, WAV2VEC], "concat", {}, 2048, 2048),
        ([HUBERT_XL, CREPE], "average", {"width": 1024}, 1024, 1024),
        ([WAV2VEC, CREPE], "interleave", {}, 2048, 2048),
        ([HUBERT_XL, WAV2VEC, CREPE], "interleave", {"reference": 1}, 3072, 3072),
        ([HUBERT_XL, WAV2VEC, CREPE], "average", {"reference": 1}, 1024, 1024),
        (
            [HUBERT_XL, WAV2VEC, CREPE],
            "interleave",
            {"reference": 1, "scene_groups": 5},
            3072,
            15_360,
        ),
    ],
)
def test_published_widths(members, combine, options, timestamp_size, scene_size):
    ensemble = EnsembleEncoder([Member(encoder) for encoder in members], combine, **options)
    assert isinstance(ensemble, Encoder)
    assert ensemble.timestamp_embedding_size == timestamp_size
    assert ensemble.scene_embedding_size == scene_size
    assert ensemble.timestamps(noise(1, 8_000))[0].shape == (1, 24, timestamp_size)
    assert ensemble.scene(noise(2, 8_000)).shape == (2, scene_size)


class Silencing(Foreign):
    """Changes what it gets."""

    def layers(self, waveform):
        given = super().layers(waveform)
        waveform.zero_()
        return given


def test_members_hear_the_audio_whatever_the_others_do_to_it():
    waveform = noise(2, 9_000)
    before = waveform.clone()
    quiet = [Member(Silencing()), Member(Silencing(), "mean"), Member(FakeSpeech(6))]
    sound = [Member(Foreign()), Member(Foreign(), "mean"), Member(FakeSpeech(6))]
    found, expected = (EnsembleEncoder(members, "concat") for members in (quiet, sound))
    torch.testing.assert_close(found.scene(waveform), expected.scene(waveform))
    fused = FusedEncoder(Silencing(), ["embedding"]).timestamps(waveform)
    torch.testing.assert_close(fused, FusedEncoder(Foreign(), ["embedding"]).timestamps(waveform))
    assert torch.equal(waveform, before)


def test_one_member_is_that_encoder():
    encoder, waveform = FakeSpeech(6), noise(2, 9_000)
    for combine in ("concat", "interleave", "average"):
        ensemble = EnsembleEncoder([Member(encoder)], combine)
        torch.testing.assert_close(ensemble.timestamps(waveform), encoder.timestamps(waveform))


def test_mean_of_layers_narrower_than_timestamp_embeddings():
    class Wide(FakeSpeech):
        def _frames(self, waveform):
            return torch.cat(list(self._layers(waveform).values()), dim=-1)

    encoder = Wide(4)
    encoder.timestamp_embedding_size = encoder.scene_embedding_size = 12
    for states, width in (("mean", 4), ("last", 12)):
        ensemble = EnsembleEncoder([Member(encoder, states), Member(FakeCrepe(5))], "concat")
        assert ensemble.timestamp_embedding_size == width + 5
        assert ensemble.timestamps(noise(1, 4_000))[0].shape[-1] == width + 5


def test_any_encoder_can_be_the_reference():
    waveform = noise(2, 1_600)
    ensemble = EnsembleEncoder([Member(Foreign()), Member(FakeMaps())], "concat")
    frames, centers_ms = ensemble.timestamps(waveform)
    torch.testing.assert_close(centers_ms, Foreign().timestamps(waveform)[1])
    assert frames.shape == (2, 12, 7)


def test_frames_and_times_are_those_of_the_reference():
    members, waveform = [Member(FakeMaps()), Member(FakeSpeech(6)), Member(CREPE)], noise(2, 9_000)
    for reference, member in enumerate(members):
        ensemble = EnsembleEncoder(members, "interleave", reference=reference)
        frames, centers_ms = ensemble.timestamps(waveform)
        own, own_centers_ms = member.encoder.timestamps(waveform)
        torch.testing.assert_close(centers_ms, own_centers_ms)
        torch.testing.assert_close(frames[..., reference::3], own)


def test_hear_contract(check_hear_contract):
    check_hear_contract(xwc(groups=5))
    check_hear_contract(xwc("last", "average"))
    check_hear_contract(EnsembleEncoder([Member(FakeMaps()), Member(FakeTokens(4))], "concat"))


def slow(encoder):
    encoder = copy.copy(encoder)
    encoder.sample_rate = 32_000
    return encoder


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        ([], {}, "reference 0 is no member: .* there are 0"),
        ([Member(WAV2VEC)], {"reference": 1}, "reference 1 is no member"),
        (
            [Member(WAV2VEC)],
            {"reference": -1},
            "reference -1 is no member: they are counted from 0",
        ),
        ([Member(WAV2VEC)], {"scene_groups": 0}, "scene_groups must be at least 1"),
        ([Member(WAV2VEC)], {"width": 0}, "width"),
        ([Member(WAV2VEC)], {"width": 8, "combine": "concat"}, "not with concat"),
        ([Member(WAV2VEC), Member(slow(CREPE))], {}, "16000 and 32000 Hz.*only one"),
        ([Member(CREPE, "last", slow(CREPE))], {}, "16000 and 32000 Hz"),
    ],
)
def test_refused_options(members, options, message):
    with pytest.raises(ValueError, match=message):
        EnsembleEncoder(members, **{"combine": "average", **options})


def test_refused_members():
    for encoder in (FakeMaps(), FakeTokens(4)):
        with pytest.raises(ValueError, match=r"mean needs layers of one width.*take last"):
            Member(encoder, "mean")
    # Of the encoder for scenes too.
    with pytest.raises(ValueError, match=r"those of FakeMaps differ.*take last"):
        Member(FakeSpeech(5), "mean", FakeMaps())
    with pytest.raises(ValueError, match="frames of 16 features, encoder of 2048"):
        Member(CREPE, "last", FakeCrepe(16))


def test_settings_and_weights_tell_ensembles_apart():
    def make(states="last", hop=None, seed=0, **options):
        crepe = FakeCrepe(6)
        scene = FakeCrepe(6, hop) if hop else None
        members = [Member(FakeSpeech(6, seed=seed), states), Member(crepe, "last", scene)]
        return EnsembleEncoder(members, **{"combine": "interleave", **options})

    variants = [
        make(),
        make("mean"),
        make(hop=4000),
        make(hop=2000),
        make(seed=1),
        make(scene_groups=2),
        make(reference=1),
        make(combine="concat"),
        make(width=4),
    ]
    assert len({content_hash(each) for each in variants}) == len(variants)
    assert content_hash(make(hop=4000)) == content_hash(variants[2])


def test_stays_in_eval_mode_and_moves_as_one():
    ensemble = xwc().train()
    assert not any(module.training for module in ensemble.modules())
    ensemble.double()
    scene_encoder = ensemble.members[2].scene_encoder
    assert scene_encoder.ramp.dtype == ensemble.members[0].encoder.weight.dtype == torch.float64


def test_bad_waveforms_are_refused():
    for encode in (xwc().scene, xwc().timestamps, xwc().layers):
        with pytest.raises(ValueError, match="NaN"):
            encode(torch.full((1, 800), float("nan")))


def test_members_put_together_by_hand():
    h, w, c = (torch.tensor([[[0.0, 3], [6, 9]]]) + member for member in range(3))
    expected = {
        "interleave": [[[0.0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]],
        "concat": [[[0.0, 3, 1, 4, 2, 5], [6, 9, 7, 10, 8, 11]]],
        "average": [[[1.0, 4], [7, 10]]],
    }
    for combine, values in expected.items():
        torch.testing.assert_close(combined([h, w, c], combine), torch.tensor(values))


def test_resize_by_hand():
    frames = torch.tensor([[[0.0, 4.0], [8.0, 8.0]]])
    # Four cells over two: centres at -0.25, 0.25, 0.75 and 1.25 of the old ones, edges held.
    torch.testing.assert_close(resized(frames, 4), torch.tensor([[[0.0, 1, 3, 4], [8, 8, 8, 8]]]))
    torch.testing.assert_close(
        resized(frames.mT, 4).mT, torch.tensor([[[0.0, 4], [2, 5], [6, 7], [8, 8]]])
    )


@pytest.mark.parametrize(("old", "new"), [(1280, 1024), (2048, 1024), (21, 49), (1, 5), (7, 7)])
def test_resize_equals_a_transcription(old, new):
    frames = torch.rand(2, 3, old, generator=torch.Generator().manual_seed(0))
    expected = resized_in_numpy(frames.numpy(), new)
    np.testing.assert_allclose(resized(frames, new).numpy(), expected, atol=1e-5)


def test_means_of_stretches_drop_the_tail():
    frames = torch.tensor([[[1.0], [3], [5], [9], [0], [2], [99]]])
    torch.testing.assert_close(group_means(frames, 3), torch.tensor([[2.0, 7, 1]]))
    torch.testing.assert_close(group_means(frames, 1), frames.mean(dim=1))
    pairs = torch.tensor([[[1.0, 10], [3, 30]]])
    torch.testing.assert_close(group_means(pairs, 2), torch.tensor([[1.0, 10, 3, 30]]))


def test_fewer_frames_than_stretches_are_shared():
    frames = torch.tensor([[[1.0], [2]]])
    torch.testing.assert_close(group_means(frames, 5), torch.tensor([[1.0, 1, 1, 2, 2]]))
    torch.testing.assert_close(group_means(frames[:, :1], 3), torch.ones(1, 3))
