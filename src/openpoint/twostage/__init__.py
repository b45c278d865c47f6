"""The two-stage engine: programs, methods, logs. It knows numbers, never buses."""
