"""How many processes load clips, and into how many parts shards are divided: what "auto" means."""

from byola_diff.config import PretrainConfig
from byola_diff.cores import usable_cores
from byola_diff.devices import count_devices, use_gpu

_MOST = 4
_FEW_CORES = 2
"""At most so many cores: where these train too, loader processes would only take them away."""


def count_loaders(config: PretrainConfig) -> int:
    """Loader processes of each process that trains, on this machine.

    "auto" is 4, 2 or 1, no more than the process has cores, or none where it trains on one or two
    of these. But at least one for procedural sounds: with none, the device would make them, not to
    the same bits. Other clips do not depend on it.
    """
    data = config.data
    if data.num_workers != "auto":
        return data.num_workers
    n_cores = usable_cores() // count_devices(config)
    kinds = {part.source for part in data.sources} or {data.source}
    if n_cores <= _FEW_CORES and not use_gpu(config) and "procedural" not in kinds:
        return 0
    # Divisors of the 4 parts of shards, so that each belongs to one loader process.
    return next((n for n in (_MOST, 2) if n <= n_cores), 1)


def count_lanes(config: PretrainConfig) -> int:
    """Parts that shards are divided into for the run, on which clips and their order depend.

    Those of all loader processes; with "auto", of 4 for each process that trains, whatever the
    machine: so a run gives the same clips, and can be resumed, on another.
    """
    number = config.data.num_workers
    each = _MOST if number == "auto" else max(number, 1)
    return each * count_devices(config) * config.training.nodes
