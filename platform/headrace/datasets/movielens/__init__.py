"""MovieLens-100K: the loader, and the same log as impressions to evaluate on."""
