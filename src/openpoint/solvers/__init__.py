"""Solvers of one standard form: HiGHS, Clarabel, SCIP."""
