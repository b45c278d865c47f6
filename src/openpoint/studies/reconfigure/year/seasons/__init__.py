"""Reconfigure for a year in blocks: one topology in each, and few switch operations between them."""
