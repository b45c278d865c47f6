"""Whether a plan of microgrids holds in exact AC power flow for every load of its set."""
