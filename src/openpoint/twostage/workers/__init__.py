"""Where subproblems are solved: in this process, in others, on a cluster."""
