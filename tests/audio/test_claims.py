"""A length in a header is a claim: whole, more, less, none, or absurd."""

import io
import struct
import sys

import numpy as np
import pytest
import soundfile

from byola_diff.audio import files
from byola_diff.audio.files import AudioFileError, open_audio, read_audio

RATE = 16_000


def noise(seconds, seed=0):
    return (0.2 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype("f")


def encoded(waveform, kind, **how):
    content = io.BytesIO()
    soundfile.write(content, waveform, RATE, format=kind, **how)
    return bytearray(content.getvalue())


def flac_of_length(n_samples):
    content = encoded(noise(1), "FLAC", subtype="PCM_16")
    content[21] = content[21] & 0xF0 | n_samples >> 32
    content[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
    return content


def mp3_without_header(waveform):
    """Frames of a variable bit rate, without the first, which states their number."""
    content = encoded(waveform, "MP3", bitrate_mode="VARIABLE", compression_level=0.2)
    return content[content.index(b"\xff\xf3", 4) :]


@pytest.fixture
def without_av(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


LONGER = {
    "chain.ogg": encoded(noise(1), "OGG") + encoded(noise(2), "OGG"),
    "twice.ogg": encoded(noise(1), "OGG") * 2,
    "chain.opus": encoded(noise(1), "OGG", subtype="OPUS") * 2,
    "live.flac": flac_of_length(0),
    "loud_first.mp3": mp3_without_header(np.concatenate([noise(2), 1e-3 * noise(2)])),
    "faint_first.mp3": mp3_without_header(np.concatenate([1e-3 * noise(2), noise(2)])),
    "twice.mp3": encoded(noise(2), "MP3") * 2,
}
LENGTHS_S = [3, 2, 2, 1, 4, 4, 4]


@pytest.mark.parametrize("name", LONGER)
def test_more_than_stated_is_refused_by_name_and_says_what_reads_it(tmp_path, name, without_av):
    (tmp_path / name).write_bytes(LONGER[name])
    with pytest.raises(AudioFileError, match=rf"{name}: .*byola-diff\[decode\]"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize(("name", "length_s"), list(zip(LONGER, LENGTHS_S, strict=True)))
def test_more_than_stated_is_read_with_the_extra(tmp_path, name, length_s):
    pytest.importorskip("av")
    (tmp_path / name).write_bytes(LONGER[name])
    if name == "chain.opus":
        with pytest.raises(AudioFileError, match="several Opus streams"):
            read_audio(tmp_path / name)
        return
    waveform, rate = read_audio(tmp_path / name)
    assert rate in (RATE, 48_000)
    assert len(waveform) / rate == pytest.approx(length_s, abs=0.2)


def test_decoders_agree(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.flac").write_bytes(LONGER["live.flac"])
    soundfile.write(tmp_path / "b.flac", noise(1), RATE)
    np.testing.assert_array_equal(
        read_audio(tmp_path / "a.flac")[0], read_audio(tmp_path / "b.flac")[0]
    )


def test_whole_mp3_have_the_length_of_their_frames(tmp_path):
    for mode in ("CONSTANT", "VARIABLE"):
        content = encoded(noise(3), "MP3", bitrate_mode=mode)
        (tmp_path / "a.mp3").write_bytes(b"ID3\x03\0\0\0\0\0\x05\xff\xfb\x90\0\0" + content)
        assert len(read_audio(tmp_path / "a.mp3")[0]) == pytest.approx(3 * RATE, abs=2500)


def test_what_looks_like_frames_in_the_tags_of_an_mp3_is_none(tmp_path):
    content = encoded(noise(2), "MP3", bitrate_mode="CONSTANT")
    other = encoded(noise(1), "MP3")
    size = bytes(len(other) >> shift & 127 for shift in (21, 14, 7, 0))
    lone = (b"\0" + content[:4] + bytes(2995)) * 40
    (tmp_path / "a.mp3").write_bytes(b"ID3\x03\0\0" + size + other + content + lone)
    assert len(read_audio(tmp_path / "a.mp3")[0]) == pytest.approx(2 * RATE, abs=2500)


@pytest.mark.parametrize("n_samples", [(1 << 36) - 2, 1 << 35, 100 * RATE])
def test_less_than_stated_costs_no_memory(tmp_path, n_samples):
    (tmp_path / "a.flac").write_bytes(flac_of_length(n_samples))
    with pytest.raises(AudioFileError, match=r"a\.flac: "):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize("kind", ["RF64", "NIST", "W64", "AU"])
def test_half_a_file(tmp_path, kind):
    content = encoded(noise(1), kind, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read_audio(tmp_path / "a.wav")[0]) == RATE
    (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioFileError, match="truncated"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["WAV", "AU"])
def test_header_that_was_not_updated(tmp_path, kind):
    (tmp_path / "a").write_bytes(encoded(noise(1), kind) + encoded(noise(1), kind)[44:])
    with pytest.raises(AudioFileError, match=r"16000 samples, but 3[12].* further bytes"):
        read_audio(tmp_path / "a")


@pytest.mark.parametrize("sub", ["GSM610", "G721_32", "NMS_ADPCM_32", "IMA_ADPCM", "MS_ADPCM"])
def test_parts_of_codecs_that_keep_a_state(tmp_path, sub):
    (tmp_path / "a.wav").write_bytes(encoded(noise(1), "WAV", subtype=sub))
    whole, _ = read_audio(tmp_path / "a.wav")
    assert len(whole) >= RATE
    for start in (1, 4321, 15_000):
        part, _ = read_audio(tmp_path / "a.wav", start / RATE, 500 / RATE)
        np.testing.assert_array_equal(part, whole[start : start + 500])


def test_part_of_an_mp3_is_that_of_the_whole(tmp_path):
    (tmp_path / "a.mp3").write_bytes(encoded(noise(3), "MP3", bitrate_mode="VARIABLE"))
    whole, _ = read_audio(tmp_path / "a.mp3")
    for start in (1, 1153, 20_011, 40_000):
        part, _ = read_audio(tmp_path / "a.mp3", start / RATE, 700 / RATE)
        np.testing.assert_allclose(part, whole[start : start + 700], rtol=0, atol=1e-6)


@pytest.mark.parametrize("peak", [4.5, 32767.0])
def test_samples_far_beyond_full_scale(tmp_path, peak):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, -peak]), RATE, subtype="FLOAT")
    with pytest.raises(AudioFileError, match=f"samples reach {peak:.5g}"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1, 99, 1_000_001])
def test_impossible_rate(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), rate)
    with pytest.raises(AudioFileError, match=f"a rate of {rate} Hz"):
        read_audio(tmp_path / "a.wav")


def test_more_samples_than_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_SAMPLES", 1000)
    soundfile.write(tmp_path / "a.wav", np.zeros(1001), RATE)
    with pytest.raises(AudioFileError, match="1001 samples are more than the 1000"):
        read_audio(tmp_path / "a.wav")
    assert len(read_audio(tmp_path / "a.wav", 0.0, 1000 / RATE)[0]) == 1000


def test_blocks_join(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.stack([noise(1), noise(1, 1)], 1), RATE)
    whole, _ = read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(files, "_BLOCK_SAMPLES", 999)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], whole)


def told(path, content=None):
    """Samples and rate of a file, or why there are none."""
    try:
        with open_audio(path, content) as reader:
            return reader.read(7, 5000).tolist(), reader.sample_rate
    except AudioFileError as error:
        return str(error)


IN_MEMORY = {
    **LONGER,
    **{f"whole.{kind.lower()}": encoded(noise(1), kind) for kind in ("WAV", "FLAC", "OGG", "MP3")},
    "whole.opus": encoded(noise(1), "OGG", subtype="OPUS"),
    **{
        f"{end}.{kind.lower()}": encoded(noise(1), kind, subtype="PCM_16")[:end]
        for kind in ("RF64", "NIST", "W64", "AU", "AIFF", "CAF")
        for end in (20_000, 40_000)
    },
    "cut.ogg": encoded(noise(1), "OGG")[:-1],
    "adpcm.wav": encoded(noise(1), "WAV", subtype="IMA_ADPCM"),
    "tagged.mp3": b"ID3\x03\0\0\0\0\0\x05\xff\xfb\x90\0\0" + encoded(noise(3), "MP3"),
    "odd.mp3": bytes(300) + encoded(noise(3), "MP3"),
    "late.wav": encoded(noise(1), "WAV") + encoded(noise(1), "WAV")[44:],
    "faulty.wav": encoded(np.full(9000, np.nan), "WAV", subtype="FLOAT"),
    "text.wav": b"no sound",
    "empty.wav": b"",
    "text.m4a": b"no sound" * 100,
}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_a_file_in_memory_is_read_as_one_on_a_disk(tmp_path, name):
    content = bytes(IN_MEMORY[name])
    (tmp_path / name).write_bytes(content)
    on_disk = told(tmp_path / name)
    (tmp_path / name).unlink()
    assert told(tmp_path / name, content) == on_disk


@pytest.mark.parametrize("suffix", ["m4a", "aac", "webm", "ac3"])
def test_a_file_in_memory_is_read_by_the_other_decoder(tmp_path, suffix):
    av = pytest.importorskip("av")
    path = tmp_path / f"a.{suffix}"
    coder = {"m4a": "aac", "aac": "aac", "webm": "libopus", "ac3": "ac3"}[suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(coder, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(2)[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        for part in av.AudioResampler(stream.format, "mono", 48_000).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    on_disk = told(path)
    assert on_disk[1] == 48_000
    content = path.read_bytes()
    path.unlink()
    assert told(path, content) == on_disk


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd"), RuntimeError("odd")])
def test_any_failure_of_a_decoder_names_the_file(tmp_path, monkeypatch, error):
    soundfile.write(tmp_path / "a.wav", noise(1), RATE)

    def fail(*_, **__):
        raise error

    with open_audio(tmp_path / "a.wav") as reader:
        monkeypatch.setattr(soundfile.SoundFile, "read", fail)
        with pytest.raises(AudioFileError, match=r"a\.wav"):
            reader.read()


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".amr", ".wv"])
def test_no_audio_under_a_suffix_of_another_decoder(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"x" * 100)
    with pytest.raises(AudioFileError, match=rf"a\{suffix}: ") as refused:
        read_audio(tmp_path / f"a{suffix}")
    assert str(tmp_path) not in refused.value.reason
