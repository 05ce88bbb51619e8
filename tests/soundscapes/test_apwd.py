import pytest

from byola_diff.soundscapes.apwd import PairRecipe, plan_pair
from byola_diff.soundscapes.apwd_sounds import Sounds, read_sounds, split_sounds
from byola_diff.soundscapes.library import Library, Source
from byola_diff.soundscapes.pair_changes import changes

EVENTS = {label: [f"{label}/{n}.wav" for n in range(4)] for label in ("dog", "birds", "bell")}
BEDS = {label: [f"{label}/{n}.wav" for n in range(5)] for label in ("rain", "sea")}
RECIPE = PairRecipe("mixed")


def pairs(n=300, events=EVENTS, beds=BEDS, recipe=RECIPE, split="dev"):
    return [plan_pair(recipe, events, beds, split, index) for index in range(n)]


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
    first = plan_pair(RECIPE, EVENTS, BEDS, "dev", 5)
    assert first == pairs(8)[5]
    turned = {label: EVENTS[label][::-1] for label in reversed(EVENTS)}
    beds = {label: BEDS[label][::-1] for label in reversed(BEDS)}
    assert plan_pair(RECIPE, turned, beds, "dev", 5) == first
    others = [
        plan_pair(PairRecipe("mixed", seed=1), EVENTS, BEDS, "dev", 5),
        plan_pair(PairRecipe("other"), EVENTS, BEDS, "dev", 5),
        plan_pair(RECIPE, EVENTS, BEDS, "eval", 5),
        plan_pair(RECIPE, EVENTS, BEDS, "dev", 6),
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
        plan_pair(RECIPE, events, beds, "dev", 0)


def library(root, *sources):
    return Library(root, tuple(sources))


def test_fold_5_is_for_eval(tmp_path):
    sources = [Source(f"audio/{fold}-1-A-0.wav", "dog", 5.0, fold=fold) for fold in range(1, 6)]
    sounds = split_sounds({"": library(tmp_path, *sources)})
    assert sounds.palette("eval") == {"dog": ("dog/5-1-A-0.wav",)}
    assert len(sounds.palette("dev")["dog"]) == 4
    source = sounds.source("eval", "foreground", "dog/5-1-A-0.wav", is_background=False)
    assert source.recording == tmp_path / "audio/5-1-A-0.wav"


@pytest.mark.parametrize(("n", "n_eval"), [(1, 0), (2, 1), (3, 1), (4, 2), (10, 2), (20, 4)])
def test_other_files_are_split_by_their_hash(tmp_path, n, n_eval):
    sources = [Source(f"dog/{number}.wav", "dog", 1.0) for number in range(n)]
    split = split_sounds({"": library(tmp_path, *sources)})
    dev = set(split.palette("dev").get("dog", ()))
    held_out = set(split.palette("eval").get("dog", ()))
    assert not dev & held_out
    assert len(dev) == n - n_eval
    assert len(held_out) == n_eval
    turned = split_sounds({"": library(tmp_path, *sources[::-1])})
    assert set(turned.palette("eval").get("dog", ())) == held_out


def test_hash_split_depends_on_the_seed(tmp_path):
    sources = [Source(f"dog/{number}.wav", "dog", 1.0) for number in range(30)]
    splits = {
        frozenset(split_sounds({"": library(tmp_path, *sources)}, seed).palette("eval")["dog"])
        for seed in range(5)
    }
    assert len(splits) == 5


def test_cuts_of_one_recording_stay_together(tmp_path):
    sources = [
        Source(f"dog/{group}{cut}.wav", "dog", 1.0, group=group)
        for group in "abcdef"
        for cut in "12"
    ]
    sounds = split_sounds({"": library(tmp_path, *sources)})
    dev, held_out = ({file[4] for file in sounds.palette(s)["dog"]} for s in ("dev", "eval"))
    assert len(held_out) == 2
    assert not dev & held_out


def test_splits_that_a_library_brings_are_kept(tmp_path):
    dev = library(tmp_path / "d", Source("rain/1.wav", "rain", 9.0, split="dev"))
    held_out = library(tmp_path / "e", Source("rain/1.wav", "rain", 9.0, split="eval"))
    sounds = split_sounds({"dev": dev, "eval": held_out})
    assert sounds.by_split["eval"]["rain"]["rain/1.wav"] == tmp_path / "e/rain/1.wav"
    marked = [Source(f"{split}.ogg", "dog", 1.0, split=split) for split in ("train", "test")]
    sounds = split_sounds({"": library(tmp_path, *marked)})
    assert sounds.palette("eval") == {"dog": ("dog/test.ogg.wav",)}


def test_nested_files_get_one_name(tmp_path):
    sources = [Source(f"dog/{folder}/1.wav", "dog", 1.0) for folder in "ab"]
    files = split_sounds({"": library(tmp_path, *sources)}).by_split
    assert {f for split in files.values() for f in split["dog"]} == {"dog/a_1.wav", "dog/b_1.wav"}
    clash = [Source(file, "dog", 1.0, fold=1) for file in ("dog/a/1.wav", "dog/a_1.wav")]
    with pytest.raises(ValueError, match=r"dog/a_1.wav, as another does"):
        split_sounds({"": library(tmp_path, *clash)})


def test_recordings_need_labels(tmp_path):
    with pytest.raises(ValueError, match=r"1\.wav .*: put recordings in one folder per label"):
        split_sounds({"": library(tmp_path, Source("1.wav", "", 1.0))})
    with pytest.raises(ValueError, match="no recordings below"):
        split_sounds({"": library(tmp_path)})
    with pytest.raises(ValueError, match="no readable audio"):
        read_sounds(tmp_path)


def test_one_label_of_the_backgrounds():
    sounds = Sounds({"dev": {"rain": {}, "sea": {}}, "eval": {"sea": {}}})
    assert sounds.only("sea").by_split == {"dev": {"sea": {}}, "eval": {"sea": {}}}
    with pytest.raises(ValueError, match="no 'rain' in the eval part; labels there: sea"):
        sounds.only("rain")
