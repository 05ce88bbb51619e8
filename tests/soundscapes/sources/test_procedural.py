import pytest
import torch

from byola_diff.soundscapes.sources.library import read_folder
from byola_diff.soundscapes.sources.procedural import ProceduralSounds
from byola_diff.storage import sha256

EVENTS = {"per_label": 6, "seed": 3, "duration_s": 0.25, "sample_rate": 8000, "labels": ["bark"]}
GROUNDS = {**EVENTS, "per_label": 2, "labels": ["rain", "wind"]}


def written(folder, kind="events", **settings):
    sounds = ProceduralSounds(folder, kind, **settings)
    sounds.write()
    return sounds.libraries


def events(folder, **settings):
    return written(folder, **EVENTS | settings)[""]


def hashes(library):
    return [sha256(library.root / source.file) for source in library.sources]


def test_events_come_in_five_folds(tmp_path):
    library = events(tmp_path / "a")
    assert [source.fold for source in library.sources] == [1, 2, 3, 4, 5, 1]
    assert library.sources[0].file == "bark/bark_000.wav"
    assert {s.duration_s for s in read_folder(tmp_path / "a").sources} == {0.25}
    assert len(set(hashes(library))) == 6


def test_same_seed_same_bytes_also_when_stopped(tmp_path):
    first = events(tmp_path / "a")
    before = hashes(first)
    (tmp_path / "a" / first.sources[2].file).unlink()
    (tmp_path / "a" / first.sources[4].file).write_bytes(b"part")
    assert hashes(events(tmp_path / "a")) == before
    assert hashes(events(tmp_path / "b")) == before
    other = events(tmp_path / "c", seed=4)
    assert not set(hashes(other)) & set(before)


def test_same_bytes_with_any_number_of_threads(tmp_path):
    before = torch.get_num_threads()
    settings = {"per_label": 1, "seed": 0, "duration_s": 12.0, "labels": ["rain", "stream", "wind"]}
    found = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            parts = written(tmp_path / str(n_threads), "backgrounds", **settings)
            found.append([hashes(part) for part in parts.values()])
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_no_background_is_in_both_parts(tmp_path):
    parts = written(tmp_path, "backgrounds", **GROUNDS)
    labels = [{source.label for source in part.sources} for part in parts.values()]
    assert labels == [{"rain", "wind"}] * 2
    assert {source.split for source in parts["dev"].sources} == {"dev"}
    assert not set(hashes(parts["dev"])) & set(hashes(parts["eval"]))


def test_nothing_is_written_before_it_is_to_be(tmp_path):
    told = ProceduralSounds(tmp_path / "a", "backgrounds", **GROUNDS).libraries
    assert not (tmp_path / "a").exists()
    assert written(tmp_path / "a", "backgrounds", **GROUNDS) == told
    for part in told.values():
        found = read_folder(part.root).sources
        assert [(s.file, s.label, s.duration_s) for s in found] == [
            (s.file, s.label, s.duration_s) for s in part.sources
        ]


def test_other_settings_and_other_files_are_refused(tmp_path):
    events(tmp_path / "a")
    with pytest.raises(ValueError, match=r"sounds of other settings \(see .*give another --out"):
        events(tmp_path / "a", seed=4)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.wav").touch()
    with pytest.raises(ValueError, match="holds no procedural sounds: give another --out"):
        events(tmp_path / "b")
    with pytest.raises(ValueError, match="unknown labels rain"):
        events(tmp_path / "c", labels=["rain"])
    with pytest.raises(ValueError, match="nothing to write: 0 sounds"):
        events(tmp_path / "c", per_label=0)
