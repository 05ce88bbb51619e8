import pytest
import torch

from byola_diff.models.heads import mlp_head


@pytest.mark.parametrize(
    ("dim_in", "expected"),
    [(512, 3_158_272), (2048, 9_449_728), (3072, 13_644_032), (256, 2_109_696)],
)
def test_parameter_counts(dim_in, expected):
    # Projectors of 512, 2048 and 3072 dimensions, and the predictor.
    with torch.device("meta"):
        head = mlp_head(dim_in)
    assert sum(parameter.numel() for parameter in head.parameters()) == expected


def test_by_hand():
    head = mlp_head(1, 2, 1).eval()
    with torch.no_grad():
        head[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head[0].bias.zero_()
        head[3].weight.copy_(torch.tensor([[2.0, 3.0]]))
        head[3].bias.fill_(0.5)
    # Fresh batch statistics divide by sqrt(1 + 1e-5) only. 4 -> (4, 0) -> 8.5; -1 -> (0, 1) -> 3.5.
    out = head(torch.tensor([[4.0], [-1.0]]))
    torch.testing.assert_close(out, torch.tensor([[8.5], [3.5]]), rtol=0, atol=1e-4)


def test_normalises_inside_but_not_its_output():
    torch.manual_seed(0)
    head = mlp_head(4, 16, 8).train()
    inputs = torch.randn(32, 4)
    torch.testing.assert_close(head(inputs), head(7 * inputs), rtol=0, atol=1e-2)
    with torch.no_grad():
        head[3].bias.fill_(100.0)
    assert (head(inputs).mean() - 100).abs() < 5
