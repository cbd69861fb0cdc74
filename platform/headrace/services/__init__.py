"""The servers that `headrace up` starts when none is configured: Redis and a Kafka-protocol broker.

    ports.py          free ports, and a clear word when a port is taken
    redis.py          an embedded Redis, and the check of a configured one
    kafka.py          an embedded broker, and the check of a configured one
    apache_kafka.py   how Apache Kafka is formatted and started with the machine's Java

Each server is a child of the process that starts it, and ends with it.
"""
