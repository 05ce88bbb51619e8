"""Linear evaluation: probes on embeddings, layers, fused layers and ensembles of any task."""
