"""The index: the nearest of items' vectors by inner product, while items come, change and go.

sealed.py        vectors of one moment in faiss, exact or in cells
shared.py        such parts in files, of which processes map one copy
vector_index.py  the index: a sealed part, what came since beside it, and what is gone
"""
