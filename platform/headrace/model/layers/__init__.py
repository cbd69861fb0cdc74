"""Layers: the parts of the ranker's network."""
