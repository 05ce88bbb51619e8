import json
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
)

from byola_diff.encoders import contract
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.speech import load_speech
from byola_diff.storage import BrokenFileError

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
GROUP = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
LOADERS = {kind: partial(load_speech, model_type=kind) for kind in ("wav2vec2", "hubert")}


def write_folder(folder, kind, network_class=None, **options):
    """A folder as published, with random weights whose norms do something."""
    config_class, model_class = {
        "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
        "hubert": (HubertConfig, HubertModel),
    }[kind]
    torch.manual_seed(0)
    network = (network_class or model_class)(config_class(**{**SIZE, **options}))
    for module in network.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    folder.mkdir(parents=True)
    network.config.save_pretrained(folder)
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 16_000}))
    return network.eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("speech")
    for kind in LOADERS:
        for name, options in (("group", GROUP), ("layer", LAYER)):
            write_folder(root / f"{kind}_{name}", kind, **options)
    return root


def noise(batch, n_samples, seed=0):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_hear_contract(folders, kind, norm, check_hear_contract):
    check_hear_contract(LOADERS[kind](folders / f"{kind}_{norm}"))


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_alone_and_in_a_batch(folders, kind, norm):
    encoder = LOADERS[kind](folders / f"{kind}_{norm}", normalize=True)
    batch = noise(3, 8000) * torch.tensor([[1.0], [0.01], [0.3]])
    together = [encoder.scene(batch), encoder.timestamps(batch)[0], *encoder.layers(batch).values()]
    for clip in range(3):
        one = batch[clip : clip + 1]
        alone = [encoder.scene(one), encoder.timestamps(one)[0], *encoder.layers(one).values()]
        for found, expected in zip(alone, together, strict=True):
            torch.testing.assert_close(found[0], expected[clip], atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_states_are_the_input_of_the_blocks_and_the_normed_output(folders, kind, norm):
    encoder = LOADERS[kind](folders / f"{kind}_{norm}")
    waveform = noise(1, 4000)
    inputs = []
    hooks = [
        block.register_forward_pre_hook(
            lambda block, args, options: inputs.append((args or (options["hidden_states"],))[0]),
            with_kwargs=True,
        )
        for block in encoder.network.encoder.layers
    ]
    layers = encoder.layers(waveform)
    for hook in hooks:
        hook.remove()
    assert list(layers) == ["0", "1", "2"]
    torch.testing.assert_close(layers["0"], inputs[0])
    torch.testing.assert_close(layers["1"], inputs[1])
    with torch.no_grad():
        last = encoder.network(waveform).last_hidden_state
        if norm == "layer":
            # Normed over features: undoing scale and shift leaves mean 0 and deviation 1.
            final = encoder.network.encoder.layer_norm
            plain = (layers["2"] - final.bias) / final.weight
            assert plain.mean(dim=-1).abs().max() < 1e-4
            assert (plain.std(dim=-1, correction=0) - 1).abs().max() < 1e-3
    torch.testing.assert_close(layers["2"], last)


def test_frames_are_the_last_layer_or_in_an_ensemble_the_mean_of_all(folders):
    waveform = noise(2, 4000)
    last = LOADERS["hubert"](folders / "hubert_layer")
    layers = last.layers(waveform)
    torch.testing.assert_close(last.timestamps(waveform)[0], layers["2"])
    torch.testing.assert_close(last.scene(waveform), layers["2"].mean(dim=1))
    mean = EnsembleEncoder([Member(last, "mean")], "concat")
    expected = (layers["0"] + layers["1"] + layers["2"]) / 3
    torch.testing.assert_close(mean.timestamps(waveform)[0], expected)
    torch.testing.assert_close(mean.timestamps(waveform)[1], last.timestamps(waveform)[1])
    torch.testing.assert_close(mean.scene(waveform), expected.mean(dim=1))
    both = LOADERS["hubert"](folders / "hubert_layer", pooling="mean+max")
    expected = layers["2"].mean(dim=1) + layers["2"].amax(dim=1)
    torch.testing.assert_close(both.scene(waveform), expected)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"),
    [(16_000, 49), (80_000, 249), (16_080, 50), (16_079, 49), (400, 1), (719, 1), (720, 2)],
)
def test_counts_and_times_of_frames(folders, n_samples, n_frames):
    encoder = LOADERS["wav2vec2"](folders / "wav2vec2_group")
    embeddings, centres_ms = encoder.timestamps(noise(1, n_samples))
    assert embeddings.shape == (1, n_frames, 32)
    assert centres_ms[0].tolist() == [12.5 + 20 * frame for frame in range(n_frames)]
    assert encoder.layers(noise(1, n_samples))["0"].shape == (1, n_frames, 32)


def test_clip_shorter_than_a_frame(folders):
    encoder = LOADERS["wav2vec2"](folders / "wav2vec2_group")
    padded = torch.nn.functional.pad(noise(1, 160), (0, 240))
    embeddings, centres_ms = encoder.timestamps(noise(1, 160))
    assert centres_ms.tolist() == [[10.0]]
    torch.testing.assert_close(embeddings, encoder.timestamps(padded)[0])


def test_normalized_clip_by_hand(folders):
    raw = LOADERS["wav2vec2"](folders / "wav2vec2_layer")
    normalizing = LOADERS["wav2vec2"](folders / "wav2vec2_layer", normalize=True)
    clip = noise(1, 2000) * 0.1 + 0.2
    expected = (clip - clip.mean()) / (clip.var(correction=0) + 1e-7).sqrt()
    torch.testing.assert_close(normalizing.scene(clip), raw.scene(expected))
    torch.testing.assert_close(
        normalizing.scene(clip), normalizing.scene(3 * clip - 0.2), atol=1e-4, rtol=0
    )
    assert not torch.allclose(raw.scene(clip), raw.scene(3 * clip - 0.2), atol=1e-3)
    # Of the whole clip, not of each window: a loud and a quiet half stay loud and quiet.
    windowed = LOADERS["wav2vec2"](folders / "wav2vec2_layer", normalize=True, window_s=0.1)
    halves = torch.cat([clip[:, :1600], 0.01 * clip[:, :1600], clip[:, :1600]], dim=1)
    statistics = torch.var_mean(halves, correction=0)
    expected = (halves - statistics[1]) / (statistics[0] + 1e-7).sqrt()
    found = LOADERS["wav2vec2"](folders / "wav2vec2_layer", window_s=0.1).scene(expected)
    torch.testing.assert_close(windowed.scene(halves), found)


def test_silence_and_one_sample_are_finite_when_normalized(folders):
    encoder = LOADERS["hubert"](folders / "hubert_group", normalize=True)
    for clip in (torch.zeros(1, 5000), torch.full((1, 1), 0.5), torch.full((1, 3000), 0.5)):
        assert encoder.scene(clip).isfinite().all()


def test_windows_join_to_the_frames_of_one_pass(folders):
    whole = LOADERS["wav2vec2"](folders / "wav2vec2_layer")
    windowed = LOADERS["wav2vec2"](folders / "wav2vec2_layer", window_s=0.2)
    waveform = noise(1, 10_000)
    (expected, times), (found, found_times) = (e.timestamps(waveform) for e in (whole, windowed))
    assert found.shape == expected.shape == (1, 31, 32)
    assert torch.equal(times, found_times)
    front = windowed.network.feature_extractor
    with torch.no_grad():
        samples, _ = next(windowed._windows(waveform.shape[1]))
        window = waveform[:, samples]
        torch.testing.assert_close(front(window)[0], front(waveform)[0, :, :10])


def test_checkpoint_with_a_head_and_old_names(tmp_path):
    network = write_folder(tmp_path / "ctc", "wav2vec2", Wav2Vec2ForCTC, vocab_size=5, **GROUP)
    waveform = noise(1, 2000)
    with torch.no_grad():
        expected = network.wav2vec2(waveform).last_hidden_state
    torch.testing.assert_close(
        LOADERS["wav2vec2"](tmp_path / "ctc").timestamps(waveform)[0], expected
    )
    weights = load_file(tmp_path / "ctc" / "model.safetensors")
    (tmp_path / "ctc" / "model.safetensors").unlink()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): weight
        for name, weight in weights.items()
        if "masked_spec_embed" not in name  # facebook/wav2vec2-base-960h lacks it
    }
    torch.save(old, tmp_path / "ctc" / "pytorch_model.bin")
    encoder = LOADERS["wav2vec2"](tmp_path / "ctc")
    torch.testing.assert_close(encoder.timestamps(waveform)[0], expected)
    # Nothing is left random: read twice, it is the same encoder.
    again = LOADERS["wav2vec2"](tmp_path / "ctc").state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in encoder.state_dict().items())


def test_half_precision_weights_are_computed_in_float32(folders, tmp_path):
    shutil.copytree(folders / "hubert_layer", tmp_path / "half")
    weights = load_file(tmp_path / "half" / "model.safetensors")
    half = {name: weight.half() for name, weight in weights.items()}
    save_file(half, tmp_path / "half" / "model.safetensors", metadata={"format": "pt"})
    encoder = LOADERS["hubert"](tmp_path / "half")
    assert {weight.dtype for weight in encoder.parameters()} == {torch.float32}


def test_loading_says_nothing(folders, capfd):
    LOADERS["hubert"](folders / "hubert_group")
    assert capfd.readouterr() == ("", "")


def test_settings_tell_encoders_apart(folders):
    options = [{}, {"normalize": True}, {"pooling": "mean+max"}]
    options.append({"window_s": 30.0})
    found = [
        LOADERS["wav2vec2"](folders / "wav2vec2_group", **option).settings() for option in options
    ]
    found.append(LOADERS["wav2vec2"](folders / "wav2vec2_layer").settings())
    found.append(LOADERS["hubert"](folders / "hubert_layer").settings())
    assert len({json.dumps(settings) for settings in found}) == 6


@pytest.fixture
def altered(folders, tmp_path):
    """A copy of a good folder with one change made by the test."""

    def copy(name="hubert_layer"):
        return shutil.copytree(folders / name, tmp_path / "altered")

    return copy


def test_another_architecture_is_refused(folders):
    with pytest.raises(BrokenFileError, match="type 'hubert', not 'wav2vec2'"):
        LOADERS["wav2vec2"](folders / "hubert_group")
    with pytest.raises(BrokenFileError, match="type 'wav2vec2', not 'hubert'"):
        LOADERS["hubert"](folders / "wav2vec2_group")


def test_wrong_rate_is_refused(altered):
    folder = altered()
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(BrokenFileError, match="8000 Hz"):
        LOADERS["hubert"](folder)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan", "truncated"])
def test_weights_that_do_not_fit_are_refused(altered, fault):
    folder = altered()
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = "encoder.layers.1.attention.q_proj.weight"
    if fault == "missing":
        del weights[name]
    elif fault == "unknown":
        weights[name.replace("layers.1", "layers.2")] = weights[name].clone()
    elif fault == "shape":
        weights[name] = weights[name][:16]
    else:
        weights[name][0, 0] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    words = {"missing": "lacks", "unknown": "unknown", "nan": "NaN"}.get(fault, "not the weights")
    with pytest.raises(BrokenFileError, match=words):
        LOADERS["hubert"](folder)


def test_files_that_run_code_are_refused(altered, tmp_path):
    folder = altered()
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="hubert-xlarge-ll60k"):
        LOADERS["hubert"](folder)

    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"weight": Hostile()}, folder / "pytorch_model.bin")
    with pytest.raises(BrokenFileError, match="not the weights"):
        LOADERS["hubert"](folder)
    assert not (tmp_path / "ran").exists()


def test_code_beside_a_configuration_is_not_run(altered, tmp_path):
    folder = altered()
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "beside.Own", "AutoModel": "beside.Own"}
    (folder / "beside.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": own}))
    LOADERS["hubert"](folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": own}))
    with pytest.raises(BrokenFileError):
        LOADERS["hubert"](folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 4]}, "every 640"),
        ({"hidden_size": "many"}, "hidden_size"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(altered, change, words):
    folder = altered()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BrokenFileError, match=words):
        LOADERS["hubert"](folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(BrokenFileError, match="not a JSON file"):
        LOADERS["hubert"](folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        LOADERS["hubert"](folder)


def test_name_in_the_download_cache(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--facebook--hubert-tiny"
    shutil.copytree(folders / "hubert_layer", model / "snapshots" / "abc")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")
    waveform = noise(1, 2000)
    expected = LOADERS["hubert"](folders / "hubert_layer").scene(waveform)
    torch.testing.assert_close(LOADERS["hubert"]("facebook/hubert-tiny").scene(waveform), expected)
    (model / "snapshots" / "abc" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors"):
        LOADERS["hubert"]("facebook/hubert-tiny")


def test_settings_tell_versions_of_the_library(folders, monkeypatch):
    encoder = LOADERS["hubert"](folders / "hubert_group")
    before = content_hash(encoder)
    versions = {"transformers": "5.99.1+local"}
    monkeypatch.setattr(contract, "version", versions.__getitem__)
    assert encoder.settings()["packages"] == {"transformers": "5.99.1"}
    assert content_hash(encoder) != before


def test_frames_are_pooled_in_float32(folders):
    encoder, waveform = LOADERS["hubert"](folders / "hubert_layer"), noise(2, 16_000)
    with torch.autocast("cpu", torch.bfloat16):
        # Group or layer norms at the end of a network give float32; here they do not.
        encoder._frames = lambda window: window.unfold(1, 400, 320)[..., :32].bfloat16()
        found = encoder.scene(waveform)
        frames = encoder._frames(waveform).double()
    torch.testing.assert_close(found.double(), frames.mean(dim=1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["facebook/hubert-nowhere", "not a name: at all"])
def test_absent_model_says_where_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config\.json.*https://huggingface\.co/facebook"):
        LOADERS["hubert"](name)
