"""Inference: the ranker's forward for one request, in numpy and as few large products.

    affine.py      affine maps, several of one input as one product
    user.py        one user's side
    candidates.py  the candidates' logits
    request.py     both, for a request against items that are computed already

Weights are put together once per version; nothing here learns. `Ranker` says what is computed, and
`tests/model/test_inference.py` holds this to it.
"""
