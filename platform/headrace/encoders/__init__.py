"""From content to vectors: each module here is one encoder, called as its module is."""
