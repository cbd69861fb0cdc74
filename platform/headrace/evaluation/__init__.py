"""`headrace evaluate`: how well the ranker predicts a log that it has never seen."""
