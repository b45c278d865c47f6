"""Physics and structure as constraints on CVXPY variables."""
