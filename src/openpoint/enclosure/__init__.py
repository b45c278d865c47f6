"""Enclosures: bounds of exact AC power flow that hold for every realisation of a set of loads and generation.

Theory: docs/every_load.md. Everything here is dense linear algebra of numpy and sparse factors of scipy, without
compiled code of its own: products of matrices are nearly all of the time, and a new kernel would only cost compiling.
"""
