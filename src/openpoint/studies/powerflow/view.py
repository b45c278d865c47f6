"""A power flow in the terminal."""

from __future__ import annotations

import polars as pl

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, violated, violations
from openpoint.results.violation import phase_words
from openpoint.studies.powerflow.result import PowerflowResult


def view(result: PowerflowResult) -> View:
    """The figures of a power flow."""
    figures = [
        ("loss", f"{words.kw(result.loss_kw)} kW"),
        ("lowest voltage", words.voltage(result.v_min_pu, result.v_min_bus) + phase_words(result.v_min_phase)),
        ("highest voltage", words.voltage(result.v_max_pu, result.v_max_bus) + phase_words(result.v_max_phase)),
        ("delivered", f"{words.kw(float(result.sources['p_kw'].sum()))} kW"),
        ("AC mismatch", f"{words.small(result.ac_max_mismatch_pu)} pu"),
    ]
    text = "{} does not hold {:g} pu at {}: {:.1f} kvar is a limit of it"
    not_holding = result.generators.filter(~pl.col("holds")).select("name", "bus", "q_kvar", "v_pu").iter_rows()
    return [
        Remarks(result.notes),
        Rows(figures),
        *(Line(text.format(words.safe(name), v, words.safe(bus), q), "yellow") for name, bus, q, v in not_holding),
        *violations("Limits violated", result.violations),
        Line(f"{violated(len(result.violations)).capitalize()}."),
    ]
