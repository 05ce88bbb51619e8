import re

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.demo_report import demo_report
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder


@pytest.mark.slow
def test_demo_page():
    torch.manual_seed(0)
    encoder = AudioEncoder(LogMel(), Normalize(-5.0, 4.0), AudioNTT2020(dim=64))
    row = {"accuracy": 0.5, "cosine": 0.25, "recall@1": 0.125}
    steps = {"step": [1.0, 2.0], "loss/byol": [4.0, 3.0], "collapse/spread": [0.5, 0.6]}
    page = demo_report(
        {"untrained": row, "weight 0": row, "weight 0.5": {**row, "accuracy": 0.75}},
        {"weight 0": steps, "weight 0.5": {**steps, "loss/difference": [4.0, 3.0]}},
        {"seed": 3, "steps": 2, "clips": 10, "events": 200},
        encoder,
        {
            "data": {"unit_s": 0.5},
            "views": {"mixup_share": 0.2, "mixup_memory": 16, "fader_gain": 1.0},
        },
    )
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    assert page.count("<img") == 3
    assert '<td class="best">75.0%</td>' in page
    assert "chance 0.5%" in page
