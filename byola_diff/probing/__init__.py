"""What can be read off frozen embeddings: probes, nearest neighbours, and their metrics."""
