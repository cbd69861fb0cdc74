"""`headrace up`: every part on this machine, a log as traffic, and a view of what happens."""
