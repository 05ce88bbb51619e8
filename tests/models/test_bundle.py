import json
import os
import pickle

import pytest
import torch

import byola_diff
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.storage import BrokenFileError, save_checked, sealed_json, sha256
from tests.bundles import write_bundle

WAVEFORM = torch.rand(2, 16_000, generator=torch.Generator().manual_seed(0)) - 0.5


def make_encoder(network=None):
    torch.manual_seed(0)
    log_mel = LogMel(window_samples=400, n_fft=400, f_min_hz=50.0, f_max_hz=8000.0)
    return AudioEncoder(log_mel, Normalize(-7.3, 4.1), network or AudioNTT2022(dim=1060))


def write(folder, encoder=None, **facts):
    facts = {"training": {"encoder": {"dim": 1060}, "seed": 3}, **facts}
    write_bundle(folder, encoder or make_encoder(), **facts)
    return folder


def edit_config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    kept = {k: v for k, v in config.items() if v is not None and k != "file_sha256"}
    path.write_text(sealed_json(kept))


def released_state(network, n_mels=64, dim=2048):
    """Names and shapes of the released files, written out by hand."""
    blocks = 3 if network == 2020 else 2
    conv_dim = 64 * (n_mels >> blocks)
    hidden, out = (dim, dim) if network == 2020 else (2048, dim - conv_dim)
    shapes = {}
    for block in range(blocks):
        conv, norm = f"features.{4 * block}", f"features.{4 * block + 1}"
        shapes |= {f"{conv}.weight": (64, 64 if block else 1, 3, 3), f"{conv}.bias": (64,)}
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{name}"] = (64,)
        shapes[f"{norm}.num_batches_tracked"] = ()
    shapes |= {"fc.0.weight": (hidden, conv_dim), "fc.0.bias": (hidden,)}
    shapes |= {"fc.3.weight": (out, hidden), "fc.3.bias": (out,)}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.tensor(5) if not shape else torch.rand(shape, generator=generator) * 0.02
        for name, shape in shapes.items()
    }


def save(state, path):
    torch.save(state, path)
    return path


# Bundles.


def test_what_is_written_comes_back(tmp_path):
    encoder = make_encoder()
    folder = write(tmp_path / "bundle", encoder)
    loaded = load_encoder(str(folder))
    assert loaded.log_mel.settings() == encoder.log_mel.settings()
    assert loaded.normalize.mean == encoder.normalize.mean
    assert loaded.normalize.std == encoder.normalize.std
    torch.testing.assert_close(loaded.scene(WAVEFORM), encoder.scene(WAVEFORM), rtol=0, atol=0)
    assert byola_diff.load_encoder is load_encoder


def test_config_says_all_that_is_needed(tmp_path):
    folder = write(
        tmp_path / "bundle", steps=1234, licence="CC-BY-4.0", data="tones", commit="abc123"
    )
    config = json.loads((folder / "config.json").read_text())
    assert config["format_version"] == 2
    assert config["front_end"] == make_encoder().log_mel.settings()
    assert config["statistics"] == pytest.approx({"mean": -7.3, "std": 4.1})
    assert config["encoder"] == {"name": "AudioNTT2022", "dim": 1060}
    assert config["training"] == {"encoder": {"dim": 1060}, "seed": 3}
    assert config["weights_sha256"] == sha256(folder / "model.safetensors")
    for key, value in {"steps": 1234, "licence": "CC-BY-4.0", "data": "tones"}.items():
        assert config[key] == value
    assert config["commit"] == "abc123"


def test_model_card_names_what_a_user_asks_for(tmp_path):
    folder = write(tmp_path / "mine", steps=1234, licence="CC-BY-4.0", data="tones", commit="abc")
    card = (folder / "README.md").read_text()
    assert "AudioNTT2022, 1060 dimensions" in card
    for fact in ("1234", "CC-BY-4.0", "tones", "-7.3, 4.1", "abc", "Intended use", "Not evaluated"):
        assert fact in card
    assert "every 40 ms" in card


def test_usage_example_of_the_model_card_runs(tmp_path, monkeypatch):
    card = (write(tmp_path / "mine") / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    example = card.split("```python\n")[1].split("```")[0]
    assert example.count("\n") == 5
    names = {}
    exec(example, names)
    assert names["clips"].shape == (2, 1060)
    assert names["frames"].shape == (2, 125, 1060)


def test_bundle_is_whole_or_absent(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write(tmp_path / "bundle", training={"seed": object()})
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites(tmp_path):
    folder = write(tmp_path / "bundle")
    with pytest.raises(FileExistsError, match="not empty"):
        write(folder)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        write(tmp_path / "file")


def test_fills_an_empty_folder(tmp_path):
    (tmp_path / "bundle").mkdir()
    assert load_encoder(write(tmp_path / "bundle")).sample_rate == 16_000


def test_missing_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing at .*none: give a bundle folder"):
        load_encoder(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_folder_that_is_no_bundle(tmp_path, name):
    folder = write(tmp_path / "bundle")
    (folder / name).unlink()
    with pytest.raises(BrokenFileError, match=f"{name} is missing"):
        load_encoder(folder)


def test_bundle_without_statistics(tmp_path):
    folder = write(tmp_path / "bundle")
    edit_config(folder, statistics=None)
    with pytest.raises(BrokenFileError, match="no normalisation statistics"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format_version": 99}, "bundle format 99 is unknown"),
        ({"format_version": None}, "bundle format None is unknown"),
        ({"front_end": None}, r"lacks \['front_end'\]"),
        ({"front_end": {"bands": 3}}, "unexpected keyword argument 'bands'"),
        ({"front_end": {"n_mels": 32}}, "32 mel bands, the network takes 64"),
        ({"statistics": {"mean": -7.0}}, "'std'"),
        ({"statistics": {"mean": -7.0, "std": 0.0}}, "std > 0"),
        ({"statistics": {"mean": "much", "std": 1.0}}, "much"),
        ({"encoder": {"name": "AudioNTT2020", "dim": 1060}}, "but the weights are"),
    ],
)
def test_broken_config(tmp_path, changes, reason):
    folder = write(tmp_path / "bundle")
    edit_config(folder, **changes)
    with pytest.raises(BrokenFileError, match=reason):
        load_encoder(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
def test_config_that_is_no_json(tmp_path, text):
    folder = write(tmp_path / "bundle")
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BrokenFileError, match=r"config\.json"):
        load_encoder(folder)


def test_any_altered_byte_of_the_config_is_refused(tmp_path):
    path = write(tmp_path / "bundle") / "config.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(BrokenFileError, match=r"config\.json"):
            load_encoder(path.parent)
    path.write_bytes(whole[:-1])
    with pytest.raises(BrokenFileError, match="truncated or altered"):
        load_encoder(path.parent)


def test_bundles_of_format_1_are_read(tmp_path):
    path = write(tmp_path / "bundle") / "config.json"
    config = json.loads(path.read_text()) | {"format_version": 1}
    del config["file_sha256"]
    path.write_text(json.dumps(config))
    assert load_encoder(path.parent).network.dim == 1060


def test_all_files_are_as_readable_as_the_umask_says(tmp_path):
    usual = os.umask(0o022)
    try:
        folder = write(tmp_path / "bundle")
    finally:
        os.umask(usual)
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}


def test_a_file_without_a_hash_is_told_of(tmp_path, capsys):
    path = save(released_state(2020), tmp_path / "released.pth")
    load_encoder(path, (-9.0, 4.5))
    assert "released.pth comes without released.pth.sha256: not checked" in capsys.readouterr().err
    save_checked(released_state(2020), path)
    load_encoder(path, (-9.0, 4.5))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("position", [100, -1])
def test_tampered_weights(tmp_path, position):
    folder = write(tmp_path / "bundle")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[position] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        load_encoder(folder)


@pytest.mark.parametrize("fix_hash", [False, True])
def test_truncated_weights(tmp_path, fix_hash):
    folder = write(tmp_path / "bundle")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    if fix_hash:
        edit_config(folder, weights_sha256=sha256(path))
    with pytest.raises(BrokenFileError, match="safetensors"):
        load_encoder(folder)


@pytest.mark.parametrize("extra", [{"statistics": (0.0, 1.0)}, {"front_end": {"n_mels": 64}}])
def test_bundle_takes_no_settings_of_the_caller(tmp_path, extra):
    with pytest.raises(ValueError, match="its own statistics and front end"):
        load_encoder(write(tmp_path / "bundle"), **extra)


# Files of weights alone.


@pytest.mark.parametrize(
    ("year", "dim", "n_mels"),
    [
        (2020, 512, 64),
        (2020, 1024, 64),
        (2020, 2048, 64),
        (2022, 2048, 64),
        (2022, 3072, 64),
        (2020, 512, 80),
    ],
)
def test_released_files_tell_their_architecture(tmp_path, year, dim, n_mels):
    state = released_state(year, n_mels, dim)
    # As the released 3072-dimensional file: the name says something else.
    path = save(state, tmp_path / "AudioNTT2022-BYOLA-64x96d1234.pth")
    encoder = load_encoder(path, statistics=[-5.0, 5.0])
    assert type(encoder.network) is {2020: AudioNTT2020, 2022: AudioNTT2022}[year]
    assert (encoder.scene_embedding_size, encoder.network.n_mels) == (dim, n_mels)
    torch.testing.assert_close(dict(encoder.network.state_dict()), state, rtol=0, atol=0)
    assert encoder.scene(WAVEFORM).isfinite().all()


def test_released_files_get_the_front_end_of_byol_a(tmp_path):
    path = save(released_state(2022), tmp_path / "a.pth")
    settings = load_encoder(path, statistics=(-5.0, 5.0)).log_mel.settings()
    assert settings["window_samples"] == settings["n_fft"] == 1024
    assert (settings["f_min_hz"], settings["f_max_hz"]) == (60.0, 7800.0)
    other = load_encoder(path, (-5.0, 5.0), {"window_samples": 400, "n_fft": 512})
    assert other.log_mel.window_samples == 400


@pytest.mark.parametrize("wrapping", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "encoder.", "module.net."])
def test_wrapping_and_prefix_are_taken_off(tmp_path, wrapping, prefix):
    state = released_state(2022)
    named = {prefix + name: value for name, value in state.items()}
    path = save({wrapping: named, "epoch": 3}, tmp_path / "a.pth")
    loaded = load_encoder(path, statistics=(-5.0, 5.0)).network.state_dict()
    torch.testing.assert_close(dict(loaded), state, rtol=0, atol=0)


def test_half_precision_and_missing_counters(tmp_path):
    state = {k: v.half() for k, v in released_state(2020, dim=32).items() if "num_b" not in k}
    encoder = load_encoder(save(state, tmp_path / "a.pth"), statistics=(-5.0, 5.0))
    assert encoder.scene(WAVEFORM).dtype == torch.float32


def test_weights_alone_need_statistics(tmp_path):
    path = save(released_state(2022), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"statistics=\(mean, std\).*config.json"):
        load_encoder(path)


def test_two_networks_in_one_file(tmp_path):
    state = released_state(2020, dim=32)
    both = {f"{net}.{k}": v for net in ("pair.online", "pair.target") for k, v in state.items()}
    path = save({"state_dict": both}, tmp_path / "last.ckpt")
    with pytest.raises(BrokenFileError, match=r"'pair.online.', 'pair.target.'.*byola-diff export"):
        load_encoder(path, statistics=(-5.0, 5.0))


def changed(**changes):
    state = released_state(2020, dim=32) | {k.replace("__", "."): v for k, v in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"layer.weight": torch.zeros(3)}, "no 'features.0.weight'"),
        ({}, "no 'features.0.weight'"),
        (changed(features__5__bias=None), r"missing: features\.5\.bias$"),
        (changed(fc__6__weight=torch.zeros(1)), r"unexpected: fc\.6\.weight$"),
        (changed(fc__0__bias=torch.zeros(7)), r"fc.0.bias \[7\] instead of \[32\]"),
        (changed(fc__3__weight=None), "not two matrices"),
        (changed(fc__0__weight=torch.zeros(3)), "not two matrices"),
        (changed(fc__0__weight=torch.zeros(32, 100)), r"fc.0.weight \[32, 100\] instead of"),
        (changed(fc__0__bias="none"), "fc.0.bias is a str"),
        (
            changed(fc__0__bias=torch.full((32,), float("nan"))),
            "NaN or infinite values in fc.0",
        ),
    ],
)
def test_tensors_of_another_architecture(tmp_path, state, reason):
    with pytest.raises(BrokenFileError, match=reason):
        load_encoder(save(state, tmp_path / "a.pth"), statistics=(-5.0, 5.0))


class Attack:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_hostile_pickle_is_refused_and_not_run(tmp_path, writer):
    state = released_state(2020, dim=32) | {"extra": Attack(tmp_path / "created")}
    path = tmp_path / "a.pth"
    if writer == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    with pytest.raises(BrokenFileError, match=r"a\.pth"):
        load_encoder(path, statistics=(-5.0, 5.0))
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("size", [0, 100, 50_000])
def test_truncated_file(tmp_path, size):
    path = save(released_state(2020, dim=32), tmp_path / "a.pth")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BrokenFileError, match=r"a\.pth"):
        load_encoder(path, statistics=(-5.0, 5.0))


def test_hash_beside_a_weight_file_is_verified(tmp_path):
    path = tmp_path / "a.pth"
    save_checked(released_state(2020, dim=32), path)
    load_encoder(path, statistics=(-5.0, 5.0))
    save(released_state(2020, dim=40), path)
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        load_encoder(path, statistics=(-5.0, 5.0))


def test_half_precision_halves_the_file_and_hardly_moves_an_embedding(tmp_path):
    encoder = make_encoder()
    encoder.network.features[1].running_var.fill_(1e6)  # beyond the range of float16
    whole, half = write(tmp_path / "whole", encoder), write(tmp_path / "half", encoder, half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.51 * sizes[0]
    loaded = load_encoder(half)
    assert {value.dtype for value in loaded.network.parameters()} == {torch.float32}
    before, after = encoder.scene(WAVEFORM), loaded.scene(WAVEFORM)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-3 * before.abs().max().item())
