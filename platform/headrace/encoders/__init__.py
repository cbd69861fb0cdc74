"""From content to vectors: encoders by name, and the networks they are made of.

encoder.py   what an encoder is
registry.py  the encoders by name
picture.py   pictures as squares of one size
"""
