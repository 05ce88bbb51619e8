"""A split of our own for data without a published one: no speaker or tone on two sides of it."""

from collections.abc import Mapping

from byola_diff.randomness import derive_seed


def split_groups(sizes: Mapping[str, int], weights: Mapping[str, int], seed: int) -> dict[str, str]:
    """Split of each group, so that the sizes in the splits are near the ratio of the weights.

    The largest groups come first, in an order drawn by the seed among equals; each goes where most
    is lacking. If all sizes are 1 and the weights sum to their number, the splits are exact. The
    result does not depend on the order of `sizes`.
    """
    total, n_weights = sum(sizes.values()), sum(weights.values())
    filled = dict.fromkeys(weights, 0)
    chosen = {}
    for group in sorted(sizes, key=lambda g: (-sizes[g], derive_seed(seed, "group split", g))):
        # In whole numbers, as ties decided by rounding would differ between machines.
        lacking = {split: weights[split] * total - n_weights * filled[split] for split in weights}
        chosen[group] = max(lacking, key=lambda split: lacking[split])
        filled[chosen[group]] += sizes[group]
    return chosen
