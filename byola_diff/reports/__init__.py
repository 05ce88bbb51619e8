"""Pages of score records: tables beside those of the papers, figures, players, spectrograms."""
