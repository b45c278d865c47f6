"""A plan in exact AC power flow: every island a circuit of OpenDSS around its grid-forming generator.

A grid-forming generator holds the voltage and delivers what its island needs; all others deliver their set-points,
each phase by itself. What the grid-forming ones deliver in each phase follows from the equations of the network, which
share nothing with OpenDSS and check it at all other terminals. Of one that lies between phases they tell no more than
what it delivers in all: by how much that differs from its set-point is spread evenly.

Behind a delta no neutral is: a generator there feeds in between phases, with the currents that the linear model has of
it, and voltages count from where they have no zero sequence.

What the generators of a plan do once the loads are known: the cheapest recourse of the linear model.

Of several dispatches that are as cheap, as many are where all generators cost the same, the one is taken that leaves
the grid-forming generators most room within their limits and ramps, by the share of their range in the worst phase:
they take up what the linear model does not see, such as losses. Once an AC flow has shown how much that is, the
recourse may be asked again with this difference as power that they must deliver beside; then the others follow, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
import scipy.stats

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.islands import by_phase
from openpoint.formulations.lindist3flow_equations import closed_deltas, floating_terminals
from openpoint.grid.grid import Grid
from openpoint.network.limits import LIMIT_TOLERANCE, rated_amperes
from openpoint.powerflow.check_phases import balances
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.results import ac_tables as states
from openpoint.results.columns import empty, frame
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import load_blocks
from openpoint.studies.partition.schema import FAILURES, SAMPLES
from openpoint.twostage.log import Termination
from openpoint.twostage.recourse.compile import condensed, template_of
from openpoint.twostage.recourse.evaluation import VIOLATION_MIN
from openpoint.twostage.workers.pool import never

TOLERANCE_PU = 2.0 * VIOLATION_MIN
"""Excess of a limit of the linear model, per unit of a phase, that the plan itself tolerates."""
ROOM_USD = 1e-3
"""What the room of the grid-forming generators is worth, so that a dispatch is at most so much above the cheapest."""


def leading(program: PartitionProgram, decision: Floats) -> Ints:
    """Numbers among `may_form` of the generator that forms the grid of each island; of several the largest.

    In AC flow it holds the voltage and the others deliver their set-points: two stiff sources would exchange power.
    """
    closed, _, forming, _, _ = program.parted(decision)
    units, chosen = program.generators, np.flatnonzero(forming > 0.5)
    island = program.blocks.islands(closed > 0.5)[units.block[units.may_form[chosen]]]
    size = np.array([units.p_capacity[units.of_part == g].sum() for g in units.may_form[chosen]])
    order = np.lexsort((-size, island))
    return np.sort(chosen[order][np.unique(island[order], return_index=True)[1]])


class Follower:
    """The recourse of one plan, realisation after realisation; compiled once.

    Attributes:
        led: (H) parts of the grid-forming generators, one an island.
    """

    def __init__(self, program: PartitionProgram, decision: Floats) -> None:
        """Compile.

        Args:
            program: a program of one step. decision: of it, its integers whole.
        """
        _, _, _, p, q = program.parted(decision)
        net, units = program.network, program.generators
        self.led = np.flatnonzero(np.isin(units.of_part, units.may_form[leading(program, decision)]))
        led = np.concatenate([self.led, len(p) + self.led])
        most, at = np.concatenate(program.ramps)[led], np.concatenate([p, q])[led]
        lower = np.maximum(-most, np.concatenate([net.p_min, net.q_min])[led] - at)
        upper = np.minimum(most, np.concatenate([net.p_max, net.q_max])[led] - at)

        template = template_of(program, len(decision))
        assert template.dispatch is not None
        ends = program.deviations
        self._small = small = condensed(template, decision, *ends, template.dispatch)
        m, h, z = len(ends[0]), len(led), len(small.cost)
        # Columns: realisation, what grid-forming generators deliver beside, free variables, room.
        none, half = np.zeros((len(small.by_u), h)), 0.5 * (upper - lower)[:, None]
        limits = np.hstack([small.by_u, none, small.by_z, np.zeros((len(none), 1))])
        output = np.hstack([small.wanted_by_u[led], np.eye(h), small.wanted_by_z[led]])
        free = np.hstack([np.zeros((z + 1, m + h)), np.eye(z + 1)])
        self._form = _inequalities(
            np.vstack([limits, np.hstack([output, half]), np.hstack([output, -half]), free]),
            np.concatenate([small.lower, np.full(h, -np.inf), lower - small.wanted[led], small.z_lower, [0.0]]),
            np.concatenate([small.upper, upper - small.wanted[led], np.full(h, np.inf), small.z_upper, [1.0]]),
            np.concatenate([np.zeros(m + h), small.cost, [-ROOM_USD]]),
        )
        self._coupled, self._z = np.arange(m + h), np.arange(m + h, m + h + z)
        self.restart()

    def restart(self) -> None:
        """Forget what was asked before, so that answers do not depend on it."""
        self._model = HighsModel(self._form)

    def changes(self, realisation: Floats, beside: Floats) -> Floats | None:
        """(2 P) change of active and reactive power, per unit; None where the limits cannot be kept.

        Args:
            realisation: (M). beside: (2 H) power that the grid-forming generators deliver and the model does not see.
        """
        self._model.fix(self._coupled, np.concatenate([realisation, beside]))
        answer = self._model.solve(integral=False, presolve=False)
        if answer.status is not Status.OPTIMAL or answer.x is None:
            return None
        small = self._small
        return np.asarray(small.wanted + small.wanted_by_u @ realisation + small.wanted_by_z @ answer.x[self._z])


def _inequalities(rows: Floats, lower: Floats, upper: Floats, cost: Floats) -> StandardForm:
    """min costᵀx with lower ≤ rows · x ≤ upper, up to what is tolerated."""
    low, high = np.isfinite(lower), np.isfinite(upper)
    a = np.vstack([-rows[low], rows[high]])
    b = np.concatenate([-lower[low], upper[high]]) + TOLERANCE_PU
    nothing = np.empty(0, dtype=np.int64)
    return StandardForm(cost, 0.0, sp.csc_array(a), b, 0, len(b), (), nothing, {})


class PlanLimit(NamedTuple):
    """A limit that a flow is held against.

    Attributes:
        kind: `voltage low`, `voltage high`, `current`; of a grid-forming generator `active power`, `reactive power`,
            `ramp of active power`, `ramp of reactive power`.
        element: bus, branch or generator. phase: of it. unit: of value and side.
        side: the limit. sign: 1 if it is the most, −1 if the least. tolerance: excess that is rounding.
    """

    kind: str
    element: str
    phase: str
    unit: str
    side: float
    sign: float
    tolerance: float


@dataclass(frozen=True)
class PlanFlows:
    """K flows of a plan.

    Attributes:
        converged: (K). excess: (K, L) by how much each limit is missed, negative where it is kept; inf without a flow.
        beside: (K, 2 H) active and reactive power of the parts of the grid-forming generators beyond their
            set-points, per unit.
        mismatch: (K) of the equations of the network, per unit of a phase, and between what they and OpenDSS say that
            the grid-forming generators deliver; nan without a flow.
        v: (K, served terminals) magnitudes of voltages, per unit. loss_kw: (K) of all branches.
    """

    converged: Bools
    excess: Floats
    beside: Floats
    mismatch: Floats
    v: Floats
    loss_kw: Floats


class PlanCircuit:
    """One plan, compiled once.

    Attributes:
        limits: L limits that flows are held against. parts: (H) parts of generators that form a grid.
    """

    def __init__(self, grid: Grid, program: PartitionProgram, decision: Floats) -> None:
        """Compile.

        Args:
            grid: the grid. program: a program of one step. decision: of it, its integers whole.
        """
        closed, energised, _, p, q = program.parted(decision)
        net, block_graph, units = program.as_it_is or program.network, program.blocks, program.generators
        self._net, self._base_kw = net, net.terminal_base_kw
        forms = leading(program, decision)
        self._set, lead = np.concatenate([p, q]), units.may_form[forms]
        led = np.flatnonzero(np.isin(units.of_part, lead))
        self._led, self._led_at = np.concatenate([led, len(p) + led]), net.generator_terminal[led]
        self.parts, self._between = led, net.generator_return[led] >= 0
        self._of_unit = (units.of_part[led][:, None] == lead[None, :]).astype(np.float64)
        self._forming = dict(zip((units.names[g] for g in lead), np.sqrt(program.steps[0].held_w[forms]).tolist()))
        self._state = net.closed[np.unique(net.conductor_branch, return_index=True)[1]].copy()
        self._state[block_graph.switches] = closed > 0.5
        on = self._state[net.conductor_branch] & (energised > 0.5)[block_graph.of_terminal][net.terminal_fr]
        self._floating = floating_terminals(net, closed_deltas(net, self._led_at, on), on)
        self._grid, self._feeds = by_phase(grid, net, self._forming, self._floating)
        self._circuit = OpenDssCircuit(self._grid, closed=self._state, forming=self._forming)
        # The circuit still has the lost substation, where a de-energised block may hang on it.
        served = (energised > 0.5)[load_blocks(grid, net, block_graph)]
        self._load_kva = np.where(served, grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy(), 0.0)
        names = grid.loads["name"].to_list()
        self._uncertain = np.array([names.index(name) for name in program.loads.names], dtype=np.int64)
        self._served = np.flatnonzero((energised > 0.5)[block_graph.of_terminal])
        self._terminals = np.setdiff1d(self._served, self._led_at)
        self._conductors = np.flatnonzero(on & np.isfinite(net.l_max))
        found = list(self._all_limits(program))
        self._column, self.limits = np.array([k for k, _ in found], dtype=np.int64), tuple(limit for _, limit in found)
        self._sign, self._side = (np.array(each) for each in zip(*((x.sign, x.side) for x in self.limits), strict=True))

    def restart(self) -> None:
        """Forget what was asked before, so that answers do not depend on it."""
        self._circuit.restart()

    def flows(self, realisations: Floats, changes: Floats) -> PlanFlows:
        """Flows.

        Args:
            realisations: (K, M). changes: (K, 2 P) of active and reactive power, per unit.
        """
        loads = np.tile(self._load_kva, (len(realisations), 1))
        if len(self._uncertain):
            loads[:, self._uncertain] *= 1.0 + realisations
        set_points = self._set + changes
        p, q = np.split(set_points, 2, axis=1)
        table, set_kva = self._grid.generators, (p + 1j * q) * self._base_kw
        made = np.tile(table["p_kw"].to_numpy() + 1j * table["q_kvar"].to_numpy(), (len(loads), 1))
        moved = np.diff(self._feeds.indptr) > 0
        made[:, moved] = (self._feeds[moved] @ set_kva.T).T
        flows = self._circuit.solve(loads_kva=loads, generators_kva=made)
        balance = balances(
            self._grid,
            self._circuit.network,
            flows.v,
            closed=self._state,
            energised=flows.energised,
            forming=self._forming,
            loads_kva=loads,
            generators_kva=made,
        )
        delivered = balance.missing[:, self._led_at]
        by_engine = flows.source_kva[:, self._grid.sources.height :] / self._base_kw
        apart = np.abs(delivered @ self._of_unit - by_engine).max(axis=1, initial=0.0)
        beside = delivered - (p + 1j * q)[:, self.parts]
        beside = np.where(self._between, beside @ self._of_unit @ self._of_unit.T / 3.0, beside)
        output = set_points[:, self._led] + np.hstack([beside.real, beside.imag])
        v = np.abs(self._to_neutral(flows.v))
        i = rated_amperes(self._net, flows.i_fr_a, flows.i_to_a)[:, self._conductors]
        measured = np.hstack([v[:, self._terminals], i, output * self._base_kw])
        excess = self._sign * (measured[:, self._column] - self._side)
        excess[~flows.converged] = np.inf
        mismatch = np.maximum(balance.mismatch, apart)
        return PlanFlows(
            flows.converged, excess, output - set_points[:, self._led], mismatch, v[:, self._served], flows.loss_kw
        )

    def _to_neutral(self, v: Complexes) -> Complexes:
        """(K, N) voltages, without zero sequence where the neutral floats."""
        bus, floats = self._net.terminal_bus, self._floating.astype(np.float64)
        mean = sp.csr_array((floats, (bus, np.arange(len(bus)))), shape=(int(bus.max()) + 1, len(bus)))
        zero = np.asarray(mean @ v.T)[bus].T / np.maximum(np.bincount(bus, weights=floats), 1.0)[bus]
        return np.asarray(v - zero * floats)

    def _all_limits(self, program: PartitionProgram) -> Iterator[tuple[int, PlanLimit]]:
        """Every limit with the number of the value that it is about: voltages, currents, output in turn."""
        net, base = self._net, self._base_kw
        low, high = (np.sqrt(w) for w in program.steps[0].voltages)
        rating = states.current_limits(net)
        number = 0
        for t in self._terminals:
            bus, phase = net.bus_names[net.terminal_bus[t]], net.terminal_phase[t]
            for kind, side, sign in (("voltage low", low[t], -1.0), ("voltage high", high[t], 1.0)):
                yield number, PlanLimit(kind, bus, phase, "pu", side, sign, LIMIT_TOLERANCE * side)
            number += 1
        for e in self._conductors:
            branch, phase = net.branch_names[net.conductor_branch[e]], net.conductor_phase[e]
            yield number, PlanLimit("current", branch, phase, "A", rating[e], 1.0, LIMIT_TOLERANCE * rating[e])
            number += 1
        units = program.generators
        most, least = np.concatenate([net.p_max, net.q_max]), np.concatenate([net.p_min, net.q_min])
        ramp, size = np.concatenate(program.ramps), np.concatenate([units.p_capacity, units.q_capacity])
        for k in self._led:
            part = k % len(units.of_part)
            name, phase = net.generator_names[part], net.terminal_phase[net.generator_terminal[part]]
            what, unit = ("active power", "kW") if part == k else ("reactive power", "kvar")
            for kind, ends in (
                (what, (least[k], most[k])),
                (f"ramp of {what}", (self._set[k] - ramp[k], self._set[k] + ramp[k])),
            ):
                for sign, side in zip((-1.0, 1.0), ends, strict=True):
                    tolerance = LIMIT_TOLERANCE * size[k] * base
                    yield number, PlanLimit(kind, name, phase, unit, side * base, sign, tolerance)
            number += 1


ROUNDS = 4
"""AC flows after which generators no longer follow what is left: each leaves a few per cent of it."""


@dataclass(frozen=True)
class Broken:
    """Limits that break in AC, L of them: in how many samples, and the largest excess."""

    samples: Ints
    worst: Floats

    @staticmethod
    def of(excess: Floats, tolerance: Floats) -> Broken:
        """Of samples (K, L) that have a flow."""
        found = excess > tolerance
        return Broken(found.sum(axis=0), np.where(found, excess, 0.0).max(axis=0, initial=0.0))

    def and_more(self, other: Broken) -> Broken:
        """Of both."""
        return Broken(self.samples + other.samples, np.maximum(self.worst, other.worst))


@dataclass(frozen=True)
class SampleEvaluations:
    """The evaluations of K samples of a plan.

    Attributes:
        linear: (K) whether generators can follow in the linear model.
        alone: (K) whether AC keeps the limits where the grid-forming generators make up for all that the linear model
            does not see. shared: (K) where the others help, as far as a new dispatch in the linear model lets them.
        unsolved: samples whose AC flow has no solution.
        broken_alone, broken_shared: limits that break in either case.
        mismatch: largest mismatch of the AC flows by the equations of the network, per unit.
        limits: L.
    """

    linear: Bools
    alone: Bools
    shared: Bools
    unsolved: int
    broken_alone: Broken
    broken_shared: Broken
    mismatch: float
    limits: tuple[PlanLimit, ...]

    @staticmethod
    def nothing(count: int) -> SampleEvaluations:
        """Of a plan without limits, in so many samples."""
        every, broken = np.ones(count, dtype=np.bool_), Broken(np.zeros(0, dtype=np.int64), np.zeros(0))
        return SampleEvaluations(every, every, every, 0, broken, broken, 0.0, ())

    def and_more(self, other: SampleEvaluations) -> SampleEvaluations:
        """Of both."""
        if not len(self.linear):
            return other
        return SampleEvaluations(
            linear=np.concatenate([self.linear, other.linear]),
            alone=np.concatenate([self.alone, other.alone]),
            shared=np.concatenate([self.shared, other.shared]),
            unsolved=self.unsolved + other.unsolved,
            broken_alone=self.broken_alone.and_more(other.broken_alone),
            broken_shared=self.broken_shared.and_more(other.broken_shared),
            mismatch=max(self.mismatch, other.mismatch),
            limits=self.limits,
        )


@dataclass(frozen=True)
class EvaluatePlan:
    """A plan as work for other processes: realisations (K, M) in, verdicts out.

    Attributes:
        grid: the grid. program: a program of one step. decision: of it, its integers whole; something is energised.
    """

    grid: Grid
    program: PartitionProgram
    decision: Floats

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[Floats], SampleEvaluations]:
        """Compile."""
        follower = Follower(self.program, self.decision)
        circuit = PlanCircuit(self.grid, self.program, self.decision)
        return lambda realisations: evaluate_plan(follower, circuit, realisations)


def evaluate_plan(follower: Follower, circuit: PlanCircuit, realisations: Floats) -> SampleEvaluations:
    """The verdict on samples (K, M); it depends on nothing that was asked before."""
    follower.restart()
    circuit.restart()
    count, tolerance = len(realisations), np.array([limit.tolerance for limit in circuit.limits])
    linear, alone, shared = (np.zeros(count, dtype=np.bool_) for _ in range(3))
    excess: tuple[Floats, Floats] = tuple(np.full((count, len(tolerance)), -np.inf) for _ in range(2))  # type: ignore[assignment]
    beside, left, mismatch = np.zeros((count, 2 * len(follower.led))), np.arange(count), 0.0
    for number in range(ROUNDS):
        changes = [follower.changes(realisations[k], beside[k]) for k in left]
        able = np.array([change is not None for change in changes], dtype=np.bool_)
        left = left[able]
        if not len(left):
            break
        flows = circuit.flows(realisations[left], np.array([change for change in changes if change is not None]))
        kept = np.all(flows.excess <= tolerance, axis=1)
        if number == 0:
            linear[left], alone[left], excess[0][left] = True, kept, flows.excess
        shared[left], excess[1][left], beside[left] = kept, flows.excess, flows.beside
        mismatch = max(mismatch, float(np.nanmax(flows.mismatch, initial=0.0)))
        left = left[~kept & flows.converged]
    unsolved = np.isposinf(excess[1]).any(axis=1)
    alone_broken, shared_broken = (Broken.of(each[~np.isposinf(each).any(axis=1)], tolerance) for each in excess)
    return SampleEvaluations(
        linear, alone, shared, int(unsolved.sum()), alone_broken, shared_broken, mismatch, circuit.limits
    )


CONFIDENCE = 0.95
"""Of the intervals of shares."""


@dataclass(frozen=True)
class Share:
    """A part of the samples.

    Attributes:
        count: samples of it. of: all.
    """

    count: int
    of: int

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 of none."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the exact 95 % confidence interval (Clopper and Pearson, Biometrika 26, 1934)."""
        if not self.of:
            return 0.0, 1.0
        ends = scipy.stats.binomtest(self.count, self.of).proportion_ci(CONFIDENCE, "exact")
        return float(ends.low), float(ends.high)


@dataclass(frozen=True)
class PlanSamples:
    """The results of samples for one plan.

    Attributes:
        served_kw: nominal load of the energised blocks. energised_blocks: their number.
        linear: samples in which generators can follow the loads in the linear model.
        ac: samples in which exact AC power flow keeps all limits; what the linear model does not see, such as losses,
            is shared by all generators as the linear model lets them.
        ac_alone: the same where the grid-forming generators make up for it alone.
        unsolved: samples whose AC power flow has no solution.
        failures: limits that break in AC: shared (whether all generators help), kind, element, phase, samples,
            worst_excess, unit; the most frequent first.
        max_mismatch_pu: largest mismatch of all AC flows by the equations of the network, per unit of the grid's base
            of power for a phase.
    """

    served_kw: float
    energised_blocks: int
    linear: Share
    ac: Share
    ac_alone: Share
    unsolved: int
    failures: pl.DataFrame
    max_mismatch_pu: float

    @property
    def commonest(self) -> str:
        """The limit that breaks most often where all generators help, or else where they do not, for people."""
        for shared in (True, False):
            if self.failures.filter(shared=shared).height:
                row = self.failures.filter(shared=shared).row(0, named=True)
                return (
                    f"{row['kind']} at {row['element']}, phase {row['phase']}: {row['samples']} times, "
                    f"by {row['worst_excess']:.3g} {row['unit']} at most"
                )
        return f"no solution in {self.unsolved} samples" if self.unsolved else "none"


@dataclass(frozen=True)
class PartitionSamples:
    """The answer of `sample_partition`.

    Attributes:
        asked, judged: samples asked for, and those that were evaluated before the time limit or Ctrl-C, if one came.
        seed: of the samples.
        planned: of the plan asked about. nominal: of the plan made for nominal loads, in the same samples; None
            where it was not wanted or not found.
        seconds: of evaluation.
        stopped: why not all were evaluated; None where they were.
    """

    asked: int
    judged: int
    seed: int
    planned: PlanSamples
    nominal: PlanSamples | None
    seconds: float
    stopped: Termination | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the time limit or Ctrl-C came before all samples were evaluated."""
        return self.judged < self.asked

    @property
    def by_plan(self) -> dict[str, PlanSamples]:
        """What is known by plan, `planned` and `nominal`."""
        return {"planned": self.planned} | ({} if self.nominal is None else {"nominal": self.nominal})


def samples_table(samples: PartitionSamples | None) -> pl.DataFrame:
    """A row a plan: plan, seed, asked, judged, served_kw, energised_blocks, linear_share, linear_low, linear_high,
    ac_share, ac_low, ac_high, ac_alone_share, ac_alone_low, ac_alone_high, unsolved, max_mismatch_pu."""
    rows = []
    for name, each in samples.by_plan.items() if samples else ():
        assert samples is not None
        judged = [x for share in (each.linear, each.ac, each.ac_alone) for x in (share.share, *share.interval)]
        drawn = samples.seed, samples.asked, samples.judged
        rows.append((name, *drawn, each.served_kw, each.energised_blocks, *judged, each.unsolved, each.max_mismatch_pu))
    return frame(SAMPLES, rows)


def failures_table(samples: PartitionSamples | None) -> pl.DataFrame:
    """The limits that break in AC, see `PlanSamples.failures`, with the plan in front."""
    frames = [
        each.failures.select(pl.lit(name).alias("plan"), pl.all())
        for name, each in (samples.by_plan if samples else {}).items()
    ]
    return pl.concat(frames) if frames else empty(FAILURES)
