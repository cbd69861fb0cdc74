"""From content to vectors: encoders by name, and the networks they are made of."""
