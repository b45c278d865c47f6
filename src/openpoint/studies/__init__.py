"""The studies: a folder each, and the catalogue of them."""
