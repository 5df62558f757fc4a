"""The on-disk patch format: what an installed tree is, and how to get from one to the next."""
