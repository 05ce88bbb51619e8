"""Linear evaluation: probes on scenes, layers, fused layers and members of ensembles."""
