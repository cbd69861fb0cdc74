"""Encoders trained here: networks that begin with random weights, and how their inputs are read.

recipe.py     an encoder before it is trained: how a value is read, varied and put through a network
encoder.py    a trained one, as all encoders are
waveform.py   sounds as samples of one rate
log_mel.py    their log-mel spectrogram, plain and with its noise gated
recipes.py    all recipes by name
audio.py      the recipes for sounds: a convolutional network and a dense one
segments.py   a tokenizer for English and Chinese
text.py       the recipes for texts: LSTM, BiLSTM and Transformer
image.py      the recipe for pictures: a residual network
"""
