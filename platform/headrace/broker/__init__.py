"""The event log: topics, records, readers and writers on a Kafka broker."""
