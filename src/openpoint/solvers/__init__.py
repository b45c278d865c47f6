"""Solvers behind one interface: HiGHS, Clarabel, SCIP, Gurobi, MOSEK."""
