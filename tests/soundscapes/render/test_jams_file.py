import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import JamsError, read_facts, read_jams
from byola_diff.soundscapes.render.mixer import mix
from byola_diff.soundscapes.render.plan import Event, Soundscape
from tests.soundscapes.scenes import KINDS, bed, event, scene, write_sources


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources"))


def distribution_tuples(role, label, source):
    constants = [["const", label], ["choose", []], ["uniform", 0, 10], ["const", 0]]
    return [*constants, ["truncnorm", 1, 1, 0, 2], ["const", 0], role, None, None]


def observation(value):
    time, duration = value["event_time"], value["event_duration"]
    return {"time": time, "duration": duration, "value": value, "confidence": 1.0}


def published():
    """A file as Scaper 1.6.5 wrote it, with the folders of those who published it."""
    same = {"pitch_shift": None, "time_stretch": None}
    background = {
        "label": "rain",
        "source_file": "source/dev/background/rain/a.wav",
        "source_time": 0.3745401188473625,
        "event_time": 0,
        "event_duration": 2,
        "snr": 0,
        "role": "background",
        **same,
    }
    foreground = {
        "label": "dog",
        "source_file": "source/dev/foreground/dog/long.wav",
        "source_time": 0,
        "event_time": 0.46466,
        "event_duration": 1.3119,
        "snr": 8.14099,
        "role": "foreground",
        **same,
    }
    settings = {
        "duration": 2,
        "original_duration": 2,
        "fg_path": "source/dev/foreground",
        "bg_path": "source/dev/background",
        "fg_spec": [distribution_tuples("foreground", "dog", "long")],
        "bg_spec": [distribution_tuples("background", "rain", "a")],
        "fg_labels": ["cat", "dog"],
        "bg_labels": ["rain"],
        "protected_labels": [],
        "sr": 44100,
        "ref_db": -35.77,
        "n_channels": 1,
        "fade_in_len": 0.01,
        "fade_out_len": 0.01,
        "reverb": None,
        "scaper_version": "1.6.5",
        "fix_clipping": False,
        "peak_normalization": False,
        "no_audio": True,
    }
    annotation = {
        "annotation_metadata": {"curator": {"name": "", "email": ""}},
        "namespace": "scaper",
        "data": [observation(background), observation(foreground)],
        "sandbox": {"scaper": settings},
        "time": 0,
        "duration": 2,
    }
    metadata = {"title": "", "duration": 2, "identifiers": {}, "jams_version": "0.3.4"}
    return {"annotations": [annotation], "file_metadata": metadata, "sandbox": {}}


def save(folder, document, name="rain_dev_00000_s1.jams"):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_reads_a_published_file(roots, tmp_path):
    plan = read_jams(save(tmp_path, published()), roots)
    assert (plan.name, plan.duration_s, plan.sample_rate) == ("rain_dev_00000_s1", 2.0, 44_100)
    assert (plan.ref_db, plan.fade_s) == (-35.77, 0.01)
    assert plan.events == (
        Event("background", "rain", "rain/a.wav", 0.3745401188473625),
        Event("foreground", "dog", "dog/long.wav", 0.0, 0.46466, 1.3119, 8.14099),
    )
    assert mix(plan, roots).mixture.shape == (88_200,)


def test_a_published_file_is_rendered_by_scaper(roots, tmp_path):
    pytest.importorskip("scaper")
    from byola_diff.soundscapes.render.scaper_renderer import render

    plan = read_jams(save(tmp_path, published()), roots)
    assert abs(render(plan, roots).mixture - mix(plan, roots).mixture).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_reads_back(roots, tmp_path, kind):
    plan = KINDS[kind]
    read = read_jams(save(tmp_path, to_jams(plan, {})), roots)
    assert to_jams(read, {}) == to_jams(plan, {})
    if all(e.role == "background" or e.duration_s < math.inf for e in plan.events[1:]):
        assert read.name == "scene"


def test_bounded_events_read_back_equal(roots, tmp_path):
    plan = KINDS["two beds and two events"]
    assert read_jams(save(tmp_path, to_jams(plan, {"a": 1})), roots) == plan


def test_sources_in_deeper_folders_read_back(tmp_path):
    (tmp_path / "x" / "y").mkdir(parents=True)
    for name in ("x/y/z.wav", "z.wav", "y.wav"):
        (tmp_path / name).touch()
    plan = scene(Event("foreground", "", "x/y/z.wav"), Event("foreground", "q", "y.wav"))
    read = read_jams(save(tmp_path, to_jams(plan, {})), {"foreground": tmp_path})
    assert [event.source for event in read.events] == ["x/y/z.wav", "y.wav"]


def test_facts_are_kept_and_the_text_is_the_same_again(tmp_path):
    facts = {"pair": "dev_0", "offsets_s": [1.5, 2.25], "label": "dög"}
    text = to_jams(scene(bed()), facts)
    assert text == to_jams(scene(bed()), dict(facts))
    assert read_facts(save(tmp_path, text)) == facts


def test_no_facts_of_other_or_broken_files(tmp_path):
    assert read_facts(save(tmp_path, published())) is None
    assert read_facts(save(tmp_path, "{")) is None
    assert read_facts(save(tmp_path, {"sandbox": {"byola_diff": 3}})) is None
    assert read_facts(tmp_path / "none.jams") is None


def test_refuses_facts_that_json_does_not_hold():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_jams(scene(bed()), {"x": math.nan})
    with pytest.raises(TypeError):
        to_jams(scene(bed()), {"x": Path("x")})


VALUE = "annotations[0].data[1].value"
SETTINGS = "annotations[0].sandbox.scaper"

WRONG_VALUES = [
    ("source_file", "/etc/dog/long.wav", "leaves the folder"),
    ("source_file", "dog/../../long.wav", "leaves the folder"),
    ("source_file", "x/dog/none.wav", "no such file"),
    ("source_file", "", "lies in the folder '', not in that of its label 'dog'"),
    ("source_file", "x/cat/long.wav", "lies in the folder 'cat', not in that of its label 'dog'"),
    ("label", "cat", "lies in the folder 'dog', not in that of its label 'cat'"),
    ("label", ["dog"], f"{VALUE}.label: must be a valid string, not ['dog']"),
    ("source_file", 3, "must be a valid string, not 3"),
    ("role", "middle", "must be 'background' or 'foreground', not 'middle'"),
    ("role", ["const", "foreground"], "must be 'background' or 'foreground', not ["),
    ("source_time", ["const", 0], "must be a valid number, not ['const', 0]"),
    ("source_time", -0.1, "must be greater than or equal to 0, not -0.1"),
    ("event_time", -1, "must be greater than or equal to 0, not -1"),
    ("event_time", 2.5, "begins after the end"),
    ("event_duration", 0, "must be greater than 0, not 0"),
    ("event_duration", 10**400, "must be a valid number, not 1000"),
    ("snr", "8", "must be a valid number, not '8'"),
    ("snr", True, "must be a valid number, not True"),
    ("snr", ["normal", 0, 1], "must be a valid number, not ['normal', 0, 1]"),
    ("label", None, "must be a valid string, not None"),
    ("pitch_shift", 1.5, "1.5 is not supported"),
    ("time_stretch", 0.9, "0.9 is not supported"),
]

WRONG_SETTINGS = [
    ("reverb", 0.5, "0.5 is not supported"),
    ("reverb", False, "false is not supported"),
    ("fix_clipping", True, "true is not supported"),
    ("peak_normalization", True, "true is not supported"),
    ("n_channels", 2, "must be 1, not 2"),
    ("sr", 22050.5, "must be a multiple of 1, not 22050.5"),
    ("sr", 0, "must be greater than or equal to 1, not 0"),
    ("original_duration", 1e9, "must be less than or equal to 3600, not 1000000000.0"),
    ("fade_out_len", 0.02, "is not fade_in_len"),
    ("ref_db", None, "must be a valid number, not None"),
]


@pytest.mark.parametrize(("field", "value", "reason"), WRONG_VALUES)
def test_refuses_a_wrong_value(roots, tmp_path, field, value, reason):
    document = published()
    document["annotations"][0]["data"][1]["value"][field] = value
    check_refused(save(tmp_path, document), roots, "annotations[0].data", reason)


@pytest.mark.parametrize(("field", "value", "reason"), WRONG_SETTINGS)
def test_refuses_a_wrong_setting(roots, tmp_path, field, value, reason):
    document = published()
    document["annotations"][0]["sandbox"]["scaper"][field] = value
    check_refused(save(tmp_path, document), roots, f"{SETTINGS}.{field}", reason)


@pytest.mark.parametrize("spec", ["fg_spec", "bg_spec"])
@pytest.mark.parametrize(
    ("tuple_", "where"),
    [(["poisson", 3], "[0][5]: ['poisson', 3]"), ([[], 1], "[0][5]"), ([], "[0][5]")],
)
def test_refuses_a_foreign_distribution(roots, tmp_path, spec, tuple_, where):
    document = published()
    document["annotations"][0]["sandbox"]["scaper"][spec][0][5] = tuple_
    reason = "is no distribution of Scaper, which are const, choose,"
    check_refused(save(tmp_path, document), roots, f"{SETTINGS}.{spec}{where}", reason)


def test_refuses_missing_fields(roots, tmp_path):
    for field in ("source_file", "role", "snr", "event_duration"):
        document = published()
        del document["annotations"][0]["data"][1]["value"][field]
        check_refused(save(tmp_path, document), roots, f"{VALUE}.{field}", "is missing")
    for field in ("ref_db", "sr", "n_channels"):
        document = published()
        del document["annotations"][0]["sandbox"]["scaper"][field]
        check_refused(save(tmp_path, document), roots, f"{SETTINGS}.{field}", "is missing")


def test_refuses_other_annotations_and_trimmed_ones(roots, tmp_path):
    document = published()
    document["annotations"][0]["namespace"] = "beat"
    check_refused(save(tmp_path, document), roots, "annotations", "none has the namespace scaper")
    check_refused(save(tmp_path, {"annotations": []}), roots, "annotations", "none has")
    document = published()
    document["annotations"][0]["sandbox"]["slice"] = [{"slice_start": 1, "slice_end": 2}]
    check_refused(save(tmp_path, document), roots, "annotations[0].sandbox.slice", "trimmed")
    document = published()
    document["annotations"][0]["data"] = []
    check_refused(save(tmp_path, document), roots, "annotations[0].data", "no event")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"value": {"event_duration": 1311.9}, "duration": 1311.9},
            "value.event_duration: ends at",
        ),
        ({"value": {"event_duration": 1.6}, "duration": 1.6}, "after the soundscape of 2 s"),
        ({"time": 464.66}, "time: 464.66, but value.event_time is 0.46466"),
        ({"duration": 1311.9}, "duration: 1311.9, but value.event_duration is 1.3119"),
    ],
)
def test_refuses_times_that_do_not_go_together(roots, tmp_path, change, reason):
    document = published()
    one = document["annotations"][0]["data"][1]
    one |= change | {"value": one["value"] | change.get("value", {})}
    check_refused(save(tmp_path, document), roots, "annotations[0].data[1].", reason)


def test_refuses_a_background_that_does_not_last(roots, tmp_path):
    document = published()
    document["annotations"][0]["data"][0]["value"]["event_duration"] = 1.5
    check_refused(save(tmp_path, document), roots, "[0].value.event_duration", "lasts 2 s")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        (json.dumps(published())[:-30], "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "top level: must be a valid object, not []"),
        ('{"annotations": NaN}', "NaN is not a number of JSON"),
        ('{"annotations": -Infinity}', "-Infinity is not a number"),
        ('{"annotations": {}}', "annotations: none has the namespace scaper"),
        (
            '{"annotations": [{"namespace": "scaper", "data": 3}]}',
            "annotations[0].sandbox.scaper: is",
        ),
        (" " * (4 << 20) + "{}", "larger than 4 MiB"),
    ],
)
def test_refuses_broken_files(roots, tmp_path, text, reason):
    check_refused(save(tmp_path, text), roots, "", reason)


def test_refuses_what_is_no_text_and_what_is_not_there(roots, tmp_path):
    (tmp_path / "x.jams").write_bytes(b"\xff\xfe{}")
    check_refused(tmp_path / "x.jams", roots, "top level", "not JSON")
    check_refused(tmp_path / "none.jams", roots, "", "unreadable: No such file")


def test_refuses_a_link_that_leaves_the_folder(tmp_path):
    roots = write_sources(tmp_path / "sources")
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"x")
    link = roots["foreground"] / "dog" / "long.wav"
    link.unlink()
    link.symlink_to(secret)
    check_refused(save(tmp_path, published()), roots, f"{VALUE}.source_file", "through a link")


def test_refuses_a_role_without_folder(roots, tmp_path):
    only = {"background": roots["background"]}
    check_refused(save(tmp_path, published()), only, VALUE, "no folder of foreground sources")


def test_refuses_our_own_file_after_its_source_is_changed(roots, tmp_path):
    text = to_jams(scene(bed(), event()), {}).replace("dog/long.wav", "../background/rain/a.wav")
    check_refused(save(tmp_path, text), roots, f"{VALUE}.source_file", "leaves the folder")


def check_refused(path, roots, field, reason):
    with pytest.raises(JamsError) as info:
        read_jams(path, roots)
    assert str(info.value).startswith(f"{path}: ")
    assert str(info.value).count(str(path)) == 1
    assert field in str(info.value)
    assert reason in str(info.value)


ROLES = st.sampled_from(["background", "foreground"])
NAMES = st.text(string.ascii_letters + "é \U0001f415", min_size=1, max_size=8)
ANY = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # on a busy machine
LEVELS_DB, FILES = st.floats(-200, 200), ("rain/a.wav", "dog/long.wav")


@st.composite
def plans(draw):
    """Plans that a file can hold: events end with the soundscape at the latest."""
    duration_s = draw(st.floats(0.01, 3600))
    events = []
    for role in draw(st.lists(ROLES, min_size=1, max_size=4)):
        file = FILES[0] if role == "background" else draw(st.sampled_from(FILES))
        times = {"source_time_s": draw(st.floats(0, 1e6))}
        if role == "foreground":
            start_s = draw(st.floats(0, 0.9)) * duration_s
            times |= {"event_time_s": start_s, "snr_db": draw(LEVELS_DB)}
            times["duration_s"] = draw(st.floats(0.001, 1)) * (duration_s - start_s)
        events.append(Event(role, draw(NAMES), file, **times))
    rate, ref_db = draw(st.integers(1, 768_000)), draw(st.floats(-200, 100))
    fade_s = draw(st.floats(0, 1)) * duration_s
    return Soundscape(draw(NAMES), duration_s, rate, ref_db, tuple(events), fade_s)


# The checks of types in tests draw at random which items of a tuple they look at.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@ANY
@given(plan=plans(), facts=st.dictionaries(NAMES, NAMES | st.integers(), max_size=3))
def test_any_plan_reads_back(roots, tmp_path_factory, plan, facts):
    path = save(tmp_path_factory.mktemp("any"), to_jams(plan, facts))
    assert read_jams(path, roots) == plan
    assert read_facts(path) == facts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_ANNOTATION = published()["annotations"][0]
SETTINGS_KEYS = list(_ANNOTATION["sandbox"]["scaper"])
VALUE_KEYS = list(_ANNOTATION["data"][1]["value"])
PLACES = [
    *[("annotations",), ("annotations", 0), ("annotations", 0, "data"), ("sandbox",)],
    *[("annotations", 0, "sandbox", *rest) for rest in [(), ("scaper",)]],
    *[("annotations", 0, "sandbox", "scaper", name) for name in SETTINGS_KEYS],
    *[("annotations", 0, "data", 1), ("annotations", 0, "data", 1, "value")],
    *[("annotations", 0, "data", 1, "value", name) for name in VALUE_KEYS],
]


@ANY
@given(place=st.sampled_from(PLACES), value=JSON)
def test_anything_anywhere_is_read_or_refused_by_field(roots, tmp_path_factory, place, value):
    document = published()
    inside = document
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    path = save(tmp_path_factory.mktemp("any"), document)
    message = refusal(path, roots)
    assert message is None or message.startswith(f"{path}: ")
    read_facts(path)


def refusal(path, roots):
    try:
        read_jams(path, roots)
    except JamsError as error:
        return str(error)
    return None
