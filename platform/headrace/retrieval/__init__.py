"""Retrieval: the sources of candidates, one a file."""
