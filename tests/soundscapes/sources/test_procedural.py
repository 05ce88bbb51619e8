import pytest
import torch

from byola_diff.soundscapes.sources.library import read_folder
from byola_diff.soundscapes.sources.procedural import (
    write_procedural_backgrounds,
    write_procedural_events,
)
from byola_diff.storage import sha256

EVENTS = {"per_label": 6, "seed": 3, "duration_s": 0.25, "sample_rate": 8000, "labels": ["bark"]}
GROUNDS = {**EVENTS, "per_label": 2, "labels": ["rain", "wind"]}


def hashes(library):
    return [sha256(library.root / source.file) for source in library.sources]


def test_events_come_in_five_folds(tmp_path):
    library = write_procedural_events(tmp_path / "a", **EVENTS)
    assert [source.fold for source in library.sources] == [1, 2, 3, 4, 5, 1]
    assert library.sources[0].file == "bark/bark_000.wav"
    assert {s.duration_s for s in read_folder(tmp_path / "a").sources} == {0.25}
    assert len(set(hashes(library))) == 6


def test_same_seed_same_bytes_also_when_stopped(tmp_path):
    first = write_procedural_events(tmp_path / "a", **EVENTS)
    before = hashes(first)
    (tmp_path / "a" / first.sources[2].file).unlink()
    (tmp_path / "a" / first.sources[4].file).write_bytes(b"part")
    assert hashes(write_procedural_events(tmp_path / "a", **EVENTS)) == before
    assert hashes(write_procedural_events(tmp_path / "b", **EVENTS)) == before
    other = write_procedural_events(tmp_path / "c", **EVENTS | {"seed": 4})
    assert not set(hashes(other)) & set(before)


def test_same_bytes_with_any_number_of_threads(tmp_path):
    before = torch.get_num_threads()
    settings = {"per_label": 1, "seed": 0, "duration_s": 12.0, "labels": ["rain", "stream", "wind"]}
    found = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            parts = write_procedural_backgrounds(tmp_path / str(n_threads), **settings)
            found.append([hashes(part) for part in parts.values()])
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_no_background_is_in_both_parts(tmp_path):
    parts = write_procedural_backgrounds(tmp_path, **GROUNDS)
    assert parts["dev"].labels == parts["eval"].labels == ("rain", "wind")
    assert {source.split for source in parts["dev"].sources} == {"dev"}
    assert not set(hashes(parts["dev"])) & set(hashes(parts["eval"]))


def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path):
    told = write_procedural_backgrounds(tmp_path / "a", **GROUNDS, dry_run=True)
    assert not (tmp_path / "a").exists()
    assert write_procedural_backgrounds(tmp_path / "a", **GROUNDS) == told


def test_other_settings_and_other_files_are_refused(tmp_path):
    write_procedural_events(tmp_path / "a", **EVENTS)
    with pytest.raises(ValueError, match=r"sounds of other settings \(see .*give another --out"):
        write_procedural_events(tmp_path / "a", **EVENTS | {"seed": 4})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.wav").touch()
    with pytest.raises(ValueError, match="holds no procedural sounds: give another --out"):
        write_procedural_events(tmp_path / "b", **EVENTS)
    with pytest.raises(ValueError, match="unknown labels rain"):
        write_procedural_events(tmp_path / "c", **EVENTS | {"labels": ["rain"]})
    with pytest.raises(ValueError, match="nothing to write: 0 sounds"):
        write_procedural_events(tmp_path / "c", **EVENTS | {"per_label": 0})
