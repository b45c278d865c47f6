"""A year in blocks in the terminal: why the run stopped, the energy lost, and the blocks with their open points."""

from __future__ import annotations

from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop, violated, violation_rows
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult
from openpoint.studies.reconfigure.year.view import energy, saving

SHOWN = 60
"""Blocks that are listed."""


def view(result: SeasonsResult) -> View:
    """Why the run stopped, the energy lost, and the blocks with their open points."""
    bound = f"bound {energy(result.energy_bound_mwh)}"
    lines = stop(result)
    if not result.has_answer:
        where = "" if result.infeasible_block is None else f" of block {words.safe(result.infeasible_block)}"
        lines.append(Line(f"No plan was found that keeps the limits in every step{where} ({bound})."))
        if result.least_violation_open:
            opened = words.names(result.least_violation_open)
            lines.append(Line(f"Least violation met in it with these branches open: {opened}"))
        return [*lines, *violation_rows(result.violations, "in", "step")]
    less = saving(result.energy_before_mwh, result.energy_mwh)
    lines.append(Line(f"\nEnergy lost {energy(result.energy_before_mwh)} → {energy(result.energy_mwh)}{less}", "bold"))
    most = "any number" if result.switchings_a_year is None else f"at most {result.switchings_a_year}"
    counted = "from today's state on" if result.from_today else "between the blocks"
    lines.append(Line(f"Switch operations {counted}: {result.operations} ({most}); an exchange of two branches is two"))
    lines.append(Rows(_blocks(result), right=(1, 2, 3), head=True))
    if len(result.states) > SHOWN:
        lines.append(Line(f"  and {len(result.states) - SHOWN} more; --json, --csv and --report list all"))
    lines.append(Line(f"Gap: {words.percent(result.gap)} % ({bound})"))
    steps = f"{words.count(result.steps_count, 'step')} by AC power flow"
    mismatch = f"largest mismatch {words.small(result.ac_max_mismatch_pu)} pu in {result.checked_steps} of them"
    check = f"All {steps}, {mismatch}, {violated(result.violations.height)}"
    return [*lines, Line(check), *violation_rows(result.violations, "in", "step")]


def _blocks(result: SeasonsResult) -> list[tuple[str, ...]]:
    """A row a block: its energies, and its open points where they change."""
    head = "block", "today MWh", "if kept MWh", "MWh", "close, then open"
    rows: list[tuple[str, ...]] = [head]
    for n, (row, state) in enumerate(zip(result.blocks.iter_rows(named=True), result.states)):
        if n == SHOWN:
            break
        moved = [
            f"{do} {words.names(some)}" for do, some in (("close", state.to_close), ("open", state.to_open)) if some
        ]
        text = f"open {words.names(state.open_branches)}" if n == 0 else ", ".join(moved) or "as before"
        kept = _figure(row["energy_staying_mwh"]) + ("*" if row["staying_broken"] else "")
        rows.append(
            (words.safe(state.block), _figure(row["energy_before_mwh"]), kept, _figure(row["energy_mwh"]), text)
        )
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"
