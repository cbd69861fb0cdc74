"""API keys: issued once, kept hashed in Redis, and known to each process that checks them."""
