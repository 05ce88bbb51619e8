"""Training clips: their sources (`open.open_source`), their order and their crops."""
