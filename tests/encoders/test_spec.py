import pytest

from byola_diff.encoders.spec import (
    EncoderSpec,
    EnsembleFile,
    EnsembleSpec,
    MemberSpec,
    read_spec,
    split_layers,
)


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
