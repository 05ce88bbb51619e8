"""Networks, their bundles on disk, and pairs of an online and a target network."""
