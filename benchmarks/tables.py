"""The figures as aligned text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .reconfiguration import Row

STOPPED = ("time", "interrupted", "iterations", "failed")


def speed(rows: Sequence[Row]) -> list[list[str]]:
    """A line a grid: ours, and how much more processor time SCIP takes (both use one core)."""
    table = [
        ["grid", "open", "gap", "iterations", "s", "CPU s", "compiling s", "SCIP gap", "SCIP s", "SCIP CPU s", "ratio"]
    ]
    for ours in (row for row in rows if row.method == "benders"):
        peer = next((row for row in rows if row.method == "scip" and row.grid == ours.grid), None)
        table.append(
            [
                ours.grid,
                f"{ours.open} of {ours.branches}",
                percent(ours.gap),
                str(ours.iterations),
                seconds(ours),
                f"{ours.cpu_seconds:.2f}",
                f"{ours.compile_seconds:.2f}",
                "" if peer is None else percent(peer.gap),
                "" if peer is None else seconds(peer),
                "" if peer is None else f"{peer.cpu_seconds:.2f}",
                "" if peer is None else ratio(ours, peer),
            ]
        )
    return table


def search(rows: Sequence[Row]) -> list[list[str]]:
    """A line a grid: topology search, and how many times longer Benders and SCIP took in the same run."""
    table = [["grid", "open", "loss kW", "bound kW", "gap", "nodes", "ms", "Benders s", "ratio", "SCIP s", "ratio"]]
    for ours in (row for row in rows if row.method == "search"):
        line = [
            ours.grid,
            f"{ours.open} of {ours.branches}",
            number(ours.loss_kw),
            number(ours.lower_bound_kw),
            percent(ours.gap),
            f"{ours.iterations:,}",
            f"{1000 * ours.seconds:.1f}",
        ]
        for name in ("benders", "scip"):
            peer = next((row for row in rows if row.method == name and row.grid == ours.grid), None)
            more = "" if peer is None or peer.termination not in STOPPED else "> "
            line += [
                "" if peer is None else f"{peer.cpu_seconds:.2f}",
                "" if peer is None else f"{more}{peer.cpu_seconds / ours.seconds:,.0f}",
            ]
        table.append(line)
    return table


def plain(rows: Sequence[Row]) -> list[list[str]]:
    """What the relaxation in the master is worth: the same grid with it and without."""
    table = [["grid", "master", "bound kW", "loss kW", "gap", "iterations", "s"]]
    for row in rows:
        if row.method == "plain":
            with_it = [other for other in rows if other.method == "benders" and other.grid == row.grid]
            for each, word in [*((other, "with relaxation") for other in with_it), (row, "plain")]:
                table.append(
                    [
                        each.grid,
                        word,
                        number(each.lower_bound_kw),
                        number(each.loss_kw),
                        percent(each.gap),
                        str(each.iterations),
                        seconds(each),
                    ]
                )
    return table


def answers(rows: Sequence[Row]) -> list[list[str]]:
    """What Benders found and proved."""
    table = [["grid", "before kW", "v_min", "after kW", "v_min", "bound kW", "gap", "open branches"]]
    for row in rows:
        if row.method == "benders":
            table.append(
                [
                    row.grid,
                    number(row.loss_before_kw),
                    number(row.v_min_before_pu, 5),
                    number(row.loss_kw),
                    number(row.v_min_pu, 5),
                    number(row.lower_bound_kw),
                    percent(row.gap),
                    " ".join(row.open_branches),
                ]
            )
    return table


def flows(record: dict[str, Any]) -> list[list[str]]:
    """Microseconds an exact AC power flow."""
    table = [["grid", "batch of", "loss only µs", "all results µs", "power-grid-model µs", "pandapower µs"]]
    for row in record["rows"]:
        times = [row[key] for key in ("loss_us", "flow_us", "power_grid_model_us")]
        table.append(
            [
                row["case"],
                f"{row['flows']} {row['batch']}",
                *(f"{value:.1f}" for value in times),
                f"{row['pandapower_us']:.0f}",
            ]
        )
    return table


def hardening(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A line a problem and method."""
    words = {"cuts": "cuts", "processes": "cuts, 2 processes", "copies": "copies", "highs": "HiGHS, one piece"}
    head = [
        "problem",
        "patterns",
        "method",
        "bound $",
        "cost $",
        "gap",
        "iterations",
        "s",
        "CPU s",
        "of it in workers",
        "s / s of cuts",
    ]
    table = [[*head, "ended by", "harden", "generators"]]
    for row in rows:
        cuts = next((other for other in rows if (other["problem"], other["method"]) == (row["problem"], "cuts")), None)
        tried = row["termination"] != "left out"
        table.append(
            [
                row["problem"],
                f"{row['patterns']:,}",
                words[row["method"]],
                number(row["lower_bound_usd"], 0),
                number(row["cost_usd"], 0),
                percent(row["gap"]),
                str(row["iterations"]) if tried else "–",
                f"{row['seconds']:.1f}" if tried else "–",
                f"{row['cpu_seconds']:.1f}" if tried else "–",
                f"{row.get('workers_cpu_seconds', 0.0):.1f}" if row["method"] == "processes" else "",
                f"{row['seconds'] / cuts['seconds']:.2f}" if tried and cuts and cuts is not row else "",
                row["termination"],
                " ".join(row["hardened"]),
                " ".join(row["built"]),
            ]
        )
    return table


def seconds(row: Row) -> str:
    """`12.3`; `> 120` where a limit stopped it first."""
    if row.termination == "failed":
        return f"failed after {row.seconds:.1f}"
    return f"> {row.seconds:.0f}" if row.termination in STOPPED else f"{row.seconds:.2f}"


def ratio(ours: Row, peer: Row) -> str:
    """Processor time of the peer over ours; a bound where one of them did not finish, nothing where neither did."""
    if ours.termination in STOPPED:
        return "" if peer.termination in STOPPED else f"< {peer.cpu_seconds / ours.cpu_seconds:.2f}"
    sign = "> " if peer.termination in STOPPED else ""
    return f"{sign}{peer.cpu_seconds / ours.cpu_seconds:.1f}"


def percent(value: float | None) -> str:
    """A gap in percent."""
    return "none" if value is None else f"{100 * value:.4f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Columns of one width, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        for line in table
    )


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    head, *body = table
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def sections(record: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Title and table of everything that was measured."""
    rows = [Row.from_dict(row) for row in record.get("reconfiguration", [])]
    found = [("Topology search, one core", search(rows))]
    found += [("Benders: answers", answers(rows)), ("Benders against SCIP", speed(rows))]
    found.append(("The relaxation in the master", plain(rows)))
    if record.get("powerflow"):
        found.append(("One exact AC power flow, in a batch, on one core", flows(record["powerflow"])))
    if record.get("hardening"):
        found.append(("Hardening against many disasters", hardening(record["hardening"]["rows"])))
    return [(title, table) for title, table in found if len(table) > 1]


def where(record: dict[str, Any]) -> str:
    """The machine in a sentence."""
    on = record["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in on["packages"].items() if version)
    return f"Measured on {on['processor']}, {on['cores']} cores, Python {on['python']}, {packages}."


def page(record: dict[str, Any]) -> str:
    """What stands between the two marks of a page."""
    parts = [f"### {title}\n\n{as_markdown(table)}" for title, table in sections(record)]
    return "\n\n".join([*parts, where(record)])


def put_into(text: str, record: dict[str, Any]) -> str:
    """A page with the tables of a record."""
    return between_marks(text, page(record))


def between_marks(text: str, content: str, of: str = "") -> str:
    """A page with the tables between their marks renewed; marks are added at the end where there are none."""
    name = f"generated tables{of and ': '}{of}"
    begin, end = f"<!-- begin of the {name} -->", f"<!-- end of the {name} -->"
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n".lstrip()
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"
