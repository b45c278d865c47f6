"""Certificates checked against a grid, its tables and a question."""
