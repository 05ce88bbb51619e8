"""Messages of Lightning that say nothing about the run."""

import logging
import warnings


def hide_lightning_noise() -> None:
    """Keep its warnings of real trouble; hide advertisements, notices and wrong advice.

    For the whole process and for good, so for entry points only.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of Lightning's own code, not of ours.
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated", category=FutureWarning)
    # Its successor, of torch 2.14, would copy the mixup memory of the first process to the others.
    warnings.filterwarnings("ignore", message=r".*broadcast_buffers.* is deprecated")
    # Clips made on the device need no workers, and few are enough for a packed store.
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
