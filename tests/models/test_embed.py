from unittest import mock

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import byola_diff
from byola_diff.audio import recordings
from byola_diff.audio.files import AudioFileError, read_audio
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.audio.resample import resample
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.hear_module import HearEncoder
from byola_diff.encoders.mean_power import load_mean_power
from byola_diff.models import embed as embed_module
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.embed import embed, same_length_batches
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.frozen import FrozenEncoder
from tests.helpers import uniform_noise

RATE = 16_000


@pytest.fixture(autouse=True)
def nothing_was_said():
    recordings.say_once.cache_clear()


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2020(dim=32))


class Recording(nn.Module):
    """Mean and length of each clip, and what it was given."""

    sample_rate = RATE

    def __init__(self, device="cpu"):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, device=device))
        self.batches = []

    def scene(self, waveform):
        self.batches.append(waveform)
        length = torch.full((len(waveform),), waveform.shape[1], device=waveform.device)
        return torch.stack([waveform.mean(1), length], 1) * self.weight


def assert_near(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_one_clip_as_scene_gives_it(encoder):
    noise = uniform_noise(8000)
    expected = encoder.scene(noise[None])[0]
    for clip in (noise, noise.numpy(), noise.double(), noise.numpy().astype(np.float64)):
        found = encoder.embed(clip, sample_rate=RATE)
        assert found.shape == (32,)
        assert_near(found, expected)
    for clips in ([noise], noise[None], noise.numpy()[None]):
        assert_near(encoder.embed(clips, RATE), expected[None])


def test_batches_and_layouts(encoder):
    noise = uniform_noise(3, 8000)
    expected = encoder.scene(noise)
    assert_near(encoder.embed(noise, RATE, "batch sample"), expected)
    assert_near(encoder.embed(noise[:, None], RATE), expected)
    stereo = torch.stack([noise, torch.zeros_like(noise)], 1)
    half = encoder.scene(noise / 2)
    assert_near(encoder.embed(stereo, RATE), half)
    assert_near(encoder.embed(stereo[0], RATE, layout="channel sample"), half[0])
    assert_near(encoder.embed(stereo[0].T, RATE, layout="sample channel"), half[0])


def test_unequal_lengths_each_as_if_alone_and_in_order(encoder):
    lengths = [8000, 5000, 8000, 1, 400, 5000, 20_000]
    clips = [uniform_noise(length, seed=n) for n, length in enumerate(lengths)]
    expected = torch.cat([encoder.scene(clip[None]) for clip in clips])
    assert_near(encoder.embed(clips, RATE), expected)


def test_nothing_is_padded_and_batches_are_small():
    recorder = Recording()
    lengths = [5, 3] * 40 + [7]
    clips = [torch.full((length,), n / 100) for n, length in enumerate(lengths)]
    found = embed(recorder, clips, RATE)
    assert_near(found, torch.tensor([[n / 100, length] for n, length in enumerate(lengths)]))
    assert [tuple(batch.shape) for batch in recorder.batches] == [
        *((32, 5), (8, 5), (32, 3), (8, 3)),
        (1, 7),
    ]


def test_no_more_is_held_than_fits(monkeypatch):
    recorder = Recording()
    monkeypatch.setattr(embed_module, "_HELD_S", 10 / RATE)
    clips = [torch.full((length,), 0.5) for length in (4, 4, 4, 20, 4)]
    found = embed(recorder, clips, RATE)
    assert found[:, 1].tolist() == [4, 4, 4, 20, 4]
    assert [len(batch) for batch in recorder.batches] == [3, 1, 1]


def test_pcm_of_another_rate(encoder):
    noise = uniform_noise(4410).numpy()
    pcm = np.rint(noise * 32767).astype(np.int16)
    prepared = resample(pcm.astype(np.float32) / 32768, 44_100, RATE)
    expected = encoder.scene(torch.from_numpy(prepared)[None])[0]
    assert_near(encoder.embed(pcm, sample_rate=44_100), expected)
    assert_near(encoder.embed(torch.from_numpy(pcm), sample_rate=44_100.0), expected)


def test_files_and_folder(encoder, tmp_path):
    for n, (name, rate) in enumerate([("b.wav", 44_100), ("a.flac", RATE), ("c.ogg", 8000)]):
        samples = 0.1 * uniform_noise(rate // 2, 1 + n % 2, seed=n).numpy()
        soundfile.write(tmp_path / name, samples, rate)
    names = ["a.flac", "b.wav", "c.ogg"]
    waveforms = [resample(*read_audio(tmp_path / name), RATE) for name in names]
    scenes = [encoder.scene(torch.from_numpy(waveform)[None]) for waveform in waveforms]
    expected = torch.cat(scenes)
    assert_near(encoder.embed(tmp_path), expected)
    assert_near(encoder.embed([tmp_path / name for name in names]), expected)
    assert_near(encoder.embed(str(tmp_path / "b.wav")), expected[1])
    mixed = [tmp_path / "c.ogg", torch.from_numpy(waveforms[0])]
    assert_near(encoder.embed(mixed, RATE), expected[[2, 0]])


def test_rows_of_a_folder_are_those_of_find_audio(encoder, tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("c.wav", "b/z.wav", "B.wav", "a.wav"):
        soundfile.write(tmp_path / name, 0.1 * uniform_noise(4000, seed=len(name)).numpy(), RATE)
    files = byola_diff.find_audio(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        *("B.wav", "a.wav", "b/z.wav", "c.wav")
    ]
    assert_near(encoder.embed(tmp_path), torch.stack([encoder.embed(path) for path in files]))


def test_all_files_that_cannot_be_opened_are_told_before_any_is_encoded(encoder, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * uniform_noise(4000).numpy(), RATE)
    (tmp_path / "b.wav").write_text("no sound")
    soundfile.write(tmp_path / "c.wav", [], RATE)
    with (
        mock.patch.object(encoder, "scene", side_effect=AssertionError),
        pytest.raises(AudioFileError) as raised,
    ):
        encoder.embed(tmp_path)
    assert raised.value.path == tmp_path / "b.wav"
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{tmp_path / 'b.wav'}: unreadable")
    assert lines[1] == f"{tmp_path / 'c.wav'}: empty: no samples"

    for n in range(22):
        (tmp_path / f"d{n:02}.wav").write_text("no sound")
    with pytest.raises(AudioFileError, match=r"\nand 3 more files\Z"):
        encoder.embed(tmp_path)


def test_a_rate_that_is_left_out_is_said_once(encoder, capsys, tmp_path):
    noise = uniform_noise(4000)
    assert_near(encoder.embed(noise), encoder.scene(noise[None])[0])
    encoder.embed([noise, noise])
    said = capsys.readouterr().err
    assert said.count("no sample_rate is given: arrays are taken to be at 16000 Hz") == 1
    recordings.say_once.cache_clear()
    encoder.embed(noise, RATE)
    soundfile.write(tmp_path / "a.wav", noise.numpy(), RATE)
    encoder.embed(tmp_path)
    assert capsys.readouterr().err == ""


def test_no_gradients(encoder):
    found = encoder.embed(uniform_noise(4000).requires_grad_(), RATE)
    assert not found.requires_grad
    assert found.dtype == torch.float32


def test_where_the_encoder_is():
    recorder = Recording(device="meta")
    found = embed(recorder, [torch.zeros(3), torch.zeros(4)], RATE)
    assert {batch.device.type for batch in recorder.batches} == {found.device.type} == {"meta"}


@pytest.mark.parametrize("given", [{"sample_rate": RATE}, {"layout": "channel sample"}])
def test_files_alone_take_no_rate_or_layout(encoder, tmp_path, given):
    soundfile.write(tmp_path / "a.wav", np.zeros(9), RATE)
    with pytest.raises(ValueError, match="files have a sample rate and channels of their own"):
        encoder.embed(tmp_path / "a.wav", **given)


def test_errors_name_the_recording(encoder):
    bad = torch.tensor([0.0, float("nan")])
    with pytest.raises(ValueError, match=r"^recordings\[1\] holds NaN"):
        encoder.embed([torch.zeros(2), bad], RATE)
    with pytest.raises(ValueError, match=r"^the recording holds NaN"):
        encoder.embed(bad, RATE)
    with pytest.raises(ValueError, match=r"sample_rate must be whole Hz"):
        encoder.embed(bad, 0)
    with pytest.raises(ValueError, match="can be read in several ways"):
        encoder.embed(uniform_noise(2, 4000), RATE)


def test_every_frozen_encoder_has_it(encoder):
    kinds = [FrozenEncoder, FusedEncoder, EnsembleEncoder, HearEncoder]
    assert all(kind.embed is FrozenEncoder.embed for kind in kinds)
    noise = uniform_noise(4000)
    fused = FusedEncoder(encoder, ["conv1", "output"])
    both = EnsembleEncoder([Member(encoder), Member(load_mean_power())], combine="concat")
    for each in (fused, both, load_mean_power()):
        assert_near(each.embed(noise, RATE), each.scene(noise[None])[0])


def test_clips_of_one_length_share_a_batch_whatever_lies_between():
    clips = dict(enumerate(map(torch.tensor, ([1.0, 2.0], [3.0], [4.0, 5.0], [6.0]))))
    batches = [(numbers, batch.tolist()) for numbers, batch in same_length_batches(clips)]
    assert batches == [([0, 2], [[1.0, 2.0], [4.0, 5.0]]), ([1, 3], [[3.0], [6.0]])]
