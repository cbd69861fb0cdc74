"""Access: how Kafka, Redis and HTTP are reached, and who is let in.

redis.py    Redis clients that give up in time
kafka.py    how Kafka's clients encrypt, and who they say they are
http.py     who is let in over HTTP, from which sites, how often, by which connections
own_key.py  keys in Redis where another kind of value may lie
"""
