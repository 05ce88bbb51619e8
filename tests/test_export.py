import json
import sys
from pathlib import Path

import pytest
import torch
import yaml

from byola_diff.export import export, main, weights_name
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.pair import OnlineTargetPair
from byola_diff.storage import BrokenFileError, save_checked

FRONT_END = {
    "sample_rate": 16_000,
    "window_samples": 400,
    "n_fft": 400,
    "hop_samples": 160,
    "n_mels": 64,
    "f_min_hz": 50.0,
    "f_max_hz": 8000.0,
    "backend": "fft",
}
WAVEFORM = torch.rand(2, 16_000, generator=torch.Generator().manual_seed(0)) - 0.5


def make_checkpoint(network=None, **config):
    torch.manual_seed(0)
    network = network or AudioNTT2022(dim=1060)
    pair = OnlineTargetPair(network, projection_hidden=8, projection_dim=4)
    with torch.no_grad():  # a target that moved away, so that the wrong one would be seen
        for parameter in pair.target.parameters():
            parameter.add_(0.1)
    state = {f"pair.{name}": value for name, value in pair.state_dict().items()}
    return {
        "config": {
            "front_end": FRONT_END,
            "encoder": {"name": type(network).__name__, "dim": network.dim},
            "objective": {"difference_weight": 1.0},
            "data": {"store": "clips"},
            "seed": 0,
            **config,
        },
        "state_dict": {
            "normalize.mean": torch.tensor(-7.25),
            "normalize.std": torch.tensor(4.5),
            "make_views.memory": torch.zeros(3),
            **state,
        },
        "global_step": 700,
    }


def saved(checkpoint, folder):
    save_checked(checkpoint, folder / "last.ckpt")
    return folder / "last.ckpt"


def test_bundle_holds_the_online_encoder(tmp_path):
    checkpoint = make_checkpoint()
    files = export(saved(checkpoint, tmp_path), tmp_path / "out", licence="MIT", data="tones")
    assert [path.name for path in files] == [
        "AudioNTT2022-BYOLA-DIFF-64x96d1060.pth",
        "AudioNTT2022-BYOLA-DIFF-64x96d1060.pth.sha256",
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    encoder = load_encoder(tmp_path / "out")
    prefix = "pair.online.encoder."
    for name, value in encoder.network.state_dict().items():
        torch.testing.assert_close(value, checkpoint["state_dict"][prefix + name], rtol=0, atol=0)
    assert (encoder.normalize.mean, encoder.normalize.std) == (-7.25, 4.5)
    assert encoder.log_mel.settings() == FRONT_END
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["training"] == checkpoint["config"]
    assert (config["steps"], config["licence"], config["data"]) == (700, "MIT", "tones")


def test_weight_file_has_the_released_names_and_gives_the_same_embeddings(tmp_path):
    export(saved(make_checkpoint(), tmp_path), tmp_path / "out")
    path = tmp_path / "out" / "AudioNTT2022-BYOLA-DIFF-64x96d1060.pth"
    state = torch.load(path, weights_only=True)
    assert set(state) == set(AudioNTT2022(dim=1060).state_dict())
    from_weights = load_encoder(path, (-7.25, 4.5), FRONT_END)
    from_bundle = load_encoder(tmp_path / "out")
    torch.testing.assert_close(
        from_weights.scene(WAVEFORM), from_bundle.scene(WAVEFORM), rtol=0, atol=0
    )


def test_plain_byol_a_is_named_so(tmp_path):
    checkpoint = make_checkpoint(AudioNTT2020(dim=32), objective={"difference_weight": 0.0})
    files = export(saved(checkpoint, tmp_path), tmp_path / "out")
    assert files[0].name == "AudioNTT2020-BYOLA-64x96d32.pth"
    assert weights_name(load_encoder(tmp_path / "out"), {}) == "AudioNTT2020-BYOLA-64x96d32"


def test_commit_of_the_training_run_is_kept(tmp_path):
    checkpoint = make_checkpoint() | {"commit": "abc123"}
    export(saved(checkpoint, tmp_path), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["commit"] == "abc123"


def without(checkpoint, part, name):
    checkpoint[part] = {k: v for k, v in checkpoint[part].items() if k != name}
    return checkpoint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: {"state_dict": c["state_dict"]}, "no training checkpoint"),
        (lambda c: without(c, "state_dict", "normalize.mean"), "normalize.mean"),
        (lambda c: without(c, "config", "front_end"), "front_end"),
        (lambda c: without(c, "config", "encoder"), "says encoder None"),
        (lambda c: c | {"config": c["config"] | {"encoder": {"name": "x"}}}, "says encoder"),
        (
            lambda c: without(c, "state_dict", "pair.online.encoder.features.4.bias"),
            "missing: features.4.bias",
        ),
    ],
)
def test_incomplete_checkpoint_leaves_nothing_behind(tmp_path, change, reason):
    path = saved(change(make_checkpoint()), tmp_path)
    with pytest.raises(BrokenFileError, match=reason):
        export(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_altered_checkpoint(tmp_path):
    path = saved(make_checkpoint(), tmp_path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        export(path, tmp_path / "out")


def test_command_says_what_it_wrote_and_how_to_load_it(tmp_path, capsys):
    main([str(saved(make_checkpoint(), tmp_path)), str(tmp_path / "out"), "--licence", "MIT"])
    out = capsys.readouterr().out
    for name in ("model.safetensors", "config.json", "README.md", "AudioNTT2022-BYOLA-DIFF"):
        assert name in out
    assert "0.0 MB" not in out
    assert f'load_encoder("{tmp_path / "out"}")' in out


def test_data_sets_of_the_hub_are_kept_and_told(tmp_path):
    path, out = saved(make_checkpoint(), tmp_path), tmp_path / "out"
    main([str(path), str(out), "--datasets", "agkphysics/AudioSet", "someone/drums"])
    names = ["agkphysics/AudioSet", "someone/drums"]
    assert json.loads((out / "config.json").read_text())["datasets"] == names
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert front["datasets"] == names
    assert front["license"] == "unknown"
    assert "difference-loss" in front["tags"]


def test_command_fails_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.ckpt"), str(tmp_path / "out")]) == 2
    assert "no checkpoint at" in capsys.readouterr().err


def test_onnx_without_its_packages_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    path = saved(make_checkpoint(), tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"byola-diff\[onnx\]"):
        export(path, tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_onnx_beside_the_bundle_is_the_encoder(tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = saved(make_checkpoint(AudioNTT2020(dim=32)), tmp_path)
    files = export(path, tmp_path / "out", onnx=True, licence="MIT")
    assert "encoder.onnx" in [path.name for path in files]
    session = onnxruntime.InferenceSession(tmp_path / "out" / "encoder.onnx")
    (embedding,) = session.run(None, {"waveform": WAVEFORM.numpy()})
    expected = load_encoder(tmp_path / "out").scene(WAVEFORM)
    torch.testing.assert_close(torch.from_numpy(embedding), expected, rtol=0, atol=1e-4)
    facts = session.get_modelmeta().custom_metadata_map
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (facts["name"], facts["licence"]) == ("out", "MIT")
    assert facts["weights_sha256"] == config["weights_sha256"]


def test_working_folder_is_not_replaced(tmp_path, monkeypatch):
    path = saved(make_checkpoint(), tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ValueError, match="name a folder in it"):
        export(path, Path())


def test_weights_beyond_half_precision_are_refused(tmp_path):
    checkpoint = make_checkpoint()
    checkpoint["state_dict"]["pair.online.encoder.fc.0.weight"][0, 0] = 1e6
    with pytest.raises(ValueError, match=r"fc.0.weight is too large .*--half"):
        export(saved(checkpoint, tmp_path), tmp_path / "out", half=True)
    assert not (tmp_path / "out").exists()


def test_name_tells_the_frames_of_a_training_clip(tmp_path):
    checkpoint = make_checkpoint()
    checkpoint["config"].setdefault("data", {})["unit_s"] = 0.3
    names = [path.name for path in export(saved(checkpoint, tmp_path), tmp_path / "out")]
    assert any("-64x31d" in name for name in names)
