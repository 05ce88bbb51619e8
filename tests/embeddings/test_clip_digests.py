import numpy as np
import pytest

from byola_diff.embeddings.clip_digests import clip_digests
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing

WHOLE = Preprocessing()
SMALL, LARGE = 100_000, 1_000_003  # bytes: read whole, and in blocks


def digest(root, file="a.wav", cut=WHOLE, **fields):
    [found] = clip_digests(Manifest(root, (Clip(file, (), **fields),), ()), cut)
    return found


def noise(n_bytes):
    return np.random.default_rng(0).bytes(n_bytes)


@pytest.mark.parametrize("n_bytes", [SMALL, LARGE])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.97])
def test_a_change_of_a_thirtieth_of_the_file_is_seen_anywhere(tmp_path, n_bytes, place):
    content = bytearray(noise(n_bytes))
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    before = digest(tmp_path)
    first = round(place * n_bytes)
    content[first : first + n_bytes // 30] = bytes(n_bytes // 30)
    path.write_bytes(content)
    assert digest(tmp_path) != before


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("n_bytes", [SMALL, LARGE])
def test_first_and_last_byte_are_read(tmp_path, n_bytes, place):
    content = bytearray(noise(n_bytes))
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    before = digest(tmp_path)
    content[place] ^= 1
    path.write_bytes(content)
    assert digest(tmp_path) != before


def test_sizes_differ_where_blocks_do_not(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(LARGE))
    before = digest(tmp_path)
    path.write_bytes(bytes(LARGE + 1))
    assert digest(tmp_path) != before


def test_name_and_stretch_count(tmp_path):
    for file in ("a.wav", "b.wav"):
        (tmp_path / file).write_bytes(noise(SMALL))
    found = [
        digest(tmp_path),
        digest(tmp_path, "b.wav"),
        digest(tmp_path, start_s=0.5),
        digest(tmp_path, duration_s=0.5),
        digest(tmp_path, "missing.wav"),
    ]
    assert len(set(found)) == len(found)


def test_a_seed_counts_for_clips_that_are_cut_by_it(tmp_path):
    (tmp_path / "a.wav").write_bytes(noise(SMALL))

    def seeds_differ(unit_s, **fields):
        cuts = [Preprocessing(unit_s, seed) for seed in (1, 2)]
        one, other = (digest(tmp_path, cut=cut, **fields) for cut in cuts)
        return one != other

    assert seeds_differ(0.1, split="train")
    assert not seeds_differ(0.1, split="test")
    assert not seeds_differ(None, split="train")


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(noise(SMALL))
    opened, plain = [], type(path).open
    monkeypatch.setattr(
        type(path), "open", lambda p, *a, **k: opened.append(p) or plain(p, *a, **k)
    )
    clips = tuple(Clip("a.wav", (), start_s=float(start)) for start in range(5))
    assert len(set(clip_digests(Manifest(tmp_path, clips, ()), WHOLE))) == 5
    assert opened == [path]
