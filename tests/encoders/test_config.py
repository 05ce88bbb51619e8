import pytest

from byola_diff.encoders.config import (
    EncoderConfig,
    EnsembleConfig,
    MemberConfig,
    read_encoder_config,
)


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return read_encoder_config(path)

    return write_and_read


def test_one_encoder(read):
    config = read(
        "name: VGGish fusion\nencoder: vggish\nweights: w.pth\nlayers: [10, conv1]\n"
        "pooling: mean\noptions: {window_s: 2.5}\n"
    )
    assert config == EncoderConfig(
        encoder="vggish",
        weights="w.pth",
        layers=(10, "conv1"),
        pooling="mean",
        options={"window_s": 2.5},
        name="VGGish fusion",
    )
    assert config.word == "vggish:w.pth"


def test_what_is_left_out(read):
    config = read("encoder: crepe")
    assert config == EncoderConfig(encoder="crepe")
    assert config.word == "crepe"


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
        MemberConfig(encoder="hubert", weights="w", states="mean", options={"normalize": True}),
        MemberConfig(encoder="crepe", scene_options={"hop_samples": 4000}),
    )
    assert config == EnsembleConfig(
        members=members, combine="interleave", scene_groups=5, reference=1, name="three"
    )
    assert [member.word for member in config.members] == ["hubert:w", "crepe"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("encoder: [", "is not YAML"),
        ("- vggish", "expected keys"),
        ("", "expected keys"),
        ("encodr: vggish", "unknown key 'encodr', did you mean 'encoder'"),
        ("ensembel: {}", "unknown key 'ensembel', did you mean 'ensemble'"),
        ("weights: w", "required: encoder"),
        ("encoder: vggish\npooling: mean", "give layers"),
        ("encoder: vggish\nlayers: [1]\npooling: median", "pooling"),
        ("encoder: vggish\nlayers: 10", "layers"),
        ("encoder: vggish\noptions: [1]", "options"),
        ("encoder: other.yaml", "write here"),
        ("encoder: vggish\nensemble: {}", "unknown key 'encoder'"),
        ("ensemble: 3", "ensemble"),
        ("ensemble: {combine: average}", "members must be a list"),
        ("ensemble: {combine: average, members: []}", "members must be a list"),
        ("ensemble: {members: [{encoder: crepe}]}", "ensemble: .*required: combine"),
        (
            "ensemble: {combine: concatenate, members: [{encoder: crepe}]}",
            "combine must be one of concat, interleave, average, not 'concatenate', did you mean "
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
            "member 1: states must be .*not 'all'",
        ),
        ("ensemble: {combine: average, members: [crepe]}", "member 1: expected keys"),
        ("ensemble: {combine: average, members: [{encoder: a.yml}]}", "write here"),
    ],
)
def test_errors_name_the_file_and_what_is_wrong(read, text, match):
    with pytest.raises(ValueError, match=match) as error:
        read(text)
    assert str(error.value).count("some.yaml") == 1


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no configuration"):
        read_encoder_config(tmp_path / "none.yaml")
