"""Published data sets: from the layout of their files to clips with labels and splits."""
