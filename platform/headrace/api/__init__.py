"""The API: requests and answers, and where a client on this machine finds it."""
