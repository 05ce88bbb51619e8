import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import write_wav
from byola_diff.corpora.layout import LayoutError
from byola_diff.soundscapes.bgknown.corpus import make_bgknown, plan_bgknown
from byola_diff.soundscapes.bgknown.items import KINDS, find_window
from byola_diff.soundscapes.bgknown.plan import (
    BgKnownOptions,
    background_order,
    limited,
    plan_items,
    soundscape,
)
from byola_diff.soundscapes.render.mixer import integrated_lufs, mix
from byola_diff.soundscapes.sources.library import Library, Source
from byola_diff.storage import sha256
from byola_diff.tables.manifest import read_manifest

RATE = 8000
MIXER = ("mixer", mix)


class Brief(BgKnownOptions):
    duration_s = 1.0


GIVEN = {"out": Path("out"), "esc50": Path("events"), "background": [Path("dev"), Path("eval")]}
HOW = {"seed": 5, "sample_rate": RATE, "ref_db": -35.0}
SMALL = Brief(**GIVEN, **HOW)


def event_sound(number):
    """A tone between silences, as clips of ESC-50 are padded with zeros."""
    time_s = np.arange(RATE) / RATE
    return 0.3 * np.sin(2 * np.pi * (400 + 90 * number) * time_s) * (time_s < 0.7)


@pytest.fixture
def sources(tmp_path):
    """Five events, one per fold, and four and three backgrounds of noise."""
    events = []
    for fold in range(1, 6):
        name = f"{fold}-{100 + fold}-A.wav"
        write_wav(tmp_path / "events" / name, event_sound(fold), RATE)
        events.append(Source(name, f"tone{fold % 2}", 1.0, fold, group=str(fold)))
    grounds = {}
    for part, count in (("dev", 4), ("eval", 3)):
        found = []
        for number in range(count):
            rng = np.random.default_rng([number, count])
            noise = 0.05 * rng.standard_normal(int(2.5 * RATE))
            write_wav(tmp_path / part / f"{number}.wav", noise, RATE)
            found.append(Source(f"{number}.wav", "noise", 2.5, split=part))
        grounds[part] = Library(tmp_path / part, tuple(found))
    return Library(tmp_path / "events", tuple(events)), grounds


def make(sources, out, renderer=MIXER, **changes):
    options = dataclasses.replace(SMALL, out=out, **changes)
    return make_bgknown(plan_bgknown(*sources, options), renderer)


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def read(out, row, kind):
    waveform, rate = soundfile.read(out / f"audio/{row['split']}/{row['item']}_{kind}.wav")
    assert rate == RATE
    return waveform


def files(out):
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_what_is_made_is_what_was_planned(sources, tmp_path):
    out = tmp_path / "out"
    summary, refused = make(sources, out)
    assert not refused
    assert summary["counts"]["items"] == 5
    items = rows(out / "items.csv")
    assert [(row["fold"], row["split"]) for row in items] == [
        *(("1", "train"), ("2", "train"), ("3", "train"), ("4", "test"), ("5", "test"))
    ]
    for row in items:
        mixture, a, b, c = (read(out, row, kind) for kind in ("mix", "a", "b", "c"))
        assert {len(x) for x in (mixture, a, b, c)} == {RATE}
        assert max(abs(x).max() for x in (mixture, a, b, c)) < 1
        event, snr_db = mixture - a, float(row["snr_db"])
        assert 0 <= snr_db <= 3
        difference = integrated_lufs(event, RATE) - integrated_lufs(a, RATE)
        assert difference == pytest.approx(snr_db, abs=0.2)
        assert integrated_lufs(a, RATE) == pytest.approx(-35, abs=0.05)
        assert abs(event[int(0.71 * RATE) :]).max() < 1e-5  # begins with its file, at 0
        # Overlaps: all of (a), then half of it, then nothing.
        np.testing.assert_allclose(b[: RATE // 2], a[RATE // 2 :], atol=1e-5)
        np.testing.assert_allclose(c[: RATE // 2], b[RATE // 2 :], atol=1e-5)
        assert peak_correlation(a, c) < 0.1
        assert peak_correlation(b, a) == pytest.approx(0.5, abs=0.05)
        root = sources[1]["dev" if row["split"] == "train" else "eval"].root
        recording, _ = soundfile.read(root / row["background_file"])
        start = int(float(row["start_s"]) * RATE)
        gain = 10 ** (float(row["a_gain_db"]) / 20)
        np.testing.assert_allclose(a, gain * recording[start : start + RATE], atol=1e-4)


def peak_correlation(first, second):
    product = np.correlate(first, second, mode="full")
    return abs(product).max() / np.sqrt((first**2).sum() * (second**2).sum())


def test_manifests_agree(sources, tmp_path):
    make(sources, tmp_path / "out")
    read_all = [read_manifest(tmp_path / "out" / f"{kind}.csv") for kind in ("mix", "a", "b", "c")]
    about = [[(c.labels, c.split, c.group) for c in manifest.clips] for manifest in read_all]
    assert about[0] == about[1] == about[2] == about[3]
    assert read_all[0].clips[0].file == "audio/train/1-101-A_mix.wav"
    summary = json.loads((tmp_path / "out" / "bgknown.json").read_text())
    assert "events: 3 train and 2 test clips of 2 classes" in summary["deviations"]


@pytest.mark.slow
def test_same_bytes_with_workers_and_when_continued(sources, tmp_path):
    make(sources, tmp_path / "one")
    make(sources, tmp_path / "two", workers=4)
    expected = files(tmp_path / "one")
    assert files(tmp_path / "two") == expected
    for name in ("bgknown.json", "items.csv", "jams/train/1-101-A.jams"):
        (tmp_path / "two" / name).unlink()
    (tmp_path / "two" / "audio/test/4-104-A_b.wav").write_bytes(b"cut")
    make(sources, tmp_path / "two")
    assert files(tmp_path / "two") == expected


def test_finished_items_are_not_rendered_again(sources, tmp_path):
    make(sources, tmp_path / "out")

    def fail(plan, roots):
        raise AssertionError(f"{plan.name} is there")

    again, _ = make(sources, tmp_path / "out", ("mixer", fail))
    assert again["counts"]["items"] == 5


def change_backgrounds(sources):
    """Other noise in files of the same names and lengths."""
    for library in sources[1].values():
        for number, source in enumerate(library.sources):
            noise = 0.05 * np.random.default_rng(
                [77, number, len(library.sources)]
            ).standard_normal(int(2.5 * RATE))
            write_wav(library.root / source.file, noise, RATE)


def change_events(sources):
    for number, source in enumerate(sources[0].sources):
        write_wav(sources[0].root / source.file, event_sound(9 + number), RATE)


@pytest.mark.parametrize("change", [change_backgrounds, change_events])
def test_items_of_changed_sources_are_made_again(sources, tmp_path, change):
    """Never some of one version of a recording and some of another."""
    make(sources, tmp_path / "out")
    before = files(tmp_path / "out")
    change(sources)
    for path in (tmp_path / "out/audio/train").glob("*_a.wav"):
        path.unlink()
    make(sources, tmp_path / "out")
    make(sources, tmp_path / "new")
    assert files(tmp_path / "out") == files(tmp_path / "new")
    same = [file for file, content in before.items() if files(tmp_path / "new")[file] == content]
    kinds = {file.stem[-1] for file in same if file.suffix == ".wav"}
    assert kinds == (set() if change is change_backgrounds else set("abc"))


def test_rows_name_part_and_content_of_the_sources(sources, tmp_path):
    make(sources, tmp_path / "out")
    for row in rows(tmp_path / "out" / "items.csv"):
        assert row["background_part"] == {"train": "dev", "test": "eval"}[row["split"]]
        grounds = sources[1][row["background_part"]].root
        assert row["event_sha256"] == sha256(sources[0].root / row["event_file"])
        assert row["background_sha256"] == sha256(grounds / row["background_file"])


def test_listings_of_parts_with_the_same_names_differ(sources, tmp_path):
    events, grounds = sources
    dev = dataclasses.replace(grounds["dev"], sources=grounds["dev"].sources[:3])
    make((events, {**grounds, "dev": dev}), tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "bgknown.json").read_text())["settings"]
    parts = settings["backgrounds"]
    assert set(settings["events"]) == {"recordings", "listing_sha256"}
    assert parts["dev"]["recordings"] == parts["eval"]["recordings"] == 3
    assert parts["dev"]["listing_sha256"] != parts["eval"]["listing_sha256"]


def test_normalised_references_have_one_loudness(sources, tmp_path):
    make(sources, tmp_path / "out", reference_level="normalised", output_rate=4000)
    row = rows(tmp_path / "out" / "items.csv")[0]
    assert [float(row[f"{kind}_lufs"]) for kind in "abc"] == pytest.approx([-35] * 3, abs=0.01)
    info = soundfile.info(tmp_path / "out" / "audio/train/1-101-A_c.wav")
    assert (info.samplerate, info.frames, info.subtype) == (4000, 4000, "PCM_24")


def test_backgrounds_serve_once_before_any_serves_twice(sources):
    items = plan_items(*sources, SMALL)
    firsts = [item.backgrounds[0].file for item in items if item.split == "train"]
    assert len(set(firsts)) == 3
    few = {
        part: dataclasses.replace(lib, sources=lib.sources[:2]) for part, lib in sources[1].items()
    }
    items = plan_items(sources[0], few, SMALL)
    firsts = [item.backgrounds[0].file for item in items if item.split == "train"]
    assert sorted(firsts.count(file) for file in set(firsts)) == [1, 2]
    assert all(len(item.backgrounds) == 2 for item in items)


def test_plans_do_not_depend_on_the_order_of_files(sources):
    events, grounds = sources
    shuffled = dataclasses.replace(events, sources=events.sources[::-1])
    turned = {p: dataclasses.replace(x, sources=x.sources[::-1]) for p, x in grounds.items()}
    assert plan_items(shuffled, turned, SMALL) == plan_items(events, grounds, SMALL)
    other = dataclasses.replace(SMALL, seed=6)
    plans = [
        [soundscape(d, d.backgrounds[0], 0.1, one) for d in plan_items(events, grounds, one)]
        for one in (SMALL, SMALL, other)
    ]
    assert plans[0] == plans[1] != plans[2]


def test_a_limit_spreads_over_splits_and_labels(sources):
    chosen = limited(sources[0], 4, 0).sources
    assert {(s.fold > 3, s.label) for s in chosen} == {
        *((False, "tone0"), (False, "tone1"), (True, "tone0"), (True, "tone1"))
    }


def test_a_limit_takes_no_test_event_of_a_label_without_training():
    files = [(fold, label, n) for fold in range(1, 6) for label in "abcdefg" for n in range(2)]
    events = tuple(Source(f"{f}-{n}-{la}.wav", la, 1.0, f) for f, la, n in files)
    for n_items in range(1, len(events)):
        chosen = limited(Library(Path("x"), events), n_items, 3).sources
        trained, tested = ({s.label for s in chosen if (s.fold > 3) == test} for test in (0, 1))
        assert len(chosen) == n_items
        assert tested <= trained
        assert n_items < 2 or tested


def test_quiet_windows_are_passed_over(sources):
    item = plan_items(*sources, SMALL)[0]
    root = sources[1]["dev"].root
    first, second = item.backgrounds[:2]
    write_wav(root / first.file, np.zeros(int(2.5 * RATE)), RATE)
    background, _, n_rejected = find_window(item, root, SMALL)
    assert (background, n_rejected) == (second, 10)
    write_wav(root / first.file, np.ones(100), RATE)  # a header that is not believed
    assert find_window(item, root, SMALL)[2] == 1
    for background in item.backgrounds:
        write_wav(root / background.file, np.zeros(int(2.5 * RATE)), RATE)
    with pytest.raises(LayoutError, match=r"none of 4 backgrounds can be used; .* below -60 LUFS"):
        find_window(item, root, SMALL)


def test_all_references_of_a_window_are_audible(sources):
    """The first half of a window is not enough: (c) is the second one."""
    root = sources[1]["dev"].root
    item = plan_items(*sources, SMALL)[0]
    tone = 0.1 * np.sin(np.arange(2 * RATE))
    for audible in (slice(0, RATE), slice(RATE, None)):
        sound = np.zeros(2 * RATE)
        sound[audible] = tone[audible]
        write_wav(root / item.backgrounds[0].file, sound, RATE)
        background, _, n_rejected = find_window(item, root, SMALL)
        assert (background, n_rejected) == (item.backgrounds[1], 1)


def test_a_background_of_just_the_length_has_one_window(sources):
    root = sources[1]["dev"].root
    item = plan_items(*sources, SMALL)[0]
    tone = 0.1 * np.sin(np.arange(2 * RATE))
    write_wav(root / item.backgrounds[0].file, tone, RATE)
    assert int(find_window(item, root, SMALL)[1] * RATE) == 0


def test_silent_events_are_refused_by_name_and_the_rest_goes_on(sources, tmp_path):
    write_wav(sources[0].root / "2-102-A.wav", np.zeros(RATE), RATE)
    summary, refused = make(sources, tmp_path / "out")
    assert [refusal.name for refusal in refused] == ["2-102-A"]
    assert "silent" in (tmp_path / "out" / "refused.csv").read_text()
    assert (summary["counts"]["items"], summary["counts"]["refused"]) == (4, 1)
    assert "items refused: 1" in summary["deviations"]
    assert len(rows(tmp_path / "out" / "mix.csv")) == 4


def test_a_mixture_and_its_references_get_one_gain_where_one_would_clip(sources, tmp_path):
    soft, _ = make(sources, tmp_path / "soft", ref_db=-35.0)
    loud, refused = make(sources, tmp_path / "loud", ref_db=-5.0)
    assert not refused
    assert loud["counts"]["with a common gain"] == 5
    assert soft["counts"]["with a common gain"] == 0
    assert loud["deviations"][-1] == "items with a common gain: 5"
    assert "common_gain_db" not in rows(tmp_path / "soft/items.csv")[0]
    every = zip(rows(tmp_path / "soft/items.csv"), rows(tmp_path / "loud/items.csv"), strict=True)
    for low, high in every:
        gain_db = float(high["common_gain_db"])
        audio = {kind: read(tmp_path / "loud", high, kind) for kind in KINDS}
        peak = max(np.abs(one).max() for one in audio.values())
        assert 0.9976 < peak < 1  # 0.01 to 0.02 dB below full scale
        assert high["ref_db"] == "-5.0"  # as planned
        jams = json.loads((tmp_path / f"loud/jams/{high['split']}/{high['item']}.jams").read_text())
        assert jams["sandbox"]["byola_diff"]["common_gain_db"] == gain_db
        for kind, waveform in audio.items():
            quiet = read(tmp_path / "soft", low, kind)
            gain = 10 ** ((30 + gain_db) / 20)
            np.testing.assert_allclose(waveform, gain * quiet, atol=2**-22 * gain)
            told = float(high[f"{kind}_lufs"])
            assert told == pytest.approx(integrated_lufs(waveform, RATE), abs=1e-3)
        for kind in ("event", "a", "b", "c"):
            change_db = float(high[f"{kind}_gain_db"]) - float(low[f"{kind}_gain_db"])
            assert change_db == pytest.approx(30 + gain_db, abs=1e-5)


def test_only_items_that_would_clip_get_a_gain(sources, tmp_path):
    out, click = tmp_path / "out", 0.01 * event_sound(2)
    click[3000] = 0.99
    write_wav(sources[0].root / "2-102-A.wav", click, RATE)
    _, refused = make(sources, tmp_path / "refused", ref_db=-25.0, clipping="refuse")
    assert [(one.name, one.clips) for one in refused] == [("2-102-A", True)]
    summary, refused = make(sources, out, ref_db=-25.0)
    assert (summary["counts"]["with a common gain"], refused) == (1, [])
    gains_db = {row["item"]: float(row["common_gain_db"]) for row in rows(out / "items.csv")}
    assert [name for name, gain_db in gains_db.items() if gain_db < 0] == ["2-102-A"]
    for row in rows(tmp_path / "refused/items.csv"):
        assert gains_db[row["item"]] == 0
        for kind in KINDS:
            file = f"audio/{row['split']}/{row['item']}_{kind}.wav"
            assert (out / file).read_bytes() == (tmp_path / "refused" / file).read_bytes()
    before = files(out)
    make(sources, out, ref_db=-25.0)
    assert files(out) == before


def test_clipping_is_refused_on_demand(sources, tmp_path):
    summary, refused = make(sources, tmp_path / "out", ref_db=-1.0, clipping="refuse")
    assert summary is None
    assert [one.clips for one in refused] == [True] * 5
    assert "clips, with a peak of" in refused[0].reason


def test_a_reference_that_clips_is_refused_on_demand(sources, tmp_path):
    """A mixture within full scale does not mean that what follows in the recording is."""
    for library in sources[1].values():
        for source in library.sources:
            sound = 0.01 * np.random.default_rng(3).standard_normal(2 * RATE)
            sound[RATE + 100 : RATE + 200] = 0.99
            write_wav(library.root / source.file, sound, RATE)
    summary, refused = make(sources, tmp_path / "out", ref_db=-25.0, clipping="refuse")
    assert summary is None
    assert {one.reason.partition("; ")[2].partition(", -25")[0] for one in refused} == {
        "give --clipping gain, or lower ref_db"
    }
    assert all("_b.wav clips" in one.reason for one in refused)
    assert not list(tmp_path.rglob("out/**/*.wav"))
    _, refused = make(sources, tmp_path / "gain", ref_db=-25.0)
    assert not refused
    for row in rows(tmp_path / "gain/items.csv"):
        assert np.abs(read(tmp_path / "gain", row, "b")).max() == pytest.approx(0.998, abs=1e-3)


def test_a_set_of_older_versions_is_one_of_refused_items(sources, tmp_path):
    """Which had no setting for it."""
    make(sources, tmp_path / "out", clipping="refuse")
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    assert settings.pop("clipping") == "refuse"
    (tmp_path / "out/settings.json").write_text(json.dumps(settings))
    _, refused = make(sources, tmp_path / "out", clipping="refuse")
    assert not refused
    with pytest.raises(ValueError, match=r"other settings \(clipping; see"):
        make(sources, tmp_path / "out")


def test_another_data_set_is_not_written_over(sources, tmp_path):
    make(sources, tmp_path / "out")
    with pytest.raises(ValueError, match=r"other settings \(seed; see"):
        make(sources, tmp_path / "out", seed=9)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.txt").touch()
    with pytest.raises(ValueError, match=r"other files, such as x.txt"):
        make(sources, tmp_path / "mine")


def test_faulty_sources_are_refused_before_work(sources):
    events, grounds = sources

    def with_events(*changed):
        return dataclasses.replace(events, sources=tuple(changed)), grounds, SMALL

    one, four = events.sources[0], events.sources[3]
    with pytest.raises(LayoutError, match=r"no event in folds \[4, 5\], which are for test"):
        plan_bgknown(*with_events(one))
    with pytest.raises(LayoutError, match=r"1-101-A.wav has no fold"):
        plan_bgknown(*with_events(dataclasses.replace(one, fold=None), four))
    with pytest.raises(LayoutError, match="leaking group '1'"):
        plan_bgknown(*with_events(one, dataclasses.replace(four, group="1")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snr_db": (3.0, 0.0)}, "no range"),
        ({"ref_db": 1.0}, "between -70 and 0"),
        ({"background": [Path("x")] * 3}, "one folder or two"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **change)


@pytest.mark.parametrize(("n_backgrounds", "n_items"), [(1, 3), (4, 3), (4, 9), (12, 5)])
def test_each_background_serves_once_before_any_serves_twice(n_backgrounds, n_items):
    backgrounds = [Source(f"{n}.wav", "rain", 9.0) for n in range(n_backgrounds)]
    in_order = background_order(backgrounds, 0, n_items)
    chosen = [in_order(rank) for rank in range(n_items)]
    served = [first.file for first, *_ in chosen]
    counts = [served.count(source.file) for source in backgrounds]
    assert max(counts) - min(counts) <= 1
    for one in chosen:
        files = [source.file for source in one]
        assert len(set(files)) == len(files) <= min(10, n_backgrounds)
