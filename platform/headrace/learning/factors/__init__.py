"""Item factors: a Bayesian matrix factorisation of outcome grades."""
