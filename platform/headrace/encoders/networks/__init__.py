"""Networks, tokenizers and file formats that the encoders are made of.

bert.py          a text network
wordpiece.py     a tokenizer
unigram.py       another
efficientnet.py  an image network
safetensors.py   a format of weights
e5_file.py       another, with four bits a weight
"""
