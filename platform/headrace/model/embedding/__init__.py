"""Dynamic embeddings: tables that grow with the ids they meet."""
