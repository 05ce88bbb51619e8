import importlib
from types import MappingProxyType

import pytest
import torch
from torch import nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders import code_digest as hashing
from byola_diff.encoders.content_hash import _kind, content_hash
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder


def make_encoder(seed=0, std=4.5, **front_end):
    torch.manual_seed(seed)
    return AudioEncoder(LogMel(**front_end), Normalize(-9.0, std), AudioNTT2020(dim=16))


class Contract:
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16_000, 2, 2
    layer_strides = MappingProxyType({"weight": 1})

    def scene(self, waveform): ...

    def timestamps(self, waveform): ...

    def layers(self, waveform): ...


class Counting(Contract, nn.Module):
    """An encoder as someone else may write it: settings are no part of its weights."""

    def __init__(self, hop_samples=160, dtype=torch.float32):
        super().__init__()
        self.hop_samples = hop_samples
        self.weight = nn.Parameter(torch.ones(2, dtype=dtype))
        self.register_buffer("scalar", torch.tensor(3))

    def settings(self):
        return {"hop_samples": self.hop_samples}


def fused(*names, pooling="mean+max", seed=0):
    return FusedEncoder(make_encoder(seed), names, pooling)


def ensemble(combine="concat", states="last", seed=1):
    members = [Member(make_encoder(0)), Member(fused("fc1", seed=seed), states)]
    return EnsembleEncoder(members, combine)


def test_equal_encoders_have_one_hash_wherever_their_memory_lies():
    first, second = make_encoder(), make_encoder()
    assert content_hash(first) == content_hash(second)
    second.to(memory_format=torch.contiguous_format)
    second.scene(torch.zeros(1, 16_000))
    assert content_hash(first) == content_hash(second)
    assert content_hash(fused("conv1", "fc1")) == content_hash(fused("conv1", "fc1"))


def test_whatever_an_embedding_depends_on_changes_the_hash():
    one_weight = make_encoder()
    one_weight.network.fc[3].bias[0] += 1e-6
    batch_norm = make_encoder()
    batch_norm.network.features[1].running_var[0] += 1e-6
    encoders = [
        make_encoder(),
        one_weight,
        batch_norm,
        make_encoder(seed=1),
        make_encoder(std=4.6),
        make_encoder(f_max_hz=7000.0),
        make_encoder(hop_samples=320),
        fused("conv1"),
        fused("conv1", "fc1"),
        fused("fc1", "conv1"),
        fused("conv1", pooling="mean"),
        fused("conv1", seed=1),
        ensemble(),
        ensemble(combine="average"),
        ensemble(states="mean"),
        ensemble(seed=2),
    ]
    assert len({content_hash(encoder) for encoder in encoders}) == len(encoders)


def test_settings_and_types_of_someone_elses_module():
    variants = [Counting(), Counting(hop_samples=320), Counting(dtype=torch.bfloat16)]
    other = type("Counting2", (Counting,), {})()
    hashes = {content_hash(encoder) for encoder in [*variants, other]}
    assert len(hashes) == 4
    assert content_hash(Counting()) in hashes


def test_an_encoder_whose_weights_can_not_be_seen_is_refused():
    with pytest.raises(TypeError, match=r"Contract must be an nn\.Module"):
        content_hash(Contract())


LAYER = '''
"""A front end."""

from torch import nn

from {package}.{filters} import gain


class FrontEnd(nn.Module):
    """Louder."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, waveform):
        return gain(waveform) * 2  # twice
'''.replace("from torch import nn", "import torch\nfrom torch import nn")
FILTERS = "def gain(waveform):\n    return waveform * 3\n"


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """Hash of a front end of a package of that name, with its files where they are put."""

    def make(package, layer="audio.layer", filters="audio.filters", texts=(LAYER, FILTERS)):
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(hashing, "PACKAGE", package)
        for module, text in zip((layer, filters), texts, strict=True):
            path = tmp_path.joinpath(package, *module.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(package=package, filters=filters))
        (tmp_path / package / "__init__.py").touch()
        encoder = Counting()
        encoder.front_end = importlib.import_module(f"{package}.{layer}").FrontEnd()
        return content_hash(encoder)

    return make


def test_a_move_within_the_package_changes_nothing(moved):
    first = moved("house_1")
    assert moved("house_2") == first
    assert moved("house_3", "front_ends.one", "models.deep.filters") == first


def test_words_about_the_code_change_nothing(moved):
    told = LAYER.replace("Louder", "As loud as four").replace("  # twice", "  # two times\n")
    assert moved("house_4", texts=(told, FILTERS)) == moved("house_5")


def test_an_edited_front_end_has_another_hash(moved):
    hashes = {
        moved("house_6"),
        moved("house_7", texts=(LAYER.replace("* 2", "* 4"), FILTERS)),
        moved("house_8", texts=(LAYER, FILTERS.replace("3", "5"))),
        moved("house_9", texts=(LAYER.replace("torch.ones", "torch.zeros"), FILTERS)),
    }
    assert len(hashes) == 4


def test_what_is_imported_from_rooms_that_compute_no_embeddings_does_not_count(moved):
    edited = (LAYER, FILTERS.replace("3", "5"))
    assert moved("house_10", filters="reports.page") == moved(
        "house_11", filters="reports.page", texts=edited
    )


def test_the_functions_that_our_encoders_rely_on_count(monkeypatch):
    """The crop of a waveform, the mel bank and the network, each in a file of its own."""
    before, code = content_hash(make_encoder()), hashing._code
    for edited in ("log_mel.py", "normalize.py", "waveform.py", "cnn.py", "encoder.py"):

        def other(file, edited=edited):
            text, imports = code(file)
            return text + "edited" * (file.name == edited), imports

        monkeypatch.setattr(hashing, "_code", other)
        assert content_hash(make_encoder()) != before, edited


def test_the_place_of_a_class_of_ours_is_no_part_of_its_kind():
    assert _kind(LogMel) == "LogMel"
    assert _kind(nn.Linear) == "torch.nn.modules.linear.Linear"
