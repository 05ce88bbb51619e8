import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.demo.pictures import pictures, progress
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder

PNG = b"\x89PNG"
TRAINING = {
    "data": {"unit_s": 0.5},
    "views": {"mixup_share": 0.2, "mixup_memory": 16, "fader_gain": 1.0},
}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return AudioEncoder(LogMel(), Normalize(-5.0, 4.0), AudioNTT2020(dim=64))


def test_pictures_of_views_and_of_a_mixture(encoder):
    pytest.importorskip("matplotlib")
    first, second = pictures(encoder, TRAINING, 3)
    assert first.png.startswith(PNG)
    assert second.png.startswith(PNG)
    assert first.caption.startswith("Augmentations.")
    assert "here 0.45" in second.caption
    assert [one.png for one in pictures(encoder, TRAINING, 3)] == [first.png, second.png]
    assert pictures(encoder, TRAINING, 4)[0].png != first.png


def test_progress_of_a_log():
    pytest.importorskip("matplotlib")
    log = {"step": [1.0, 2.0], "loss/byol": [4.0, 3.0], "collapse/spread": [0.5, None]}
    assert progress(log).png.startswith(PNG)
