"""Switching over several periods: a radial state for each, with few switch operations between them."""
