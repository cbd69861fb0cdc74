"""The model registry: published versions."""
