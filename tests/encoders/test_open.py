"""Which encoder a spec names. What each kind does is tested beside its adapter."""

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders import registry
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.ensemble import EnsembleEncoder
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.open import (
    EncoderSpec,
    EnsembleFile,
    EnsembleSpec,
    MemberSpec,
    check_spec,
    open_encoder,
    read_spec,
    split_layers,
)
from byola_diff.encoders.registry import KINDS
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.shipped import SHIPPED
from byola_diff.tables.preprocessing import Preprocessing
from tests.bundles import write_bundle
from tests.corpus import write_corpus


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(5)
    encoder = AudioEncoder(LogMel(f_max_hz=7000.0), Normalize(-9.0, 4.5), AudioNTT2020(dim=48))
    folder = tmp_path_factory.mktemp("encoders") / "bundle"
    write_bundle(folder, encoder)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """Loaders of kinds with files are replaced by ones that note their arguments."""
    noted = []

    def replaced(name):
        def loader(**arguments):
            noted.append((name, arguments))
            return AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2020(dim=8))

        return loader

    def load(loader, options, what, **given):
        return replaced(loader.__name__)(**given, **options)

    monkeypatch.setattr(registry, "call_with_options", load)
    return noted


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_bundle_by_its_folder(bundle):
    named = open_encoder(str(bundle))
    assert named.name == str(bundle)
    assert named.encoder.scene_embedding_size == 48
    assert isinstance(named.encoder, Encoder)


def test_on_a_device(bundle):
    there, here = open_encoder(str(bundle), device="meta"), open_encoder(str(bundle))
    assert {value.device.type for value in there.encoder.state_dict().values()} == {"meta"}
    assert there.content_hash == here.content_hash


@pytest.mark.parametrize(
    ("encoder_spec", "loader", "arguments"),
    [
        ("vggish:a.pth", "load_vggish", {"weights": "a.pth"}),
        ("cnn14:a:b.pth", "load_cnn14", {"weights": "a:b.pth", "sample_rate": 16_000}),
        ("cnn14-32k:a.pth", "load_cnn14", {"weights": "a.pth", "sample_rate": 32_000}),
        ("ast:folder", "load_ast", {"weights": "folder", "corpus": None}),
        ("wav2vec2:org/name", "load_speech", {"weights": "org/name", "model_type": "wav2vec2"}),
        ("hubert:folder", "load_speech", {"weights": "folder", "model_type": "hubert"}),
        ("crepe", "load_crepe", {}),
        ("crepe:tiny", "load_crepe", {"capacity": "tiny"}),
        ("crepe:./tiny", "load_crepe", {"weights": "tiny"}),
        ("byola:a.pth", "load_byola", {"weights": "a.pth", "corpus": None}),
        ("byola-layers:a.pth", "load_byola", {"weights": "a.pth", "layered": True, "corpus": None}),
        ("log-mel-statistics", "load_log_mel_statistics", {}),
        ("mean-power", "load_mean_power", {}),
        ("untrained:vggish", "untrained_vggish", {"seed": 0}),
        ("untrained:cnn14:7", "untrained_cnn14", {"seed": 7, "sample_rate": 16_000}),
        ("untrained:cnn14-32k:7", "untrained_cnn14", {"seed": 7, "sample_rate": 32_000}),
        (
            "untrained:AudioNTT2022:3072:4",
            "untrained_network",
            {"name": "AudioNTT2022", "dim": 3072, "seed": 4, "corpus": None},
        ),
    ],
)
def test_what_each_spec_opens(calls, encoder_spec, loader, arguments):
    open_encoder(encoder_spec)
    ((found, given),) = calls
    paths = {name: str(value) if name == "weights" else value for name, value in given.items()}
    assert (found, paths) == (loader, arguments)


def test_every_kind_has_a_spec_in_the_test_above_or_its_own():
    assert set(KINDS) == {
        *("vggish", "cnn14", "cnn14-32k", "ast", "wav2vec2", "hubert", "crepe", "hear"),
        *("byola", "byola-layers", "log-mel-statistics", "mean-power", "untrained", "python"),
        "hf",  # tests/models/test_hub.py
        *SHIPPED,
    }
    assert all(kind in registry.__doc__ for kind in KINDS)


def test_the_name_of_a_kind_is_no_folder(bundle, tmp_path, monkeypatch):
    (tmp_path / "log-mel-statistics").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    assert open_encoder("log-mel-statistics").encoder.scene_embedding_size == 128
    assert open_encoder("./log-mel-statistics").encoder.scene_embedding_size == 48


def test_layers_in_brackets_are_fused(bundle):
    fusion = open_encoder(f"{bundle}[conv3,fc1]").encoder
    assert isinstance(fusion, FusedEncoder)
    assert (fusion.names, fusion.pooling) == (("conv3", "fc1"), "mean+max")
    assert fusion.scene_embedding_size == 512 + 48
    with pytest.raises(ValueError, match="no layer 99: the encoder has conv1"):
        open_encoder(f"{bundle}[99]")


def test_untrained_bundles_depend_on_the_seed(bundle):
    specs = [f"untrained:{bundle}", f"untrained:{bundle}:0", f"untrained:{bundle}:1", str(bundle)]
    first, same, other, trained = (open_encoder(encoder_spec) for encoder_spec in specs)
    assert first.content_hash == same.content_hash
    assert len({first.content_hash, other.content_hash, trained.content_hash}) == 3
    assert open_encoder(f"untrained:{bundle}[fc1]:1").encoder.scene_embedding_size == 48


def test_statistics_come_from_the_manifest(bundle, tmp_path):
    manifest = write_corpus(tmp_path)
    path = tmp_path / "w.pth"
    torch.save(AudioNTT2020(dim=16).state_dict(), path)
    encoder = open_encoder(f"byola:{path}", manifest).encoder
    assert encoder.normalize.mean < -9.5  # tones leave most bands empty
    cut = Preprocessing(unit_s=1.0)  # longer than any clip: zeros
    padded = open_encoder(f"byola:{path}", manifest, cut).encoder
    assert padded.normalize.mean < encoder.normalize.mean - 1
    whole = open_encoder(f"byola:{path}", manifest, Preprocessing()).encoder
    assert whole.normalize.mean == encoder.normalize.mean
    with pytest.raises(ValueError, match="give a manifest"):
        open_encoder(f"byola:{path}")


@pytest.mark.parametrize(
    ("encoder_spec", "error", "match"),
    [
        ("vgish:file", ValueError, "no kind 'vgish', did you mean 'vggish'.*There are: .*hear"),
        ("cnn", ValueError, "no kind 'cnn', did you mean 'cnn14'"),
        ("vggish", ValueError, "lacks its weights, as in vggish:FILE"),
        ("vggish:", ValueError, "lacks its weights, as in vggish:FILE"),
        ("hear:", ValueError, "lacks a module"),
        ("crepe:small", ValueError, "no such file .* no size 'small'. There are: full, tiny"),
        ("crepe:tinny", ValueError, "no size 'tinny', did you mean 'tiny'"),
        ("log-mel-statistics:3", ValueError, "nothing follows"),
        ("mean-power:3", ValueError, "nothing follows mean-power, not '3'"),
        ("untrained:vgish", ValueError, "neither a bundle nor one of .*'vgish', did you mean 'vgg"),
        ("untrained:", ValueError, "neither a bundle"),
        ("untrained:vggish:one", ValueError, "expected one whole number, not 'one'"),
        ("untrained:AudioNTT2022", ValueError, "lacks a width"),
        (
            "untrained:AudioNTT2022:1024",
            ValueError,
            "AudioNTT2022:1024: the number is the dimension .* exceed the 1024 conv features",
        ),
        ("untrained:AudioNTT2022:3072:1:2", ValueError, "one whole number, not '1:2'"),
        ("runs/typo", FileNotFoundError, "nothing at runs/typo: give a bundle folder .* YAML file"),
        ("none.pth[fc1]", FileNotFoundError, "nothing at none.pth: .* as in byola:none.pth$"),
        ("vggish:none.pth", FileNotFoundError, "none.pth"),
        ("none.yaml", FileNotFoundError, "no configuration"),
    ],
)
def test_specs_that_name_nothing(encoder_spec, error, match):
    with pytest.raises(error, match=match):
        open_encoder(encoder_spec)


@pytest.mark.parametrize("name", ["w.pth", "w"])
def test_a_file_needs_its_kind(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(ValueError, match=f"say what it is of, as in byola:{path}"):
        open_encoder(str(path))


@pytest.mark.parametrize("text", ["encoder: runs/typo", "encoder: w.pth\nlayers: [fc1]"])
def test_paths_of_nothing_are_refused_before_any_work(write_config, text):
    for spec in (text.split()[1], write_config(text)):
        with pytest.raises(FileNotFoundError, match=f"nothing at {text.split()[1]}: give"):
            check_spec(spec)


@pytest.fixture
def write_config(tmp_path):
    def write(text):
        path = tmp_path / "my encoder.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_a_file_of_one_encoder(bundle, write_config):
    named = open_encoder(write_config(f"encoder: {bundle}\nlayers: [conv3, fc2]\npooling: mean"))
    assert named.name == "my encoder"
    assert (named.encoder.names, named.encoder.pooling) == (("conv3", "fc2"), "mean")
    named = open_encoder(write_config(f"name: ours\nencoder: {bundle}"))
    assert named.name == "ours"
    assert named.content_hash == open_encoder(str(bundle)).content_hash


def test_options_go_to_the_loader(write_config):
    text = "encoder: log-mel-statistics\noptions: {front_end: {n_mels: 40}}"
    assert open_encoder(write_config(text)).encoder.scene_embedding_size == 80
    with pytest.raises(ValueError, match="unknown key 'frontend', did you mean 'front_end'"):
        open_encoder(write_config(text.replace("front_end", "frontend")))


def test_members_of_an_ensemble_take_the_statistics_of_the_task(bundle, write_config, tmp_path):
    torch.save(AudioNTT2020(dim=16).state_dict(), tmp_path / "w.pth")
    member = f"{{encoder: byola, weights: {tmp_path / 'w.pth'}}}"
    text = f"ensemble: {{combine: concat, members: [{member}]}}"
    manifest, cut = write_corpus(tmp_path), Preprocessing(unit_s=1.0)
    ((found,), single) = (
        open_encoder(write_config(text), manifest, cut).encoder.members,
        open_encoder(f"byola:{tmp_path / 'w.pth'}", manifest, cut).encoder,
    )
    assert found.encoder.normalize.mean == single.normalize.mean


def test_layers_of_a_file_are_numbers_or_names(write_config):
    text = "encoder: crepe:tiny\nlayers: [5, 6]"
    named = open_encoder(write_config(text))
    assert named.encoder.names == ("5", "6")
    assert named.content_hash == open_encoder("crepe[5,6]:tiny").content_hash
    file = write_config("encoder: crepe:tiny")
    assert open_encoder(f"{file}[5,6]").content_hash == named.content_hash
    assert open_encoder(f"{file}[5,6]").name == "my encoder[5,6]"


def test_layers_given_twice(bundle, write_config):
    for text in (f"encoder: {bundle}[fc1]\nlayers: [fc2]", f"encoder: {bundle}\nlayers: [fc2]"):
        encoder_spec = write_config(text) + ("" if "[fc1]" in text else "[fc1]")
        with pytest.raises(ValueError, match=r"layers are given twice, .*fc1.*fc2"):
            open_encoder(encoder_spec)


def test_bundles_take_no_options(bundle, write_config):
    with pytest.raises(ValueError, match="takes no options, not hop"):
        open_encoder(write_config(f"encoder: {bundle}\noptions: {{hop: 1}}"))


def test_a_file_of_an_ensemble(bundle, write_config):
    named = open_encoder(
        write_config(
            f"""
            name: two
            ensemble:
              combine: concat
              scene_groups: 2
              members:
                - {{encoder: '{bundle}[fc1]', states: mean}}
                - encoder: crepe:tiny
                  options: {{hop_samples: 800, pooling: mean+max}}
                  scene_options: {{hop_samples: 4000}}
            """
        )
    )
    ensemble = named.encoder
    assert named.name == "two"
    assert isinstance(ensemble, EnsembleEncoder)
    assert (ensemble.combine, ensemble.scene_groups, ensemble.reference) == ("concat", 2, 0)
    ours, crepe = ensemble.members
    assert (ours.encoder.names, ours.states, ours.scene_encoder) == (("fc1",), "mean", None)
    assert crepe.states == "last"
    assert [crepe.encoder.settings()["hop_samples"], crepe.scene_encoder.settings()["hop_samples"]
    ] == [800, 4000]  # fmt: skip
    assert crepe.scene_encoder.pooling == "mean+max"
    waveform = noise(1, 32_000)
    expected = ours.encoder.timestamps(waveform)[0]
    torch.testing.assert_close(ensemble.timestamps(waveform)[0][..., :48], expected)


def test_a_fusion_can_be_a_member(bundle, write_config):
    text = f"ensemble: {{combine: average, members: [{{encoder: '{bundle}[fc1,fc2]'}}]}}"
    (member,) = open_encoder(write_config(text)).encoder.members
    assert isinstance(member.encoder, FusedEncoder)


def test_a_hear_module_takes_its_options_and_weights(bundle, write_config):
    text = f"encoder: hear:byola_diff.hear\nweights: {bundle}"
    named = open_encoder(write_config(text))
    assert named.encoder.scene_embedding_size == 48
    assert named.content_hash == open_encoder(f"hear:byola_diff.hear:{bundle}").content_hash
    with pytest.raises(ValueError, match="a bundle with its own statistics"):
        open_encoder(write_config(f"{text}\noptions: {{statistics: [1.0, 2.0]}}"))


def test_no_two_encoders_share_a_hash(bundle, tmp_path):
    torch.manual_seed(6)
    other = AudioEncoder(LogMel(f_max_hz=7000.0), Normalize(-9.0, 4.5), AudioNTT2020(dim=48))
    write_bundle(tmp_path / "other", other)
    specs = [str(bundle), str(tmp_path / "other"), f"{bundle}[fc1]", f"{bundle}[fc2]"]
    specs += [f"hear:byola_diff.hear:{bundle}", "log-mel-statistics", "crepe:tiny"]
    assert len({open_encoder(encoder_spec).content_hash for encoder_spec in specs}) == len(specs)


def test_encoder_says_whether_its_statistics_may_be_of_the_task(bundle, tmp_path):
    manifest = write_corpus(tmp_path)
    assert not open_encoder(str(bundle), manifest).of_task
    assert open_encoder(f"untrained:{bundle}", manifest).of_task == (
        open_encoder(f"untrained:{bundle}").content_hash
        != open_encoder(f"untrained:{bundle}", manifest).content_hash
    )
    assert open_encoder("untrained:AudioNTT2020:48", manifest).of_task
    assert not open_encoder("untrained:AudioNTT2020:48").of_task


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return read_spec(path)

    return write_and_read


def test_one_encoder(read):
    config = read(
        "name: VGGish fusion\nencoder: vggish\nweights: w.pth\nlayers: [10, conv1]\n"
        "pooling: mean\noptions: {window_s: 2.5}\n"
    )
    assert config == EncoderSpec(
        encoder="vggish",
        weights="w.pth",
        layers=(10, "conv1"),
        pooling="mean",
        options={"window_s": 2.5},
        name="VGGish fusion",
    )
    assert config.short == "vggish:w.pth"


def test_what_is_left_out(read):
    config = read("encoder: crepe")
    assert config == EncoderSpec(encoder="crepe")
    assert config.short == "crepe"


def test_an_ensemble(read):
    config = read(
        """
        name: three
        ensemble:
          combine: interleave
          scene_groups: 5
          reference: 1
          members:
            - {encoder: hubert, weights: w, states: mean, options: {normalize: true}}
            - {encoder: crepe, scene_options: {hop_samples: 4000}}
        """
    )
    members = (
        MemberSpec(encoder="hubert", weights="w", states="mean", options={"normalize": True}),
        MemberSpec(encoder="crepe", scene_options={"hop_samples": 4000}),
    )
    ensemble = EnsembleSpec(members=members, combine="interleave", scene_groups=5, reference=1)
    assert config == EnsembleFile(ensemble=ensemble, name="three")
    assert [member.short for member in config.ensemble.members] == ["hubert:w", "crepe"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("encoder: [", "is not YAML"),
        ("- vggish", "expected keys"),
        ("", "expected keys"),
        ("encodr: vggish", "unknown key 'encodr', did you mean 'encoder'"),
        ("ensembel: {}", "unknown key 'ensembel', did you mean 'ensemble'"),
        ("weights: w", "encoder: is missing"),
        ("encoder: vggish\npooling: mean", "give layers"),
        ("encoder: vggish\nlayers: [1]\npooling: median", "pooling"),
        ("encoder: vggish\nlayers: 10", "layers"),
        ("encoder: vggish\noptions: [1]", "options"),
        ("encoder: other.yaml", "write here"),
        ("encoder: vggish\nensemble: {}", "unknown key 'encoder'"),
        ("ensemble: 3", "ensemble"),
        ("ensemble: {combine: average}", "ensemble: members: is missing"),
        ("ensemble: {combine: average, members: []}", "ensemble: members: .* at least 1 item"),
        ("ensemble: {members: [{encoder: crepe}]}", "ensemble: combine: is missing"),
        (
            "ensemble: {combine: concatenate, members: [{encoder: crepe}]}",
            "combine: .*'concat', 'interleave' or 'average', not 'concatenate', did you mean "
            "'concat'",
        ),
        (
            "ensemble: {combine: average, scene_group: 5, members: [{encoder: crepe}]}",
            "ensemble: unknown key 'scene_group', did you mean 'scene_groups'",
        ),
        (
            "ensemble: {combine: average, members: [{encoder: crepe}, {encoder: a, state: mean}]}",
            "member 2: unknown key 'state', did you mean 'states'",
        ),
        (
            "ensemble: {combine: average, members: [{encoder: a, states: all}]}",
            "member 1: states: .*'last' or 'mean', not 'all'",
        ),
        ("ensemble: {combine: average, members: [crepe]}", "member 1: .*not 'crepe'"),
        ("ensemble: {combine: average, members: [{encoder: a.yml}]}", "write here"),
    ],
)
def test_errors_name_the_file_and_what_is_wrong(read, text, match):
    with pytest.raises(ValueError, match=match) as error:
        read(text)
    assert str(error.value).count("some.yaml") == 1


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no configuration"):
        read_spec(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("encoder_spec", "expected"),
    [
        ("crepe", ("crepe", ())),
        ("vggish[10,15]:a/b.pth", ("vggish:a/b.pth", ("10", "15"))),
        ("vggish:a/b.pth[10, 15]", ("vggish:a/b.pth", ("10", "15"))),
        ("untrained:vggish[10,15]:3", ("untrained:vggish:3", ("10", "15"))),
        ("untrained:AudioNTT2022:3072:1[conv1]", ("untrained:AudioNTT2022:3072:1", ("conv1",))),
        ("runs/demo/bundle[conv1,output]", ("runs/demo/bundle", ("conv1", "output"))),
        ("runs/old[1]/bundle", ("runs/old[1]/bundle", ())),
    ],
)
def test_layers_stand_at_the_end_of_the_kind_or_of_the_spec(encoder_spec, expected):
    assert split_layers(encoder_spec) == expected


def test_a_path_that_exists_keeps_its_brackets(tmp_path):
    folder = tmp_path / "bundle[conv1]"
    assert split_layers(str(folder)) == (str(tmp_path / "bundle"), ("conv1",))
    folder.mkdir()
    assert split_layers(str(folder)) == (str(folder), ())
    assert split_layers(f"ast:{folder}") == (f"ast:{folder}", ())
    assert split_layers(f"ast[5]:{folder}") == (f"ast:{folder}", ("5",))


@pytest.mark.parametrize(
    ("encoder_spec", "match"),
    [
        ("vggish[10]:file[15]", "twice"),
        ("vggish[]:file", "different layers"),
        ("vggish[10,,15]:file", "different layers"),
        ("vggish[10,10]:file", "different layers"),
    ],
)
def test_malformed_layers(encoder_spec, match):
    with pytest.raises(ValueError, match=match):
        split_layers(encoder_spec)
