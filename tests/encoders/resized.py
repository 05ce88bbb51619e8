"""Resizing of ensembles, written anew."""

import numpy as np


def resized_in_numpy(values, size):
    """Linear interpolation of the last axis between centres of cells, edges held."""
    places = (np.arange(size) + 0.5) * values.shape[-1] / size - 0.5
    return np.apply_along_axis(
        lambda row: np.interp(places, np.arange(len(row)), row), -1, values
    ).astype("float32")
