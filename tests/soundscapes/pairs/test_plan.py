from dataclasses import replace
from pathlib import Path

import pytest

from byola_diff.soundscapes.pairs.difference import changes
from byola_diff.soundscapes.pairs.plan import MakeApwdOptions, plan_pair, quieter

EVENTS = {label: [f"{label}/{n}.wav" for n in range(4)] for label in ("dog", "birds", "bell")}
BEDS = {label: [f"{label}/{n}.wav" for n in range(5)] for label in ("rain", "sea")}
OPTIONS = MakeApwdOptions(out=Path("out"), events="events", background="beds")


def pairs(n=300, events=EVENTS, beds=BEDS):
    return [plan_pair(OPTIONS, events, beds, "dev", index) for index in range(n)]


def over(clip):
    return [event for event in clip.events if event.role == "foreground"]


def under(clip):
    return [event for event in clip.events if event.role == "background"]


@pytest.fixture(scope="module")
def drawn():
    return pairs()


def test_names(drawn):
    assert [clip.name for clip in drawn[7]] == ["mixed_dev_00007_s1", "mixed_dev_00007_s2"]


def test_both_clips_share_backgrounds_and_level_but_not_where_they_begin(drawn):
    for first, second in drawn:
        beds = [[event.source for event in under(clip)] for clip in (first, second)]
        assert beds[0] == beds[1]
        assert len(set(beds[0])) == 2
        assert len({event.label for event in under(first)}) == 1
        starts = {e.source_time_s for clip in (first, second) for e in under(clip)}
        assert len(starts) == 4
        assert all(0 <= start < 10 for start in starts)
        assert first.ref_db == second.ref_db
        assert -36 <= first.ref_db <= -27
        assert (first.duration_s, first.sample_rate) == (10.0, 44_100)


def test_every_pair_has_one_or_two_changes_of_different_labels(drawn):
    found = [changes(*pair) for pair in drawn]
    assert {len(one) for one in found} == {1, 2}
    assert 110 < sum(len(one) == 1 for one in found) < 190
    assert all(len({change.label for change in one}) == len(one) for one in found)
    # Nothing is in the foreground but what changes.
    for (first, second), one in zip(drawn, found, strict=True):
        assert {e.label for e in over(first) + over(second)} == {change.label for change in one}


def test_actions_are_about_equally_frequent(drawn):
    actions = [change.action for pair in drawn for change in changes(*pair)]
    counts = {action: actions.count(action) for action in set(actions)}
    assert len(counts) == 6
    # 450 in all; backgrounds are a bit rarer, as a pair has at most one.
    assert min(counts.values()) > 45
    assert max(counts.values()) < 115


def test_levels_and_steps_are_in_the_published_range(drawn):
    for first, second in drawn:
        for change in changes(first, second):
            if change.level_db is not None:
                assert 8 <= abs(change.level_db) <= 12
        assert all(-8 <= event.snr_db <= 12 for clip in (first, second) for event in over(clip))


def test_times_of_events(drawn):
    for clip in (clip for pair in drawn for clip in pair):
        for event in over(clip):
            if event.label in BEDS:
                assert (event.event_time_s, event.duration_s) == (0.0, 10.0)
                assert event.source not in [ground.source for ground in under(clip)]
            else:
                assert event.source_time_s == 0
                assert 0 <= event.event_time_s < 8
                assert 2 <= event.duration_s <= 5
                assert event.event_time_s + event.duration_s <= 10 + 1e-9


def test_an_event_that_stays_is_another_recording_at_another_time(drawn):
    stayed = 0
    for first, second in drawn:
        for one in over(first):
            for other in over(second):
                if one.label == other.label:
                    stayed += 1
                    assert one.source != other.source
                    assert one.event_time_s != other.event_time_s
    assert stayed > 100


def test_a_pair_depends_on_seed_scene_split_and_index_alone():
    first = plan_pair(OPTIONS, EVENTS, BEDS, "dev", 5)
    assert first == pairs(8)[5]
    turned = {label: EVENTS[label][::-1] for label in reversed(EVENTS)}
    beds = {label: BEDS[label][::-1] for label in reversed(BEDS)}
    assert plan_pair(OPTIONS, turned, beds, "dev", 5) == first
    others = [
        plan_pair(replace(OPTIONS, seed=1), EVENTS, BEDS, "dev", 5),
        plan_pair(replace(OPTIONS, scene="other"), EVENTS, BEDS, "dev", 5),
        plan_pair(OPTIONS, EVENTS, BEDS, "eval", 5),
        plan_pair(OPTIONS, EVENTS, BEDS, "dev", 6),
    ]
    assert len({first[0].ref_db, *(other[0].ref_db for other in others)}) == 5


def test_one_file_of_everything_is_enough():
    few = pairs(60, {"dog": ["dog/1.wav"]}, {"rain": ["rain/1.wav"]})
    assert {len(under(clip)) for pair in few for clip in pair} == {1}
    assert {len(changes(*pair)) for pair in few} == {1, 2}
    # With one label for events, the second change is the background's.
    both = [{c.label for c in changes(*pair)} for pair in few if len(changes(*pair)) == 2]
    assert all(labels == {"dog", "rain"} for labels in both)


def test_labels_of_backgrounds_are_no_events():
    mixed = pairs(100, {**EVENTS, "sea": ["sea/1.wav"]})
    labels = {e.label for pair in mixed for clip in pair for e in over(clip) if e.label == "sea"}
    beds = {under(pair[0])[0].label for pair in mixed if "sea" in {e.label for e in over(pair[0])}}
    assert labels == beds == {"sea"}


@pytest.mark.parametrize(
    ("events", "beds", "message"),
    [
        ({}, BEDS, "no events of other labels"),
        (BEDS, BEDS, "no events of other labels"),
        (EVENTS, {}, "dev: no backgrounds"),
    ],
)
def test_nothing_to_draw_from(events, beds, message):
    with pytest.raises(ValueError, match=message):
        plan_pair(OPTIONS, events, beds, "dev", 0)


@pytest.mark.parametrize(
    ("ref_db", "expected"),
    [
        ((-36.0, -27.0), (-52.0, -43.0)),
        ((-60.0, -40.0), (-60.0, -43.0)),
        ((-52.0, -43.0), (-58.0, -49.0)),
        ((-68.0, -60.0), (-70.0, -66.0)),
    ],
)
def test_a_lower_range_is_proposed_for_what_clips(ref_db, expected):
    assert quieter(ref_db) == expected
