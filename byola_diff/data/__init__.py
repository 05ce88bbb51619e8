"""Tables of clips, packed stores, and sources of training batches."""
