"""Exact AC power flow: the verification behind every number that openpoint shows."""
