"""Loaders: each turns one kind of log into typed events and a catalogue."""
