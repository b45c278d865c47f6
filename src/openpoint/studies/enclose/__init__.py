"""The power flow of today's state for every realisation of its loads and generation."""
