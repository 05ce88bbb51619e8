"""Tables on disk: manifests of clips, pairs of clips, and how their rows are read and checked."""
