"""The catalogue: items and users, their contents, and the vectors made of these."""
