import pytest
import torch

from byola_diff.audio.waveform import checked_waveform


def test_samples_by_channels_are_told():
    with pytest.raises(ValueError, match=r"looks like \[sample, channel\].*mean\(1\)\[None\]"):
        checked_waveform(torch.zeros(16_000, 2))
    assert checked_waveform(torch.zeros(64, 1)).shape == (64, 1)  # short clips, one sample each
