import pytest
import torch

from byola_diff.audio.files import AudioFileError
from byola_diff.demo import sounds
from byola_diff.demo.sounds import HeldOut
from byola_diff.demo.stages import CommandError
from byola_diff.tables.manifest import read_manifest
from tests.corpus import write_corpus


@pytest.fixture
def commands(monkeypatch):
    """Words of commands that would have been run; sounds are few."""
    noted = []
    monkeypatch.setattr(sounds, "run_command", lambda *words: noted.append(list(map(str, words))))
    monkeypatch.setattr(sounds, "LABELS", ("bird", "alarm"))
    monkeypatch.setattr(sounds, "PER_LABEL", 5)
    monkeypatch.setattr(sounds, "N_EVENTS", 4)
    return noted


def test_every_draw_of_every_demo_has_its_own_seed(tmp_path):
    seeds = [seed for demo in range(3) for seed in HeldOut(tmp_path, demo).draws.values()]
    assert len(set(seeds)) == 3 * sounds.N_DRAWS
    assert min(seeds) >= 1000  # training streams count from 0


def test_labelled_events_are_written_once_for_naming_and_for_items(tmp_path, commands):
    held_out = HeldOut(tmp_path, 0)
    assert not held_out.is_made("draw 1")
    held_out.make("draw 1")
    folder = tmp_path / "sounds/draw_1"
    manifest = read_manifest(folder / "events/manifest.csv")
    assert manifest.classes == ("alarm", "bird")
    assert sorted(clip.fold for clip in manifest.clips) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert all(manifest.path(clip).is_file() for clip in manifest.clips)
    [words] = commands
    assert words[words.index("--esc50") + 1] == str(folder / "events")
    assert words[words.index("--background") + 1] == "procedural"
    assert words[words.index("--seed") + 1] == "1001"
    assert not held_out.is_made("draw 1")  # no items are there
    (folder / "bgknown").mkdir()
    (folder / "bgknown/bgknown.json").write_text("{}")
    assert held_out.is_made("draw 1")


def test_recordings_stand_in_place_of_procedural_sounds(tmp_path, commands):
    write_corpus(tmp_path / "mine", column="fold")
    table = tmp_path / "mine/manifest.csv"
    held_out = HeldOut(tmp_path / "out", 0, table, tmp_path / "grounds")
    held_out.make("draw 0")
    [words] = commands
    assert words[words.index("--esc50") + 1] == str(tmp_path / "mine")
    assert words[words.index("--background") + 1] == str(tmp_path / "grounds")
    assert list(held_out.labelled()) == ["recordings"]
    assert not (tmp_path / "out").exists()  # no events are written


def test_items_that_can_not_be_made_are_left_out(tmp_path, commands, monkeypatch):
    def refuse(*words):
        raise CommandError(words)

    monkeypatch.setattr(sounds, "run_command", refuse)
    held_out = HeldOut(tmp_path, 0)
    with pytest.raises(CommandError):
        held_out.make("draw 0")
    (tmp_path / "sounds/draw_0/bgknown").mkdir()
    (tmp_path / "sounds/draw_0/bgknown/bgknown.json").write_text("{}")
    held_out.make("draw 0")


def test_quadruples_of_draws_differ(tmp_path, commands):
    held_out = HeldOut(tmp_path, 0)
    first, again, second = (
        held_out.quadruples(draw, 8000) for draw in ("draw 0", "draw 0", "draw 1")
    )
    assert first.events.shape == (4, 16_000)
    torch.testing.assert_close(first.events, again.events)
    assert not torch.equal(first.events, second.events)


def test_no_more_quadruples_than_recordings(tmp_path, commands, monkeypatch):
    write_corpus(tmp_path / "mine", n_clips=6, column="fold")
    held_out = HeldOut(tmp_path / "out", 0, tmp_path / "mine/manifest.csv")
    assert len(held_out.quadruples("draw 0", 8000).labels) == 4
    monkeypatch.setattr(sounds, "N_EVENTS", 50)
    assert len(held_out.quadruples("draw 0", 8000).labels) == held_out.n_events == 6


def test_backgrounds_of_a_user_are_those_of_quadruples(tmp_path, commands):
    (tmp_path / "grounds").mkdir()
    with pytest.raises((ValueError, AudioFileError), match="grounds"):
        HeldOut(tmp_path, 0, backgrounds=tmp_path / "grounds").quadruples("draw 0", 8000)
