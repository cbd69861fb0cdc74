"""headrace: behaviour in, fresh features and a fresh ranker out, slates and ads served."""

__version__ = "0.1.0"
