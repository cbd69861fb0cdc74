"""Access: how Kafka, Redis and HTTP are reached, and who is let in."""
