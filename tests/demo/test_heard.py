import io

import pytest
import soundfile
import torch

from byola_diff.demo.heard import found_table, heard_events, shown_events
from byola_diff.evaluation.additivity.quadruples import EventSounds
from byola_diff.reports.report import Audio, Heading

RATE = 8000
LABELS = ("bell", "dog", "bell")


@pytest.fixture
def sounds():
    noise = torch.randn(3, 3, RATE // 4, generator=torch.Generator().manual_seed(0)) / 50
    return EventSounds(*noise, LABELS)


def samples(audio):
    return torch.from_numpy(soundfile.read(io.BytesIO(audio.wav))[0]).float()


def test_events_are_shown_at_equal_distances():
    assert shown_events(60, 4) == [0, 15, 30, 45]
    assert shown_events(3, 4) == [0, 1, 2]


def test_table_has_a_tick_where_the_right_event_was_found():
    table = found_table({"good": [0, 1, 2], "bad": [2, 0, 1]}, LABELS, [0, 1])
    assert table.header == ["encoder", "1: bell", "2: dog"]
    assert table.rows == [["good", "✓", "✓"], ["bad", "✗", "✗"]]


def test_players_of_what_was_added_and_what_was_found(sounds):
    pytest.importorskip("matplotlib")
    found = {"good": [0, 1, 2], "bad": [1, 1, 1], "worse": [1, 0, 0]}
    heading, *players = heard_events(found, sounds, [0], RATE)
    assert heading == Heading("1: bell")
    assert all(isinstance(one, Audio) and one.spectrogram for one in players)
    assert [one.caption for one in players] == [
        "background",
        "background + event",
        "the event: bell\n✓ found by good",
        "✗ dog\nfound by bad, worse",
    ]
    background, mixture, event, other = map(samples, players)
    torch.testing.assert_close(background + event, mixture, atol=2e-4, rtol=0)
    assert max(one.abs().max() for one in (background, mixture, event, other)) == pytest.approx(
        0.9, abs=1e-3
    )
    # The event that is heard as found is the one that was found.
    cosine = torch.nn.functional.cosine_similarity(other, sounds.events[1], dim=0)
    assert cosine == pytest.approx(1, abs=1e-3)


def test_another_event_of_the_same_label(sounds):
    pytest.importorskip("matplotlib")
    _, *players = heard_events({"bad": [2, 1, 2]}, sounds, [0], RATE)
    assert players[3].caption == "✗ another bell\nfound by bad"


def test_an_event_that_no_encoder_finds(sounds):
    pytest.importorskip("matplotlib")
    _, *players = heard_events({"bad": [1, 1, 1]}, sounds, [2], RATE)
    assert players[2].caption == "the event: bell\n✗ found by none"
