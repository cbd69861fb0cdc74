"""Encoding of items as they arrive: documents in, content vectors on a topic out.

locations.py  where pictures, sounds and films of documents lie
waiting.py    documents, and which of them wait to be encoded, on disk
messages.py   vectors on their topic, and what they change
followed.py   who follows it
"""
