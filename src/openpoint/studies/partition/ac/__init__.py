"""The exact AC power flow of the islands of a plan."""
