"""OpenDSS circuits: read by the engine in a process of its own, and written."""
