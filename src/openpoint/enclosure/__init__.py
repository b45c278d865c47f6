"""Enclosures: bounds of exact AC power flow that hold for every realisation of a set of loads and generation.

Theory: docs/every_load.md. Two sweeps give those of a balanced radial grid whose loads all draw power; all others are
dense linear algebra of numpy and sparse factors of scipy, whose products of matrices are nearly all of their time.
"""
