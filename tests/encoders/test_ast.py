import json
import shutil

import numpy as np
import pytest
import torch
import torchaudio
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import ASTConfig, ASTForAudioClassification

from byola_diff.audio.files import write_wav
from byola_diff.encoders.ast import AUDIOSET_STATISTICS, ast_features, fitted_positions, load_ast
from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.encoders.open import open_encoder
from byola_diff.storage import BrokenFileError
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing

DIM, N_BLOCKS, N_COLUMNS = 128, 2, 11
MAX_FRAMES = 16 + 10 * (N_COLUMNS - 1)


def noise(batch, n_samples, seed=0):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.fixture(scope="module")
def original():
    """Random weights under the names of the original file, for eleven columns of patches."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "cls_token": (1, 1, DIM),
        "dist_token": (1, 1, DIM),
        "pos_embed": (1, 2 + 12 * N_COLUMNS, DIM),
        "patch_embed.proj.weight": (DIM, 1, 16, 16),
        "patch_embed.proj.bias": (DIM,),
        "norm.weight": (DIM,),
        "norm.bias": (DIM,),
    }
    for block in range(N_BLOCKS):
        linears = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, into) in linears.items():
            shapes[f"blocks.{block}.{name}.weight"] = (out * DIM, into * DIM)
            shapes[f"blocks.{block}.{name}.bias"] = (out * DIM,)
        for name in ("norm1", "norm2"):
            shapes[f"blocks.{block}.{name}.weight"] = shapes[f"blocks.{block}.{name}.bias"] = (DIM,)
    return {
        f"v.{name}": torch.randn(shape, generator=generator) * (0.1 if len(shape) > 1 else 0.5)
        for name, shape in shapes.items()
    }


def forward_by_hand(weights, features):
    """Tokens behind each block through the final norm: the published network, 64-wide heads.

    For inputs of as many frames as there are positions.
    """
    w = {name.removeprefix("v."): weight for name, weight in weights.items()}

    def norm(tokens, name):
        return functional.layer_norm(tokens, (DIM,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(tokens, name):
        return tokens @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    image = features.transpose(1, 2)[:, None]
    patches = functional.conv2d(
        image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=10
    )
    own = torch.cat([w["cls_token"], w["dist_token"]], dim=1).expand(len(features), -1, -1)
    tokens = torch.cat([own, patches.flatten(2).transpose(1, 2)], dim=1) + w["pos_embed"]
    outputs = []
    for block in range(N_BLOCKS):
        qkv = linear(norm(tokens, f"blocks.{block}.norm1"), f"blocks.{block}.attn.qkv")
        qkv = qkv.reshape(len(tokens), tokens.shape[1], 3, DIM // 64, 64)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attention = (query @ key.transpose(-1, -2) / 8).softmax(dim=-1)
        mixed = (attention @ value).transpose(1, 2).flatten(2)
        tokens = tokens + linear(mixed, f"blocks.{block}.attn.proj")
        hidden = linear(norm(tokens, f"blocks.{block}.norm2"), f"blocks.{block}.mlp.fc1")
        tokens = tokens + linear(functional.gelu(hidden), f"blocks.{block}.mlp.fc2")
        outputs.append(norm(tokens, "norm"))
    return outputs


def fbank_by_hand(waveform):
    """Kaldi's filter bank from its description, in float64."""
    n_frames = (len(waveform) - 400) // 160 + 1
    frames = np.stack([waveform[160 * i : 160 * i + 400] for i in range(n_frames)])
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = (frames - 0.97 * before) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399))
    power = np.abs(np.fft.rfft(frames, 512)) ** 2

    def mel(frequency_hz):
        return 1127 * np.log(1 + frequency_hz / 700)

    corners = np.linspace(mel(20), mel(8000), 130)
    place = mel(np.arange(257) * 16_000 / 512)
    triangles = [
        np.interp(place, corners[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(128)
    ]
    return np.log(np.maximum(power @ np.array(triangles).T, np.finfo(np.float32).eps))


@pytest.fixture(scope="module")
def original_file(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "ast_audioset.pth"
    heads = {"v.head.weight": torch.zeros(3, DIM), "v.head_dist.bias": torch.zeros(3)}
    heads |= {"mlp_head.0.weight": torch.ones(DIM), "mlp_head.1.bias": torch.zeros(527)}
    torch.save({f"module.{name}": weight for name, weight in (original | heads).items()}, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as published, with a classifier; random weights."""
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64
    )
    network = ASTForAudioClassification(config)
    body = network.audio_spectrogram_transformer
    for weight in (body.embeddings.position_embeddings, body.embeddings.cls_token):
        nn.init.normal_(weight)
    nn.init.uniform_(body.layernorm.weight, 0.5, 2.0)
    folder = tmp_path_factory.mktemp("ast") / "ast"
    network.save_pretrained(folder)
    statistics = dict(zip(("mean", "std"), AUDIOSET_STATISTICS, strict=True))
    preprocessor = {"sampling_rate": 16_000, **statistics}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def test_front_end_against_numpy():
    waveform = noise(2, 5000)
    found = ast_features(waveform, (0.0, 0.5))
    assert found.shape == (2, 29, 128)
    for clip, features in zip(waveform, found, strict=True):
        expected = torch.from_numpy(fbank_by_hand(clip.double().numpy())).float()
        # The lowest triangles hold a bin or none: float32 against float64 differs most there.
        torch.testing.assert_close(features, expected, atol=2e-3, rtol=0)


def test_front_end_scale_and_counts():
    waveform = noise(1, 80_000)
    raw = ast_features(waveform, (0.0, 0.5))
    assert raw.shape == (1, 498, 128)
    torch.testing.assert_close(ast_features(waveform, (-4.0, 3.0)), (raw + 4) / 6)
    # Silence is the logarithm of the float32 epsilon.
    silence = ast_features(torch.zeros(1, 400), (0.0, 0.5))
    assert silence.flatten().tolist() == pytest.approx([-15.9424] * 128, abs=1e-4)
    # A constant does not pass: each frame loses its mean.
    torch.testing.assert_close(ast_features(waveform + 0.3, (0.0, 0.5)), raw, atol=1e-2, rtol=0)


def test_positions_are_cut_from_the_middle_or_stretched():
    grid = torch.arange(12.0)[:, None] * 100 + torch.arange(101.0)
    positions = torch.cat([torch.tensor([-1.0, -2.0]), grid.flatten()])[None, :, None]
    assert torch.equal(fitted_positions(positions, 101), positions)
    cut = fitted_positions(positions, 49)
    assert cut[0, :2, 0].tolist() == [-1, -2]
    # 50 - 49 // 2 = 26, as in the original code.
    assert torch.equal(cut[0, 2:, 0].reshape(12, 49), grid[:, 26:75])
    stretched = fitted_positions(positions, 202)[0, 2:, 0].reshape(12, 202)
    # Output column c lies at (c + 0.5) / 2 - 0.5 of the known ones, kept inside.
    expected = ((torch.arange(202) + 0.5) / 2 - 0.5).clamp(0, 100)
    torch.testing.assert_close(stretched - 100 * torch.arange(12)[:, None], expected.expand(12, -1))


def test_original_file_against_the_published_network(original, original_file):
    encoder = load_ast(original_file)
    assert encoder.scene_embedding_size == DIM
    waveform = noise(2, 400 + 160 * (MAX_FRAMES - 1)) + 0.1
    centred = waveform - waveform.mean(dim=1, keepdim=True)
    outputs = forward_by_hand(original, ast_features(centred, AUDIOSET_STATISTICS))
    layers = encoder.layers(waveform)
    assert list(layers) == ["1", "2"]
    for found, tokens in zip(layers.values(), outputs, strict=True):
        expected = (tokens[:, 0] + tokens[:, 1]) / 2
        torch.testing.assert_close(found, expected[:, None], atol=1e-4, rtol=0)
    torch.testing.assert_close(encoder.scene(waveform), layers["2"][:, 0])
    columns = outputs[-1][:, 2:].reshape(2, 12, N_COLUMNS, DIM).mean(dim=1)
    found, centres_ms = encoder.timestamps(waveform)
    assert centres_ms[0].tolist() == [87.5 + 100 * column for column in range(N_COLUMNS)]
    torch.testing.assert_close(found, columns, atol=1e-4, rtol=0)


def test_folder_of_transformers_is_the_same_network(folder):
    weights = load_file(folder / "model.safetensors")
    body = "audio_spectrogram_transformer."
    assert f"{body}encoder.layer.0.attention.attention.query.weight" in weights
    encoder = load_ast(folder)
    reference = ASTForAudioClassification.from_pretrained(folder).eval()
    waveform = noise(2, 400 + 160 * 1023)
    waveform = waveform - waveform.mean(dim=1, keepdim=True)
    with torch.no_grad():
        features = ast_features(waveform, AUDIOSET_STATISTICS)
        expected = reference.audio_spectrogram_transformer(features).pooler_output
    torch.testing.assert_close(encoder.scene(waveform), expected, atol=1e-5, rtol=0)
    assert list(encoder.layers(waveform)) == ["1", "2", "3"]


def test_no_padding(folder):
    encoder = load_ast(folder)
    seen = []
    hook = encoder.network.layers[0].register_forward_hook(lambda *call: seen.append(call[2]))
    for n_samples, n_columns in ((16_000, 9), (80_000, 49), (2800, 1), (100, 1)):
        encoder.scene(noise(1, n_samples))
        assert seen.pop().shape == (1, 2 + 12 * n_columns, 32)
    hook.remove()


def test_hear_contract(folder, check_hear_contract):
    check_hear_contract(load_ast(folder))


def test_times(folder):
    embeddings, centres_ms = load_ast(folder).timestamps(noise(1, 8000))
    assert embeddings.shape == (1, 5, 32)
    assert centres_ms.tolist() == [[87.5, 187.5, 287.5, 387.5, 487.5]]


def test_several_windows(folder):
    encoder = load_ast(folder, window_s=0.5)
    waveform = noise(1, 20_000)
    waveform = waveform - waveform.mean()
    layers = encoder.layers(waveform)
    assert {name: tuple(output.shape) for name, output in layers.items()} == {
        "1": (1, 1, 32),
        "2": (1, 1, 32),
        "3": (1, 1, 32),
    }
    # Windows of 8000 samples and what completes their last frame, then the rest.
    whole = load_ast(folder)
    parts = [waveform[:, :9200], waveform[:, 8000:17_200], waveform[:, 16_000:]]
    assert [part.shape[1] for part in parts] == [9200, 9200, 4000]
    expected = sum(whole._layers(part)["3"][:, 0] * part.shape[1] for part in parts) / (
        9200 + 9200 + 4000
    )
    torch.testing.assert_close(encoder.scene(waveform), expected, atol=1e-5, rtol=0)
    embeddings, centres_ms = encoder.timestamps(waveform)
    assert embeddings.shape[1] == centres_ms.shape[1] == 12
    # The mean taken off is that of the clip: a constant added to it changes nothing.
    shifted, _ = encoder.timestamps(waveform + 0.2)
    torch.testing.assert_close(shifted, embeddings, atol=1e-3, rtol=0)


def test_statistics(folder, tmp_path):
    waveform = noise(1, 8000)
    mine = load_ast(folder, statistics=(-6.0, 3.0))
    assert mine.settings()["statistics"] == [-6.0, 3.0]
    assert not torch.allclose(mine.scene(waveform), load_ast(folder).scene(waveform), atol=1e-3)
    shutil.copytree(folder, tmp_path / "own")
    path = tmp_path / "own" / "preprocessor_config.json"
    path.write_text(json.dumps({"sampling_rate": 16_000, "mean": -6.0, "std": 3.0}))
    torch.testing.assert_close(load_ast(tmp_path / "own").scene(waveform), mine.scene(waveform))
    path.unlink()
    assert load_ast(tmp_path / "own").settings()["statistics"] == list(AUDIOSET_STATISTICS)
    with pytest.raises(ValueError, match="positive deviation"):
        load_ast(folder, statistics=(-4.0, 0.0))


def test_statistics_of_the_task(folder, tmp_path):
    rng, waves = np.random.default_rng(0), {}
    # Whole, cut to the unit of half a second, and filled up to it.
    for name, n_samples in (("a.wav", 8000), ("b.wav", 12_000), ("c.wav", 3000)):
        waves[name] = rng.uniform(-0.3, 0.5, n_samples)
        write_wav(tmp_path / name, waves[name], 16_000)
    clips = tuple(Clip(name, ("x",), split="train") for name in waves)
    unused = Clip("b.wav", ("x",), split="test", start_s=0.1)
    manifest = Manifest(tmp_path, (*clips, unused), ("x",))
    cut = Preprocessing(unit_s=0.5)
    units = []
    for clip in clips:
        start, _ = cut.crop(clip, len(waves[clip.file]), 16_000)
        unit = waves[clip.file][start : start + 8000]
        units.append(np.concatenate([unit, np.zeros(8000 - len(unit))]))
    values = np.stack([fbank_by_hand(unit - unit.mean()) for unit in units])
    config = tmp_path / "task.yaml"
    config.write_text(f"encoder: ast\nweights: {folder}\noptions: {{statistics: task}}")
    encoder = open_encoder(str(config), manifest, cut).encoder
    expected = [values.mean(), values.std()]
    assert encoder.settings()["statistics"] == pytest.approx(expected, abs=2e-3)
    with pytest.raises(ValueError, match="statistics: task, for AST, needs a manifest"):
        open_encoder(str(config))
    config.write_text(config.read_text().replace("task", "audioset"))
    encoder = open_encoder(str(config), manifest).encoder
    assert encoder.settings()["statistics"] == list(AUDIOSET_STATISTICS)
    config.write_text(config.read_text().replace("audioset", "[-6.0, 3.0]"))
    assert open_encoder(str(config)).encoder.settings()["statistics"] == [-6.0, 3.0]
    config.write_text(config.read_text().replace("[-6.0, 3.0]", "tasks"))
    with pytest.raises(ValueError, match="options of ast"):
        open_encoder(str(config), manifest)


def test_statistics_of_a_clip_shorter_than_a_column_of_patches(folder, tmp_path):
    wave = np.random.default_rng(0).uniform(-0.3, 0.5, 1000)
    write_wav(tmp_path / "a.wav", wave, 16_000)
    manifest = Manifest(tmp_path, (Clip("a.wav", ("x",), split="train"),), ("x",))
    found = load_ast(folder, "task", corpus=Corpus(manifest, Preprocessing())).settings()
    # Zeros after the mean is taken off, as when it is embedded.
    values = fbank_by_hand(np.concatenate([wave - wave.mean(), np.zeros(1800)]))
    assert found["statistics"] == pytest.approx([values.mean(), values.std()], abs=2e-3)


def test_settings_tell_versions_of_the_libraries(folder):
    packages = load_ast(folder).settings()["packages"]
    assert packages == {
        "transformers": transformers.__version__,
        "torchaudio": torchaudio.__version__.split("+")[0],
    }


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan", "speech"])
def test_original_files_that_do_not_fit_are_refused(original, tmp_path, fault):
    weights = {name: weight.clone() for name, weight in original.items()}
    name = "v.blocks.1.attn.qkv.weight"
    if fault == "missing":
        del weights[name]
    elif fault == "unknown":
        weights["v.blocks.1.attn.gate.weight"] = torch.zeros(3)
    elif fault == "shape":
        weights[name] = weights[name][:, :64]
    elif fault == "nan":
        weights[name][0, 0] = torch.nan
    else:
        weights = {"encoder.weight": torch.zeros(3)}
    torch.save(weights, tmp_path / "ast.pth")
    words = {"missing": "lacks", "unknown": "unknown", "nan": "NaN", "speech": "lacks"}
    with pytest.raises(BrokenFileError, match=words.get(fault, "not the weights")):
        load_ast(tmp_path / "ast.pth")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_stride": 16}, "time_stride is 16, not 10"),
        ({"model_type": "vit"}, "type 'vit'"),
        ({"max_length": 512}, "not the weights"),
    ],
)
def test_folders_that_do_not_fit_are_refused(folder, tmp_path, change, words):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BrokenFileError, match=words):
        load_ast(copy)


def test_folder_without_a_layer_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".layer.1." not in name}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BrokenFileError, match="lacks"):
        load_ast(copy)


def test_absent_file_says_where_to_get_it(tmp_path):
    for place in (tmp_path / "none.pth", tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match=r"https://huggingface\.co/MIT"):
            load_ast(place)
