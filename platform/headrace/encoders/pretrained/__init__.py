"""Pretrained encoders: each module here is one, called as its module is."""
