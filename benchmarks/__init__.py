"""Speed of openpoint next to other solvers, measured in the same run: `python -m benchmarks --help`."""
