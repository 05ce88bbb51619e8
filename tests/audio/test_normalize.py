import math

import numpy as np
import pytest
import torch

from byola_diff.audio.normalize import Normalize, corpus_statistics, normalize_views
from tests.helpers import normal_noise


def batch(*values):
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_normalize_by_hand():
    out = Normalize(2.0, 4.0)(batch(2.0, 6.0, -2.0))
    assert out.flatten().tolist() == [0.0, 1.0, -1.0]


def test_statistics_travel_in_the_state_dict():
    state = Normalize(-5.5, 4.25).state_dict()
    other = Normalize(0.0, 1.0)
    other.load_state_dict(state)
    assert (other.mean.item(), other.std.item()) == (-5.5, 4.25)
    assert list(other.parameters()) == []


@pytest.mark.parametrize(
    ("mean", "std"),
    [(0.0, 0.0), (0.0, -1.0), (math.nan, 1.0), (0.0, math.nan), (math.inf, 1.0), (0.0, math.inf)],
)
def test_normalize_refuses(mean, std):
    with pytest.raises(ValueError, match="finite with std > 0"):
        Normalize(mean, std)


def test_statistics_by_hand():
    # Mean 3; squared deviations 4 + 1 + 1 + 4 over 4 values.
    assert corpus_statistics([batch(1.0, 2.0), batch(4.0, 5.0)]) == pytest.approx(
        (3.0, math.sqrt(2.5))
    )


def test_merged_batches_equal_numpy_over_all_values():
    generator = torch.Generator().manual_seed(0)
    # Uneven batches far from zero, where a sum of squares in float32 would lose all digits.
    log_mels = [
        1e4 + index + torch.randn(size, 1, 8, 11, generator=generator)
        for index, size in enumerate([1, 7, 3, 64])
    ]
    values = np.concatenate([log_mel.double().numpy().ravel() for log_mel in log_mels])
    mean, std = corpus_statistics(iter(log_mels))
    assert mean == pytest.approx(values.mean(), abs=1e-8)
    assert std == pytest.approx(values.std(), abs=1e-8)


def test_order_and_size_of_batches_do_not_matter():
    log_mel = normal_noise(12, 1, 4, 5)
    whole = corpus_statistics([log_mel])
    assert corpus_statistics(log_mel.flip(0).split(5)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("log_mels", [[], [batch(2.0, 2.0), batch(2.0)]])
def test_statistics_refuse_equal_values(log_mels):
    with pytest.raises(ValueError, match="equal values"):
        corpus_statistics(log_mels)


def test_views_by_hand():
    # 0, 2, 4, 6: mean 3, unbiased variance (9 + 1 + 1 + 9) / 3.
    first, second = normalize_views(batch(0.0, 2.0), batch(4.0, 6.0))[:2]
    std = math.sqrt(20 / 3)
    torch.testing.assert_close(first.flatten(), torch.tensor([-3.0, -1.0]) / std)
    torch.testing.assert_close(second.flatten(), torch.tensor([1.0, 3.0]) / std)


def test_views_keep_their_offset_to_each_other():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(8, 1, 4, 6, generator=generator)
    out = normalize_views(first, first + 2)[:2]
    torch.testing.assert_close(torch.cat(out).mean(), torch.tensor(0.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cat(out).std(), torch.tensor(1.0), rtol=0, atol=1e-6)
    assert (out[1] - out[0]).std() < 1e-5
    assert (out[1] - out[0]).mean() > 1


def test_views_of_silence_are_finite():
    silence = torch.full((2, 1, 4, 6), -15.94)
    for view in normalize_views(silence, silence)[:2]:
        assert view.isfinite().all()
