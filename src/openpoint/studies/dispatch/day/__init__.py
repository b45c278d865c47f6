"""Dispatch of a day ahead: topology and resources for many periods, against the worst of a budgeted set."""
