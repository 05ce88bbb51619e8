import numpy as np
import pytest

from byola_diff.evaluation.additivity.projection_figure import projection_figure

PNG = b"\x89PNG\r\n\x1a\n"


def test_projection_figure():
    pytest.importorskip("matplotlib")
    points, labels = np.arange(24.0).reshape(12, 2), [f"label {n % 11}" for n in range(12)]
    shown = sorted(set(labels))[:10]
    png = projection_figure(points, points + 1, labels, shown, (0.5, 0.2))
    assert png.startswith(PNG)
    assert len(png) > 5000
    with pytest.raises(ValueError, match="11 labels in one picture"):
        projection_figure(points, points, labels, sorted(set(labels)), (0.5, 0.2))
