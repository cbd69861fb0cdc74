"""Pretrained encoders: each module here is one, called as its module is.

text_minilm.py         English text
text_e5.py             text in a hundred languages
image_efficientnet.py  pictures
given_vector.py        vectors that the catalogue brings along
"""
