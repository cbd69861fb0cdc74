"""Learning: losses, the online learner, and the guard over what it publishes."""
