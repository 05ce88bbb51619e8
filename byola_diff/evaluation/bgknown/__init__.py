"""Background-known ESC-50: labels of events from differences of embeddings."""
