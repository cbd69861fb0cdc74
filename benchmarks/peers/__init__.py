"""The models that FuseRank is compared with, in an environment of their own.

environment.py  makes it with pip, and runs a peer in it
inputs.py       what the ranker saw, as arrays and codes
trees.py        LightGBM, frozen and refitted daily
networks.py     FuxiCTR's DIN and DCNv2, frozen and progressive
steps.py        DIN with prepared batches, for its speed
"""
