import json

import pytest

from byola_diff.soundscapes.pairs.published import published_clips, published_sources


def write_jams(path, *events):
    """A JAMS file with the fields that tell sources; events as role, folder and file name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [
        {"role": role, "label": label, "source_file": f"source/dev/{role}/{label}/{name}"}
        for role, label, name in events
    ]
    data = [{"value": value} for value in values]
    path.write_text(json.dumps({"annotations": [{"namespace": "scaper", "data": data}]}))


@pytest.fixture
def recordings(tmp_path):
    """Empty files where the data sets have theirs."""
    for name in (
        *("ESC-50/audio/1-2-A-0.wav", "ESC-50/audio/5-3-B-0.wav"),
        *("FSD50K/FSD50K.dev_audio/11.wav", "FSD50K/FSD50K.eval_audio/22.wav"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def sources(folder, *events, split="dev"):
    write_jams(folder / f"jams/apwd_rain_sc_{split}_00000_s1.jams", *events)
    clips, _ = published_clips(folder / "jams")
    return published_sources(clips, folder / "ESC-50", folder / "FSD50K")


@pytest.mark.parametrize(
    ("name", "scene", "split", "pair"),
    [
        ("apwd_rain_sc_dev_00001_s2", "rain", "dev", "apwd_rain_sc_dev_00001"),
        ("apwd_traffic_sc_eval_999_s1", "traffic", "eval", "apwd_traffic_sc_eval_999"),
        ("adc_rain_dev_0000_s1", "rain", "dev", "adc_rain_dev_0000"),
        ("mine_eval_7_s1", "mine", "eval", "mine_eval_7"),
    ],
)
def test_what_names_say(tmp_path, name, scene, split, pair):
    write_jams(tmp_path / f"{name}.jams")
    (clip,), refused = published_clips(tmp_path)
    assert (clip.scene, clip.split, clip.pair, clip.name) == (scene, split, pair, name)
    assert not refused


def test_other_names_and_second_files_of_one_name_are_refused(tmp_path):
    for name in ("a/adc_rain_dev_0000_s1", "b/adc_rain_dev_0000_s1", "adc_rain_test_0_s1", "x"):
        write_jams(tmp_path / f"{name}.jams")
    clips, refused = published_clips(tmp_path)
    assert [clip.jams for clip in clips] == [tmp_path / "a/adc_rain_dev_0000_s1.jams"]
    reasons = {one.name: one.reason for one in refused}
    assert "occurs twice" in reasons["b/adc_rain_dev_0000_s1.jams"]
    assert "the name is not" in reasons["x.jams"]
    assert len(reasons) == 3


def test_a_folder_without_jams_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no JAMS files below"):
        published_clips(tmp_path)


def test_sources_are_found_by_their_names(recordings):
    found = sources(
        recordings,
        ("background", "rain", "11.wav"),
        ("foreground", "rain", "11.wav"),
        ("foreground", "dog", "1-2-A-0.wav"),
        ("foreground", "dog", "1-2-A-0.wav"),
    )
    by_name = {file.name: file for file in found.files}
    assert list(by_name) == [
        *("dev/background/rain/11.wav", "dev/foreground/dog/1-2-A-0.wav"),
        "dev/foreground/rain/11.wav",
    ]
    # A background stays one when it is laid over another as an event.
    assert [file.is_background for file in by_name.values()] == [True, False, True]
    dog = by_name["dev/foreground/dog/1-2-A-0.wav"]
    assert dog.recording == recordings / "ESC-50/audio/1-2-A-0.wav"
    assert not found.leaks
    assert not found.missing


def test_sources_of_the_other_split_are_leaks(recordings):
    own = ("foreground", "dog", "5-3-B-0.wav"), ("background", "rain", "22.wav")
    other = ("foreground", "dog", "1-2-A-0.wav"), ("background", "rain", "11.wav")
    found = sources(recordings, *own, *other, split="eval")
    assert found.leaks == ("eval/background/rain/11.wav", "eval/foreground/dog/1-2-A-0.wav")
    assert len(found.files) == 4
    leaks = sources(recordings, *own, *other, split="dev").leaks
    assert set(leaks) >= {"dev/background/rain/22.wav", "dev/foreground/dog/5-3-B-0.wav"}


def test_missing_and_foreign_sources_are_listed(recordings):
    absent = ("foreground", "dog", "1-9-A-0.wav"), ("background", "rain", "99.wav")
    foreign = ("foreground", "dog", "bark.wav")
    found = sources(recordings, *absent, foreign)
    assert not found.files
    assert len(found.missing) == 3


@pytest.mark.parametrize("label", ["..", ".", "a b", ""])
def test_nothing_is_prepared_under_odd_names(recordings, label):
    found = sources(recordings, ("foreground", label, "1-2-A-0.wav"))
    # With an empty label, the folder is that of the role.
    assert {file.name.split("/")[2] for file in found.files} <= {"foreground"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"annotations": 3}', '{"annotations": [{"data": [{"value": 1}]}]}']
)
def test_unreadable_jams_have_no_sources(recordings, text):
    path = recordings / "jams/apwd_rain_sc_dev_00000_s1.jams"
    path.parent.mkdir()
    path.write_text(text)
    clips, _ = published_clips(path.parent)
    assert not published_sources(clips, recordings, recordings).files
