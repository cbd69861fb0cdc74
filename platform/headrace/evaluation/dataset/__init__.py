"""A dataset evaluated: its events through the stream's own code, by a learner or a version."""
