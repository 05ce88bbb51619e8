import hashlib
import os

import pytest

from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes import source_hash
from byola_diff.soundscapes.source_hash import source_sha256


def test_a_version_is_read_once_and_another_one_anew(tmp_path, monkeypatch):
    path, reads = tmp_path / "x.wav", []

    def counted(file):
        reads.append(file)
        return hashlib.sha256(file.read_bytes()).hexdigest()

    monkeypatch.setattr(source_hash, "sha256", counted)
    for content, changed_s in ((b"one", 1), (b"one", 1), (b"two", 2), (b"three", 2)):
        path.write_bytes(content)
        os.utime(path, (changed_s, changed_s))
        assert source_sha256(path) == hashlib.sha256(content).hexdigest()
    assert len(reads) == 3


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(AudioFileError, match=r"x\.wav: No such file"):
        source_sha256(tmp_path / "x.wav")
