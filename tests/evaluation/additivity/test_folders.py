import numpy as np
import pytest
import torch

from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.evaluation.additivity.folders import (
    SoundFile,
    choose_events,
    list_backgrounds,
    list_events,
    read_backgrounds,
    read_events,
)
from byola_diff.evaluation.additivity.quadruples import event_sounds, open_sources

RATE = 8000


def tone(duration_s, hz=440.0, gain=0.5):
    return gain * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE)) / RATE)


def write(path, waveform):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, waveform, RATE)


@pytest.fixture
def folders(tmp_path):
    for number in range(3):
        write(tmp_path / "events" / "dog" / f"{number}.wav", tone(0.3, 300 + 50 * number))
        write(tmp_path / "events" / "bell" / f"{number}.wav", tone(0.8, 900 + 50 * number))
        write(tmp_path / "long" / f"{number}.wav", tone(2.0, 100 + number))
    return tmp_path


def test_labels_are_folders_or_those_of_a_manifest(folders):
    events = list_events(folders / "events")
    assert [file.name for file in events[:2]] == ["bell/0.wav", "bell/1.wav"]
    assert [file.label for file in events] == ["bell"] * 3 + ["dog"] * 3
    table = folders / "events" / "manifest.csv"
    table.write_text("file,label,fold\ndog/0.wav,hound,1\nbell/2.wav,gong,2\n")
    for source in (table, folders / "events"):
        named = [(file.name, file.label) for file in list_events(source)]
        assert named == [("bell/2.wav", "gong"), ("dog/0.wav", "hound")]


def test_names_of_folders_are_compared_in_nfc(tmp_path):
    for number, folder in enumerate(("cafe\u0301", "caf\u00e9")):
        write(tmp_path / folder / f"{number}.wav", tone(0.3))
    assert [file.label for file in list_events(tmp_path)] == ["caf\u00e9"] * 2


def test_sounds_of_folders(folders):
    sources = open_sources(folders / "events", folders / "long", 0.5)
    assert sources.name == "events/long"
    assert sources.settings()["n_event_files"] == 6
    how = (sources, 5, (0.0,), 0.5)
    first, again, other = (event_sounds(*how, seed, RATE) for seed in (0, 0, 1))
    assert first.events.shape == (5, 4000)
    assert torch.equal(first.events, again.events)
    assert torch.equal(first.second_background, again.second_background)
    assert not torch.equal(first.first_background, other.first_background)
    assert set(first.labels) == {"dog", "bell"}
    # The two backgrounds of an event are of two files: here, of two frequencies.
    assert not torch.allclose(first.first_background, first.second_background, atol=1e-3)


def test_one_side_may_be_procedural(folders):
    assert open_sources(None, None, 0.5).name == "procedural"
    assert open_sources(None, folders / "long", 0.5).name == "procedural/long"
    sources = open_sources(folders / "events", None, 0.5)
    assert sources.name == "events/procedural"
    assert event_sounds(sources, 2, (0.0,), 0.5, 0, RATE).events.any(1).all()


def test_long_events_are_cut_to_their_loudest_stretch(tmp_path):
    waveform = np.concatenate([tone(1.0, gain=0.01), tone(0.5, gain=0.8), tone(1.0, gain=0.01)])
    write(tmp_path / "e.wav", waveform)
    [clip] = read_events([SoundFile(tmp_path / "e.wav", "e.wav", "x")], 0, RATE, 4000)
    assert clip.square().mean().sqrt().item() == pytest.approx(0.8 / 2**0.5, rel=0.02)


def test_short_events_lie_whole_within_their_clip(tmp_path):
    write(tmp_path / "e.wav", tone(0.1))
    energy = (tone(0.1) ** 2).sum()
    onsets = set()
    for seed in range(5):
        [clip] = read_events([SoundFile(tmp_path / "e.wav", "e.wav", "x")], seed, RATE, 4000)
        assert clip.square().sum().item() == pytest.approx(energy, rel=1e-3)
        onsets.add(clip.nonzero()[0].item())
    assert len(onsets) == 5


def test_too_few_events(folders):
    with pytest.raises(ValueError, match=r"6 event files: use --events 6"):
        choose_events(list_events(folders / "events"), 7, 0)
    (folders / "none").mkdir()
    with pytest.raises(ValueError, match="none: no audio files"):
        list_events(folders / "none")
    with pytest.raises(NotADirectoryError, match="no such folder"):
        list_events(folders / "absent")


def test_short_backgrounds_are_left_out_and_two_must_remain(folders):
    write(folders / "long" / "short.wav", tone(0.4))
    assert len(list_backgrounds(folders / "long", 0.5)) == 3
    with pytest.raises(ValueError, match=r"long: 0 of 4 files last 3 s or more"):
        list_backgrounds(folders / "long", 3.0)


@pytest.mark.parametrize(
    ("waveform", "reason"), [(np.zeros(4000), "silent"), (tone(0.01), "0.010 s is too short")]
)
def test_events_that_can_not_be_used(tmp_path, waveform, reason):
    write(tmp_path / "bad.wav", waveform)
    with pytest.raises(AudioFileError, match=rf"bad\.wav: {reason}"):
        read_events([SoundFile(tmp_path / "bad.wav", "bad.wav", "x")], 0, RATE, 4000)


def test_silent_backgrounds(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.wav", np.zeros(8000))
    files = list_backgrounds(tmp_path, 0.5)
    with pytest.raises(AudioFileError, match=r"\.wav: silent in 10 stretches of 0.5 s"):
        read_backgrounds(files, 2, 0, RATE, 4000)
    # Silence in a part of a file is passed over.
    write(tmp_path / "a.wav", np.concatenate([np.zeros(8000), tone(1.0)]))
    write(tmp_path / "b.wav", np.concatenate([tone(1.0), np.zeros(8000)]))
    first, second = read_backgrounds(list_backgrounds(tmp_path, 0.5), 20, 0, RATE, 4000)
    assert first.any(1).all()
    assert second.any(1).all()


def test_parts_are_read_as_the_manifest_says_or_refused(tmp_path):
    write(tmp_path / "e.wav", np.concatenate([tone(0.5, gain=0.1), tone(0.5, gain=0.8)]))
    table = tmp_path / "m.csv"
    table.write_text("file,label,split,start_s,duration_s\ne.wav,x,train,0.1,0.3\n")
    [clip] = read_events(list_events(table), 0, RATE, 2400)
    assert clip.abs().max().item() == pytest.approx(0.1, abs=0.01)
    table.write_text("file,label,split,start_s,duration_s\ne.wav,x,train,0.9,0.3\n")
    with pytest.raises(
        AudioFileError, match=r"e\.wav: ends at 1\.000 s, too soon for start_s 0\.9"
    ):
        read_events(list_events(table), 0, RATE, 4000)
    table.write_text("file,labels,split\ne.wav,x;y,train\n")
    with pytest.raises(ValueError, match=r"m\.csv: row 2: an event needs one label per clip"):
        list_events(table)


def test_a_recording_is_its_group_or_its_file_links_followed(folders):
    (folders / "events" / "dog" / "link.wav").symlink_to(folders / "events" / "dog" / "0.wav")
    first, *_, link = list_events(folders / "events" / "dog")
    assert first.name != link.name
    assert first.recording == link.recording
    table = folders / "events" / "m.csv"
    table.write_text("file,label,split,group\ndog/0.wav,x,train,g\nbell/0.wav,x,train,g\n")
    assert [file.recording for file in list_events(table)] == ["g", "g"]
