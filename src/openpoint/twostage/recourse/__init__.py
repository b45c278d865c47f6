"""The recourse: compiled, solved, evaluated, embedded into the master problem."""
