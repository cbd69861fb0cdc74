"""A user's own files, described by a small YAML file."""
