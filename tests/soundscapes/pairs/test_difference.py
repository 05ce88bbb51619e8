import re

import pytest

from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS
from byola_diff.soundscapes.pairs.difference import (
    Change,
    Words,
    changes,
    difference_text,
    event_labels,
    label_words,
    vocabulary,
)
from byola_diff.soundscapes.render.plan import Event, Soundscape

TEMPLATES = vocabulary()["templates"]


def clip(side, *events, bed="rain", name="pair"):
    """Two backgrounds, and events given as label and level."""
    grounds = [Event("background", bed, f"{bed}/{n}.wav", 1.0 + n) for n in range(2)]
    over = [Event("foreground", label, f"{label}/1.wav", snr_db=level) for label, level in events]
    return Soundscape(f"{name}_{side}", 10.0, 44_100, -30.0, (*grounds, *over))


def pair(first, second, bed="rain", name="pair"):
    return clip("s1", *first, bed=bed, name=name), clip("s2", *second, bed=bed, name=name)


def kinds(first, second, bed="rain"):
    return {str(change) for change in changes(*pair(first, second, bed))}


# The published pairs that were read in full: scene and number, both foregrounds, difference.
PUBLISHED = {
    "rain dev 00000": (
        *("rain", [("dog", 8.14), ("footsteps", 8.86)], []),
        {"remove dog", "remove footsteps"},
    ),
    "rain dev 00001": ("rain", [("dog", 6.08)], [], {"remove dog"}),
    "rain dev 10000": ("rain", [], [("thunder", 6.20)], {"add thunder"}),
    "rain dev 20000": (
        *("rain", [("birds", 8.92), ("thunder", -8.18)], [("birds", -0.88), ("thunder", 1.69)]),
        {"quieter birds", "louder thunder"},
    ),
    "rain dev 30000": (
        *("rain", [("rain", 11.72), ("birds", 0.05)], [("birds", -7.91)]),
        {"background quieter rain", "quieter birds"},
    ),
    "rain dev 49999": ("rain", [("thunder", 9.78)], [("thunder", 0.40)], {"quieter thunder"}),
    "traffic dev 10000": ("car_passing", [], [("dog", 11.15)], {"add dog"}),
    "traffic dev 30000": (
        *("car_passing", [("birds", -5.35), ("dog", 9.78)], [("birds", 6.30), ("dog", -1.76)]),
        {"louder birds", "quieter dog"},
    ),
    "traffic eval 500": (
        *("car_passing", [("car_passing", 1.08)], []),
        {"background quieter car_passing"},
    ),
    "rain eval 000": (
        *("rain", [("dog", 8.14), ("footsteps", 8.86)], []),
        {"remove dog", "remove footsteps"},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_differences_of_published_pairs(name):
    bed, first, second, expected = PUBLISHED[name]
    assert kinds(first, second, bed) == expected


def test_text_of_a_published_pair_says_each_difference_once():
    bed, first, second, _ = PUBLISHED["rain dev 20000"]
    for seed in range(20):
        text = difference_text(*pair(first, second, bed), seed)
        assert text.count(" and ") == 1
        quieter, louder = sorted(text.split(" and "), key=lambda part: "thunder" in part)
        assert quieter in {t.format(noun="chirping birds") for t in TEMPLATES["quieter"]}
        assert louder in {t.format(noun="thunder") for t in TEMPLATES["louder"]}


def test_level_change_is_that_of_the_second_clip():
    (change,) = changes(*pair([("thunder", 9.78)], [("thunder", 0.40)]))
    assert change.level_db == pytest.approx(-9.38)


def test_swapped_clips_have_the_opposite_changes():
    bed, first, second, _ = PUBLISHED["rain dev 30000"]
    assert kinds(second, first, bed) == {"background louder rain", "louder birds"}


def test_order_files_and_times_of_events_do_not_count():
    events = [("dog", 1.0), ("birds", 2.0)]
    assert kinds(events, events[::-1]) == set()
    moved = Event("foreground", "dog", "dog/2.wav", 0.0, 5.0, 3.0, 1.05)
    still = pair([("dog", 1.0)], [])
    assert changes(still[0], Soundscape("s2", 10.0, 44_100, -30.0, (*still[1].events, moved))) == ()


def test_labels_are_compared_as_multisets():
    one, two = [("dog", 3.0)], [("dog", 3.0), ("dog", 5.0)]
    assert changes(*pair(one, two)) == (Change("add", "dog", some_stay=True),)
    assert changes(*pair(two, one)) == (Change("remove", "dog", some_stay=True),)
    texts = {difference_text(*pair(one, two), seed) for seed in range(30)}
    assert texts == {t.format(new="another dog") for t in TEMPLATES["add"]}
    # Means of 4 and 9 dB.
    (change,) = changes(*pair(two, [("dog", 10.0), ("dog", 8.0)]))
    assert change == Change("louder", "dog", 5.0)


def test_rain_over_traffic_is_an_event_like_others():
    assert kinds([], [("rain", 3.0)], "car_passing") == {"add rain"}
    assert kinds([], [("rain", 3.0)], "rain") == {"background louder rain"}


def test_an_extra_background_can_change_its_level():
    assert kinds([("rain", 3.0)], [("rain", 11.0)]) == {"background louder rain"}
    assert kinds([("rain", 3.0)], [("rain", 3.0)]) == set()


def test_classes_are_the_labels_in_the_foreground():
    assert event_labels(clip("s1", ("dog", 1.0), ("birds", 2.0), ("dog", 3.0))) == ("birds", "dog")
    assert event_labels(clip("s1", ("rain", 1.0))) == ("rain",)
    assert event_labels(clip("s1")) == ()


def test_equal_clips_are_refused():
    with pytest.raises(ValueError, match="pair_s1 and pair_s2 have the same events"):
        difference_text(*pair([("dog", 1.0)], [("dog", 1.0)]))


def test_other_backgrounds_are_refused():
    with pytest.raises(ValueError, match=r"backgrounds \['rain'\], in the second \['sea'\]"):
        changes(clip("s1"), clip("s2", ("dog", 1.0), bed="sea"))


def test_text_depends_on_seed_and_names_alone():
    events = [("dog", 1.0), ("birds", 2.0)]
    assert difference_text(*pair(events, []), 3) == difference_text(*pair(events[::-1], []), 3)
    by_seed = {difference_text(*pair(events, []), seed) for seed in range(30)}
    by_name = {difference_text(*pair(events, [], name=str(n))) for n in range(30)}
    # 5 x 5 wordings in two orders: 30 draws are almost all different.
    assert len(by_seed) > 15
    assert len(by_name) > 15


def test_every_wording_and_order_occurs():
    texts = [difference_text(*pair([("dog", 1.0)], [("birds", 2.0)]), s) for s in range(300)]
    clauses = {clause for text in texts for clause in text.split(" and ")}
    added = {t.format(new="birds chirping") for t in TEMPLATES["add"]}
    removed = {t.format(old="the dog") for t in TEMPLATES["remove"]}
    assert clauses == added | removed
    first_dog = sum("dog" in text.split(" and ")[0] for text in texts)
    assert 110 < first_dog < 190


@pytest.mark.parametrize("templates", TEMPLATES.values())
def test_each_action_has_several_wordings(templates):
    assert len(set(templates)) == len(templates) >= 4


def test_no_wording_belongs_to_two_actions():
    every = [template for templates in TEMPLATES.values() for template in templates]
    assert len(set(every)) == len(every)


def test_three_changes_are_listed_with_commas():
    text = difference_text(*pair([("dog", 1.0), ("birds", 1.0), ("siren", 1.0)], []))
    assert re.fullmatch(r"[a-z ]+, [a-z ]+ and [a-z ]+", text)


@pytest.mark.parametrize(
    ("label", "noun", "new"),
    [
        ("dog", "dog", "a dog"),
        ("alarm", "alarm", "an alarm"),
        ("footsteps", "footsteps", "footsteps"),
        ("birds", "chirping birds", "birds chirping"),
        ("car_passing", "traffic", "traffic"),
        ("car_horn", "car horn", "a car horn"),
        ("church_bells", "church bells", "church bells"),
        ("thunder", "thunder", "thunder"),
        ("keyboard_typing", "keyboard typing", "keyboard typing"),
        ("glass", "glass", "a glass"),
        ("Zipper_(clothing)", "zipper", "a zipper"),
        ("crying baby", "crying baby", "a crying baby"),
    ],
)
def test_words_of_labels(label, noun, new):
    assert label_words(label) == Words(noun, new)


def test_words_for_more_and_some():
    several = label_words("footsteps").added_and_removed(some_stay=True)
    assert several == ("more footsteps", "some of the footsteps")
    assert label_words("alarm").added_and_removed(True) == ("another alarm", "one alarm")
    assert label_words("alarm").added_and_removed(False) == ("an alarm", "the alarm")


@pytest.mark.parametrize("label", [*FOREGROUNDS, *BACKGROUNDS, "_", "(x)", "7"])
def test_every_label_has_words(label):
    words = label_words(label)
    assert words.noun.strip()
    assert words.new.strip()
    assert "_" not in words.noun + words.new or label == "_"
