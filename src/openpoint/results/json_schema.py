"""JSON Schema (draft 2020-12) of what openpoint writes, and of the tables of a grid.

`openpoint schema` prints them. `export` writes exactly these keys, in this order, and the tests hold every output to
them. What has no value is null: JSON knows neither infinity nor NaN.
"""

from __future__ import annotations

import dataframely as dy

from openpoint.errors import OptionError
from openpoint.grid.schemas import SCHEMAS
from openpoint.results.schema import (
    DIALECT,
    SWITCHED,
    Schema,
    flag,
    listing,
    maybe,
    names,
    number,
    record,
    text,
    value,
    whole,
)
from openpoint.scenarios.horizon import HORIZON_SCHEMAS
from openpoint.studies.harden.schema import HARDEN, HARDEN_TABLES
from openpoint.studies.partition.schema import LEVELS, PARTITION, PARTITION_TABLES, STEPS, STEPS_TABLES
from openpoint.studies.reconfigure.futures.schema import FUTURES, FUTURES_TABLES
from openpoint.twostage.log import Termination

_BROKEN = {
    "kind": value("string", "what is broken", enum=["voltage low", "voltage high", "current"]),
    "name": text("bus or branch"),
}
_BY_HOW_MUCH = {
    "value": number("what the AC power flow gives"),
    "limit": number("what is allowed"),
    "unit": value("string", "of value and limit", enum=["pu", "A"]),
}
PHASE = value("string", "1 in a balanced grid, else a, b or c", enum=["1", "a", "b", "c"])
VIOLATION = record({**_BROKEN, "phase": PHASE, **_BY_HOW_MUCH})

_RELAXED = {
    "kind": value("string", "what is relaxed", enum=["voltage low", "voltage high", "current"]),
    "name": maybe("string", "branch; null for a limit of voltage, which is relaxed alike at all buses"),
    "phase": maybe("string", "phase of the branch"),
    "percent": number("by how much of the limit"),
}
_SOFT = record(
    {
        "proven": flag("whether no radial state does with less"),
        "least_percent": number("proven: no radial state keeps all limits relaxed alike by less"),
        "relaxed": listing(record(_RELAXED), "the limits that had to give way; all others are kept"),
    }
) | {
    "type": ["object", "null"],
    "description": "how limits were relaxed where nothing keeps them all; null: not asked for, or kept",
}

BUS = {
    "name": text("name of the bus"),
    "vn_kv": number("nominal voltage, line to line, kV"),
    "v_min_pu": maybe("number", "lower voltage limit, pu"),
    "v_max_pu": maybe("number", "upper voltage limit, pu"),
}

BRANCH = {
    "kind": value("string", "table of the branch", enum=["lines", "switches", "transformers"]),
    "name": text("name of the branch"),
    "from_bus": text("bus at one end"),
    "to_bus": text("bus at the other end"),
    "switchable": flag("may be opened or closed by a decision"),
}


def _with_phase(columns: dict[str, Schema]) -> dict[str, Schema]:
    """The columns with the phase behind the name."""
    head = {key: columns[key] for key in list(columns)[: list(columns).index("name") + 1]}
    return {**head, "phase": PHASE, **columns}


def _both(name: str, unit: str, doc: str) -> dict[str, Schema]:
    """The columns of one quantity today and in the answer."""
    return {f"{name}_{when}_{unit}": maybe("number", f"{doc}, {word}") for when, word in _TIMES}


_TIMES = (("before", "today"), ("after", "in the answer"))

RECONFIGURE_TABLES: dict[str, dict[str, Schema]] = {
    "buses": {
        **_with_phase(BUS),
        **_both("v", "pu", "voltage to neutral, pu of the nominal phase voltage"),
        **_both("angle", "degree", "voltage angle, degree"),
    },
    "branches": {
        **_with_phase(BRANCH),
        "closed_before": flag("closed today"),
        "closed_after": maybe("boolean", "closed in the answer"),
        "i_max_a": maybe("number", "current limit, A"),
        **_both("i", "a", "current, A"),
        **_both("loading", "percent", "current in percent of the limit"),
        **_both("p_from", "kw", "active power into the branch at its from end, kW"),
        **_both("q_from", "kvar", "reactive power into the branch at its from end, kvar"),
        **_both("loss", "kw", "active power in at both ends, kW; add it up over the phases of a branch, which couple"),
    },
    "phases": {
        "phase": PHASE,
        **_both("v_min", "pu", "lowest voltage of the phase, pu"),
        **_both("v_max", "pu", "highest voltage of the phase, pu"),
    },
    "generators": {
        "name": text("name of the generator"),
        "bus": text("its bus"),
        "p_kw": maybe("number", "active power in the answer, kW"),
        "q_kvar": maybe("number", "reactive power in the answer, kvar"),
    },
    "iterations": {
        "number": whole("1, 2, …"),
        "seconds": number("since the start of the method"),
        "lower_bound_kw": maybe("number", "best proven so far, kW"),
        "upper_bound_kw": maybe("number", "best verified so far, kW"),
        "gap": maybe("number", "(upper − lower) / upper"),
        "value_kw": maybe("number", "exact objective of the topology tried, kW; null where it breaks limits"),
        "verdict": text("what was learnt"),
        "violation": maybe("number", "least violation of the topology tried; 0 where limits hold"),
        "mark": text("a warning where the numbers were bad, else empty"),
    },
}

RECONFIGURE: dict[str, Schema] = {
    "study": {"const": "reconfigure", "description": "what was asked"},
    "version": text("version of openpoint"),
    "grid": text("name of the grid"),
    "method": text("name and options of the method"),
    "termination": value("string", "why the run ended", enum=[t.value for t in Termination]),
    "remedy": text("what to do about it"),
    "seconds": number("of the method alone, without imports and reading"),
    "loss_before_kw": maybe("number", "exact AC loss today; null where today's state is not radial or has no solution"),
    "loss_kw": maybe("number", "exact AC loss of the answer; null where there is none"),
    "objective_kw": maybe("number", "loss plus the cost of the changes: what the bounds enclose"),
    "lower_bound_kw": maybe("number", "proven bound, of objective_kw or in the linear model of linear_kw"),
    "gap": maybe("number", "(objective − bound) / objective, of what the bound is of; 0.0001 is 0.01 %"),
    "bound_of": value("string", "what the bound holds for", enum=["AC power flow", "linear model"]),
    "linear_kw": maybe(
        "number", "least objective found in the linear model; null where the bound is of the AC power flow"
    ),
    "open_before": names("branches open today"),
    "open_branches": names("branches open in the answer"),
    "changes": listing(
        SWITCHED,
        "the switching list: what to close and then to open to get from today's state to the answer",
    ),
    "v_min_pu": maybe("number", "lowest voltage of the answer, pu"),
    "v_min_bus": maybe("string", "its bus"),
    "v_min_phase": maybe("string", "its phase"),
    "v_min_before_pu": maybe("number", "lowest voltage today, pu"),
    "v_min_before_bus": maybe("string", "its bus"),
    "v_min_before_phase": maybe("string", "its phase"),
    "ac_max_mismatch_pu": maybe("number", "largest power mismatch of the AC solution at any bus, pu"),
    "violations": listing(VIOLATION, "limits that the AC solution of the answer breaks"),
    "least_violation": listing(VIOLATION, "where infeasible: limits that break at the least violation met"),
    "least_violation_open": names("where infeasible: the branches open at the least violation met"),
    "soft_limits": _SOFT,
    "notes": names("warnings that belong to the answer"),
}


POWERFLOW_TABLES: dict[str, dict[str, Schema]] = {
    "buses": {
        **_with_phase(BUS),
        "v_pu": maybe("number", "voltage to neutral, pu of the nominal phase voltage"),
        "angle_degree": maybe("number", "voltage angle, degree"),
    },
    "branches": {
        **_with_phase(BRANCH),
        "closed": flag("closed today"),
        "i_max_a": maybe("number", "current limit, A"),
        "i_a": maybe(
            "number",
            "current, A; of several phases: of a line its larger end, of a transformer its to end",
        ),
        "loading_percent": maybe("number", "current in percent of the limit"),
        "p_from_kw": maybe("number", "active power into the branch at its from end, kW"),
        "q_from_kvar": maybe("number", "reactive power into the branch at its from end, kvar"),
        "loss_kw": maybe(
            "number", "active power in at both ends, kW; add it up over the phases of a branch, which couple"
        ),
    },
    "sources": {
        "name": text("name of the source"),
        "bus": text("its bus"),
        "p_kw": number("active power delivered by all phases, kW"),
        "q_kvar": number("reactive power delivered by all phases, kvar"),
    },
    "generators": {
        "name": text("name of the generator"),
        "bus": text("its bus"),
        "p_kw": number("active power, kW"),
        "q_kvar": number("reactive power, kvar"),
        "v_pu": maybe("number", "voltage to be held, pu; null: none"),
        "holds": maybe("boolean", "whether it is held; else a limit of reactive power came first"),
    },
}

POWERFLOW: dict[str, Schema] = {
    "study": {"const": "powerflow", "description": "what was asked"},
    "version": text("version of openpoint"),
    "grid": text("name of the grid"),
    "loss_kw": number("active power lost in all branches, kW"),
    "v_min_pu": number("lowest voltage, pu"),
    "v_min_bus": text("its bus"),
    "v_min_phase": PHASE | {"description": "its phase"},
    "v_max_pu": number("highest voltage, pu"),
    "v_max_bus": text("its bus"),
    "v_max_phase": PHASE | {"description": "its phase"},
    "ac_max_mismatch_pu": number("largest power mismatch at any bus and phase, pu"),
    "violations": listing(VIOLATION, "limits that the state breaks"),
    "notes": names("what changes the meaning of the figures"),
}


def _table_doc(kind: str) -> str:
    return f"one object a row of the table of {kind}"


def result_schema() -> Schema:
    """Schema of the JSON that `openpoint reconfigure --json` writes."""
    return _root("result", "Result of openpoint reconfigure", _study(RECONFIGURE, RECONFIGURE_TABLES))


def powerflow_schema() -> Schema:
    """Schema of the JSON that `openpoint powerflow --json` writes."""
    return _root("powerflow", "Result of openpoint powerflow", _study(POWERFLOW, POWERFLOW_TABLES))


def harden_schema() -> Schema:
    """Schema of the JSON that `openpoint harden --json` writes."""
    return _root("harden", "Result of openpoint harden", _study(HARDEN, HARDEN_TABLES))


def futures_schema() -> Schema:
    """Schema of the JSON that `openpoint reconfigure --json` writes where futures are given."""
    tables = {**FUTURES_TABLES, "iterations": RECONFIGURE_TABLES["iterations"]}
    return _root("futures", "Result of openpoint reconfigure for many futures", _study(FUTURES, tables))


def partition_schema() -> Schema:
    """Schema of the JSON that `openpoint partition --json` writes."""
    return _root("partition", "Result of openpoint partition", _study(PARTITION, PARTITION_TABLES))


def partition_levels_schema() -> Schema:
    """Schema of the JSON that `openpoint partition --json` writes where several levels of uncertainty are given."""
    return _root("partition-levels", "Results of openpoint partition at several levels", record(LEVELS))


def partition_steps_schema() -> Schema:
    """Schema of the JSON that `openpoint partition --json` writes where steps are given."""
    return _root("partition-steps", "Result of openpoint partition over time", _study(STEPS, STEPS_TABLES))


def horizon_schema() -> Schema:
    """Schema of the tables of a horizon as JSON objects: what `Horizon.from_tables` accepts."""
    tables = {kind: listing(_rows(shape), (shape.__doc__ or kind).strip()) for kind, shape in HORIZON_SCHEMAS.items()}
    return _root("horizon", "Tables of a horizon", record(tables) | {"required": ["steps"]})


def _study(summary: dict[str, Schema], tables: dict[str, dict[str, Schema]]) -> Schema:
    return record({**summary, **{kind: listing(record(columns), _table_doc(kind)) for kind, columns in tables.items()}})


def grid_schema() -> Schema:
    """Schema of the tables of a grid as JSON objects: what `Grid.from_tables` accepts.

    The files of openpoint's own folder format hold the same columns, and are derived from the same source.
    """
    tables = {kind: listing(_rows(schema), (schema.__doc__ or kind).strip()) for kind, schema in SCHEMAS.items()}
    shape = record(tables) | {"required": ["buses", "sources"]}
    return _root("grid", "Tables of a grid", shape)


def _root(name: str, title: str, shape: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:openpoint:schema:{name}", "title": title, **shape}


def _rows(schema: type[dy.Schema]) -> Schema:
    columns = schema.columns()
    shape = record({name: _column(column) for name, column in columns.items()})
    return shape | {"required": [name for name, column in columns.items() if "default" not in (column.metadata or {})]}


def _column(column: dy.Column) -> Schema:
    metadata = column.metadata or {}
    unit = f", {metadata['unit']}" if metadata["unit"] else ""
    shape: Schema = {"description": f"{metadata['doc']}{unit}"}
    if "default" in metadata:
        shape["default"] = metadata["default"]
    if isinstance(column, dy.List):
        numbers = {"type": "array", "items": {"type": "number"}}
        return shape | {"anyOf": [numbers, {"type": "number"}]}
    kind = next(word for type_, word in _JSON_TYPES if isinstance(column, type_))
    return shape | {"type": [kind, "null"] if column.nullable else kind}


_JSON_TYPES: tuple[tuple[type[dy.Column], str], ...] = (
    (dy.Bool, "boolean"),
    (dy.Int64, "integer"),
    (dy.Float64, "number"),
    (dy.String, "string"),
)

PUBLISHED = {
    "result": result_schema,
    "futures": futures_schema,
    "powerflow": powerflow_schema,
    "harden": harden_schema,
    "partition": partition_schema,
    "partition-levels": partition_levels_schema,
    "partition-steps": partition_steps_schema,
    "horizon": horizon_schema,
    "grid": grid_schema,
}


def published(name: str) -> Schema:
    """The schema of that name.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in PUBLISHED:
        raise OptionError(f"no schema is called {name!r}; there are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]()
