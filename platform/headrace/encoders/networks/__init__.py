"""Networks, tokenizers and file formats that the encoders are made of."""
