"""Every YAML of configs/evaluate is read and built, on small networks in place of real weights."""

import inspect
from functools import partial
from pathlib import Path

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders import open as encoders
from byola_diff.encoders.ast import load_ast
from byola_diff.encoders.cnn14 import Cnn14, Cnn14Encoder, load_cnn14
from byola_diff.encoders.crepe import load_crepe
from byola_diff.encoders.ensemble import EnsembleEncoder
from byola_diff.encoders.registry import KINDS
from byola_diff.encoders.speech import load_speech
from byola_diff.encoders.vggish import Vggish, VggishEncoder, load_vggish
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from tests.encoders.fake_encoders import FakeCrepe, FakeSpeech, FakeTokens

FOLDER = Path(__file__).parents[2] / "configs" / "evaluate"
SPEECH = {  # width and states, P section 8.1
    "wav2vec2-large-960h-lv60": (1024, 25),
    "hubert-xlarge-ll60k": (1280, 49),
    "hubert-large-ll60k": (1024, 25),
    "wav2vec2-large-960h-lv60-self": (1024, 25),
}
LOADERS = {
    "ast": load_ast,
    "cnn14": load_cnn14,
    "crepe": load_crepe,
    "hubert": partial(load_speech, model_type="hubert"),
    "vggish": load_vggish,
    "wav2vec2": partial(load_speech, model_type="wav2vec2"),
}
WIDTHS = {  # timestamp, scene: P sections 7 and 8.2
    "all_layers_of_ours": (2048 + 1024 + 2048 + 36 + 1060,) * 2,  # of the network here
    "avg_hubert_crepe": (1024, 1024),
    "avg_hubert_wav2vec2": (1024, 1024),
    "avg_xwc": (1024, 1024),
    "cat_hubert_wav2vec2": (2048, 2048),
    "cat_wc": (2048, 2048),
    "cat_xwc": (3072, 3072),
    "evar_wav2vec2": (1024, 1024),
    "fusion_ast": (1536, 1536),
    "fusion_cat_xwc": (3072, 3072),
    "fusion_cat_xwc_time": (3072, 15_360),
    "fusion_cnn14": (384, 384),  # 6144 / 16, as the network here has 4 channels for 64
    "fusion_hubert_xlarge": (1280, 1280),
    "fusion_vggish": (8192, 8192),
    "fusion_wav2vec2": (1024, 1024),
    "hubert_xlarge": (1280, 1280),
    "wav2vec2_large": (1024, 1024),
}


class Speech(FakeSpeech):
    """With options of the adapters."""

    def __init__(self, dim, n_layers, normalize=False, pooling="mean"):
        super().__init__(dim, n_layers)
        self.normalize, self.pooling = normalize, pooling


def open_small(encoder_spec, options, corpus):
    """What `open_kind` does, with small networks or cheap ones of the published width."""
    kind, _, weights = encoder_spec.partition(":")
    if kind == "runs/mine/bundle":
        assert not options
        torch.manual_seed(0)
        return AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2022(dim=1060))
    assert kind in KINDS
    inspect.signature(LOADERS[kind]).bind(*([weights] if weights else []), **options)
    name = Path(weights).name
    if kind in ("hubert", "wav2vec2"):
        assert name.startswith(kind)
        return Speech(*SPEECH[name], **options)
    if kind == "crepe":
        assert not weights  # those of the package
        return FakeCrepe(2048, **options)
    small = {
        "vggish": lambda: VggishEncoder(Vggish(hidden=4)),
        "cnn14": lambda: Cnn14Encoder(Cnn14(channels=4)),
        "ast": lambda: FakeTokens(768, 13),
    }
    assert options == ({"statistics": "task"} if kind == "ast" else {})  # P section 1.3
    return small[kind]()


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setattr(encoders, "open_kind", open_small)
    return lambda name: encoders.open_encoder(str(FOLDER / f"{name}.yaml"))


def test_there_is_a_width_for_each():
    assert {path.stem for path in FOLDER.glob("*")} == WIDTHS.keys()


@pytest.mark.parametrize("name", WIDTHS)
def test_builds_and_has_the_published_width(opened, name):
    named = opened(name)
    assert named.name == name
    encoder, waveform = named.encoder, torch.rand(1, 20_000) - 0.5
    assert (encoder.timestamp_embedding_size, encoder.scene_embedding_size) == WIDTHS[name]
    assert encoder.scene(waveform).shape == (1, WIDTHS[name][1])
    frames, centers_ms = encoder.timestamps(waveform)
    assert frames.shape == (*centers_ms.shape, WIDTHS[name][0])


@pytest.mark.parametrize(
    ("name", "kinds", "states", "combine"),
    [
        ("avg_hubert_crepe", ["xl", "crepe"], ["last", "last"], "average"),
        ("avg_hubert_wav2vec2", ["large", "large"], ["last", "last"], "average"),
        ("avg_xwc", ["xl", "large", "crepe"], ["last"] * 3, "average"),
        ("cat_hubert_wav2vec2", ["large", "large"], ["last", "last"], "concat"),
        ("cat_wc", ["large", "crepe"], ["last", "last"], "interleave"),
        ("cat_xwc", ["xl", "large", "crepe"], ["last"] * 3, "interleave"),
        ("fusion_cat_xwc", ["xl", "large", "crepe"], ["mean", "mean", "last"], "interleave"),
        ("fusion_cat_xwc_time", ["xl", "large", "crepe"], ["mean", "mean", "last"], "interleave"),
    ],
)
def test_ensembles_are_the_published_ones(opened, name, kinds, states, combine):
    ensemble = opened(name).encoder
    assert isinstance(ensemble, EnsembleEncoder)
    assert ensemble.combine == combine
    assert [member.states for member in ensemble.members] == states
    by_width = {1280: "xl", 1024: "large", 2048: "crepe"}
    assert [by_width[m.encoder.timestamp_embedding_size] for m in ensemble.members] == kinds
    assert ensemble.scene_groups == (5 if name.endswith("_time") else 1)
    for member in ensemble.members:
        if isinstance(member.encoder, FakeCrepe):
            assert member.encoder.stride_samples == 800
            assert member.scene_encoder.stride_samples == 4000
        else:
            assert member.scene_encoder is None
    # Times are those of the speech model.
    centers_ms = ensemble.timestamps(torch.zeros(1, 16_080))[1]
    assert centers_ms[0].tolist() == [12.5 + 20 * i for i in range(50)]


@pytest.mark.parametrize("name", ["wav2vec2_large", "hubert_xlarge"])
def test_single_speech_models_are_the_published_ones(opened, name):
    encoder = opened(name).encoder
    assert (type(encoder), encoder.normalize, encoder.pooling) == (Speech, False, "mean")
    assert len(encoder.layer_strides) == (49 if "hubert" in name else 25)


@pytest.mark.parametrize(("name", "n_states"), [("wav2vec2", 25), ("hubert_xlarge", 49)])
def test_fusions_of_one_speech_model_are_the_mean_of_its_states(opened, name, n_states):
    ensemble, waveform = opened(f"fusion_{name}").encoder, torch.rand(2, 9000) - 0.5
    (member,) = ensemble.members
    states = list(member.encoder.layers(waveform).values())
    assert len(states) == n_states
    mean = sum(states) / n_states
    torch.testing.assert_close(ensemble.timestamps(waveform)[0], mean)
    torch.testing.assert_close(ensemble.scene(waveform), mean.mean(dim=1))


def test_wav2vec2_of_evar(opened):
    # P sections 1.4 and 2.5: its processor normalises each clip; mean plus maximum over time.
    encoder = opened("evar_wav2vec2").encoder
    assert (encoder.normalize, encoder.pooling) == (True, "mean+max")


@pytest.mark.parametrize(
    ("name", "layers", "pooling"),
    [
        ("fusion_vggish", ("10", "15"), "mean+max"),
        ("fusion_cnn14", ("3", "6"), "mean+max"),
        ("fusion_ast", ("5", "12"), "first"),
        ("all_layers_of_ours", ("conv1", "conv2", "fc1", "fc2", "output"), "mean+max"),
    ],
)
def test_fusions_are_the_published_ones(opened, name, layers, pooling):
    fused = opened(name).encoder
    assert fused.names == layers
    assert fused.pooling == pooling
