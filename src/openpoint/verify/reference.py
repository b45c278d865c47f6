"""The reference checker of certificates: one file of plain Python on whole numbers, which shares no code with anything.

    python reference.py PROBLEM CERTIFICATE        exit code 0: accepted, 5: refused, 2: not readable

PROBLEM is the table that `openpoint verify GRID CERTIFICATE --export PROBLEM` writes of a grid and a question: compare
it with your grid. Accepted is what is claimed of PROBLEM alone: *no radial state of this grid that keeps these limits
and locks is worth less than `bound`, and the state with the branches `open` is worth `value`* (for one part in 10^8).
Nothing that the certificate says of grid or question is used. docs/formats.md describes both files.

A certificate is a tree whose nodes decide branches; lower bounds close the nodes. A number here is an integer times
2^-BITS. All rounding makes bounds less, by 2^-BITS each time: `down` and `up` after a product, `under` and `over` for
quotients. So nothing that is accepted rests on floating point.
"""
# fmt: off

from __future__ import annotations

import gzip
import itertools
import json
import math
import sys
import zlib
from fractions import Fraction
from math import isqrt
from types import SimpleNamespace

BITS = 160
ONE = 1 << BITS
TOLERANCE = ONE // 10**8  # of values and limits of states by power flow, relative
LITTLE = ONE >> 64  # more than what a power flow is wrong by
OPEN, CLOSED, FREE = 0, 1, 2
MOST_BYTES = 1 << 29  # of a file, unpacked
HALF, MOST = 1 << 61, (1 << 62) + 1  # whole numbers are less, in absolute value

class Refused(Exception):
    """The certificate does not prove what is asked."""

def need(holds, why):
    if not holds:
        raise Refused(why)

# 1. Numbers and files -------------------------------------------------------------------------------------------------

def down(a): return a >> BITS
def up(a): return -(-a >> BITS)
def under(a, b): return (a << BITS) // b
def over(a, b): return -((-a << BITS) // b)
def root(a, more=0): return isqrt(a << BITS) + more  # rounded downwards, or upwards with more = 1

def whole(value, low, high):
    """A whole number from low to below high; a truth value is none."""
    need(type(value) is int and low <= value < high, f"{value!r:.40} is no whole number from {low} to {high - 1}")
    return value

def fixed(value, side=None):
    """A finite number of a file, which must be exact here; or is rounded down (-1) or up (1)."""
    finite = (type(value) is float and abs(value) < math.inf) or (type(value) is int and abs(value) < MOST - 1)
    need(finite, f"{value!r:.40} is no number")
    above, below = value.as_integer_ratio()
    need(side is not None or ONE % below == 0, f"{value!r} is finer than 2^-{BITS}")
    return -(-above * ONE // below) if side == 1 else above * ONE // below

def listed(value, count=None):
    need(type(value) is list and count in (None, len(value)), f"{value!r:.40} is no list of {count or 'its'} parts")
    return value

def different(value, count):
    """Numbers from 0 to below a count, none of them twice."""
    found = {whole(k, 0, count): None for k in listed(value)}
    need(len(found) == len(value), "a number is given twice")
    return list(found)

def parsed(text):
    """JSON without NaN, infinity, or a key given twice."""
    def once(pairs):
        need(len(dict(pairs)) == len(pairs), "a key is given twice")
        return dict(pairs)

    def never(word):
        raise Refused(f"{word} is no number")
    return json.loads(text, object_pairs_hook=once, parse_constant=never)

def lines_of(text):
    """The lines of a certificate, unpacked."""
    need(len(text) <= MOST_BYTES and text[-1:] == b"\n", "the file is too large, or ends within a line")
    return map(parsed, text[:-1].split(b"\n"))

def words(lines):
    """The next line: a word, and what comes after it."""
    word, *rest = listed(next(lines, "the end of the file"))
    need(type(word) is str, "a line does not begin with a word")
    return word, rest

def multipliers(given, count, bits, least=1 - MOST, most=MOST):
    """Lists of so many numbers, which are given times 2^bits."""
    less = BITS - whole(bits, 0, 41)
    return [[min(max(whole(v, 1 - MOST, MOST) << less, least), most) for v in listed(row, count)] for row in given]

class Multipliers:
    """y and μ of the last line, times 2^bits; those of the next line are given as differences."""

    def __init__(self, count):
        self.count, self.bits, self.rows = count, 0, [[0] * count] * 2

    def line(self, given):
        """Go on to a line of [bits, roots, φ, near, y, μ]: its y and μ, roots, φ and near."""
        bits, tops, *pairs, y, mu = listed(given, 6)
        found = [different(tops, self.count)]
        for least, some in zip((1 - MOST, 1), pairs):
            some = [listed(pair, 2) for pair in listed(some)]
            found.append({whole(bus, 0, self.count): whole(value, least, MOST) for bus, value in some})
            need(len(found[-1]) == len(some), "a bus is given twice")
        more = max(whole(bits, 0, 41) - self.bits, 0), max(self.bits - bits, 0)
        self.rows = [[min(max(a << more[0] >> more[1], -HALF), HALF) + whole(b, 1 - MOST, MOST)
                      for a, b in zip(row, listed(steps, self.count))] for row, steps in zip(self.rows, (y, mu))]
        self.bits = bits
        return [[a << BITS - bits for a in row] for row in self.rows], found

# 2. The problem -------------------------------------------------------------------------------------------------------

def table(given, columns):
    """The rows of a table as objects; other columns are for the reader."""
    rows = [SimpleNamespace(**dict(zip(given["columns"], listed(row, len(given["columns"]))))) for row in given["rows"]]
    need(set(columns.split()) <= set(given["columns"]), f"a table lacks one of the columns {columns}")
    return rows

class Problem:
    """The grid and the question; `grid`, in fixed-point numbers, has n buses and m branches.

    By branch: fr, to, r, x, tap (at its from bus), g, b (half of its shunt), g_fr, b_fr, g_to, b_to (what stays while
    it is open), l_max (greatest squared series current l, 0: any), rated_fr, rated_to, price (of closing it), current
    (price of l), fresh (open today). By bus: p, q of constant power, p_v, q_v of current, p_w, q_w of impedance; worth:
    cost of w. boxes: of generators, then of sources with limits: (bus, ends of p, of q, s, price, square, idle); None
    is no limit."""

    def __init__(self, text):
        self.given = given = parsed(text)
        need(type(given) is dict and given.get("format") == "openpoint problem 1", "this is no problem")
        self.buses = table(given["buses"], "name p q p_v q_v p_w q_w w_min w_max")
        columns = "name from to r x g b tap l_max g_fr b_fr g_to b_to rated_fr rated_to switchable closed lock"
        self.branches = table(given["branches"], columns)
        self.sources = table(given["sources"], "bus v_re v_im price p_min p_max q_min q_max s_max")
        self.generators = table(given["generators"], "name bus p_min p_max q_min q_max s_max price square idle")
        self.devices = table(given["devices"], "name kind at today values")
        self.many = bool(given["futures"] or given["year"])
        self.loss, self.move = fixed(given["loss"]), fixed(given["move"])
        self.number = {bus.name: k for k, bus in enumerate(self.buses)}
        self.at, names = [self.number[s.bus] for s in self.sources], [e.name for e in self.branches]
        need(len(self.number) == len(self.buses) and len(set(names)) == len(names), "a name is given twice")
        need(len(set(self.at)) == len(self.at) > 0, "there is no source, or two at one bus")
        g = self.grid = SimpleNamespace(n=len(self.buses), m=len(names), sources=set(self.at))
        g.fr, g.to = ([self.number[vars(e)[end]] for e in self.branches] for end in ("from", "to"))
        for rows, columns in ((self.buses, "p q p_v q_v p_w q_w w_min"),
                              (self.branches, "r x tap g b g_fr b_fr g_to b_to current rated_fr rated_to")):
            for name in columns.split():
                setattr(g, name, [fixed(vars(row)[name]) for row in rows])
        g.w_max, self.l_max = ([None if v is None else fixed(v) for v in some] for some in (
            [bus.w_max for bus in self.buses], [e.l_max for e in self.branches]))
        g.g, g.b = [v // 2 for v in g.g], [v // 2 for v in g.b]
        limits = [*g.rated_fr, *g.rated_to, *(v for v in self.l_max if v is not None)]
        need(min(g.tap, default=1) > 0 <= min(limits, default=0), "a ratio or limit is negative")
        self.closed, words = [e.closed is True for e in self.branches], {None: FREE, "open": OPEN, "closed": CLOSED}
        self.lock = [words[e.lock] for e in self.branches]
        need(all(e.switchable is True or lock == e.closed for e, lock in zip(self.branches, self.lock)),
             "a branch that cannot be switched is not locked as it is")
        self.first = [OPEN if a == b else s for a, b, s in zip(g.fr, g.to, self.lock)]
        self.cost, most = fixed(given["change_cost"]), given["max_changes"]
        self.most = None if most is None else whole(most, 0, 1 << 62)
        self.unavoidable = sum(self.closed) - g.n + len(self.at)
        g.most = g.m if most is None else (most - self.unavoidable) // 2
        g.price, g.fresh = [0 if c else 2 * self.cost for c in self.closed], [not c for c in self.closed]
        g.worth = [0] * g.n
        self._supply()

    def _supply(self):
        g, ends = self.grid, ("p_min", "p_max", "q_min", "q_max", "s_max")
        self.price = [fixed(s.price) for s in self.sources]
        self.held = [(fixed(s.v_re), fixed(s.v_im)) for s in self.sources]
        for d in self.devices:
            d.values = [fixed(v) for v in d.values]
            whole(d.today, 0, len(d.values))
        self.units, self.boxes = {d.at for d in self.devices if d.kind == "unit"}, []
        for of in (*self.generators, *self.sources):
            of.box = [None if vars(of)[end] is None else fixed(vars(of)[end]) for end in ends]
        self.limited = {bus for bus, s in zip(self.at, self.sources) if any(v is not None for v in s.box)}
        count = bool(self.limited or any(self.price))
        for k, of in enumerate(self.generators):  # ranged: whether its output matters, and is to be chosen
            of.node, of.prices, box = self.number[of.bus], [fixed(of.price), fixed(of.square), fixed(of.idle)], of.box
            need(box[0] <= box[1] and box[2] <= box[3] and of.prices[1] >= 0, f"{of.name} has no output")
            alone = box[4] is not None or any(of.prices) or k in self.units
            of.ranged = (box[0] < box[1] or box[2] < box[3]) and (of.node not in g.sources or alone or count)
            self.boxes.append((of.node, box[:2], box[2:4], box[4], *of.prices))
        self.boxes += [(bus, s.box[:2], s.box[2:4], s.box[4], price, 0, 0)
                       for bus, s, price in zip(self.at, self.sources, self.price) if bus in self.limited]
        rates = [*self.price, self.move, *g.current, *(v for of in self.generators for v in of.prices)]
        self.by_loss = self.loss == ONE and not any(rates)
        need(min(self.cost, self.move) >= 0, "a price of a change or move is negative")
        self.squares = {bus: [side(re * re + im * im) for side in (down, up)]
                        for bus, (re, im) in zip(self.at, self.held)}
        for d in self.devices:
            if d.kind == "source":
                self.squares[self.at[d.at]] = [down(min(d.values) ** 2), up(max(d.values) ** 2)]

    def series_limits(self):
        """By branch no state that keeps the limits has a greater l; 0: any. Limited is the rated current, the greater
        of rated_fr |i_fr| and rated_to |i_to|: with A and B the most that i may be at both ends, behind the ratio, √l
        is at most min(A + |y/2| u, B + |y/2| v, (A + B) / |2 + y z / 2|), u and v the greatest voltages there."""
        g, found, taps = self.grid, [], {d.at: d.values for d in self.devices if d.kind == "tap"}
        high = [self.squares[bus][1] if bus in self.squares else w for bus, w in enumerate(g.w_max)]
        for e, limit in enumerate(self.l_max):
            tap, most = [*taps.get(e, []), g.tap[e]], root(limit or 0, 1)
            half = root(up(g.g[e] ** 2 + g.b[e] ** 2), 1) if g.g[e] or g.b[e] else 0
            a, b = (over(up(t * most), rated) if rated else None
                    for t, rated in ((max(tap), g.rated_fr[e]), (ONE, g.rated_to[e])))
            u, v = (0 if not half else None if high[bus] is None else up(half * root(high[bus], 1))
                    for bus in (g.fr[e], g.to[e]))
            z = down(g.g[e] * g.r[e] - g.b[e] * g.x[e]), down(g.g[e] * g.x[e] + g.b[e] * g.r[e])
            middle = isqrt((2 * ONE + z[0]) ** 2 + z[1] ** 2) - 3
            ways = [None if a is None or u is None else a + over(u, min(tap)),
                    None if b is None or v is None else b + v,
                    over(a + b, middle) if half and None not in (a, b) and middle > 0 else None]
            least = min((way for way in ways if way is not None and limit is not None), default=None)
            found.append(0 if least is None else up(up(least * least) * (ONE + ONE // 10**12)))
        return found

# 3. Graph: what follows from radiality --------------------------------------------------------------------------------

def around(g, edges):
    """By bus its branches among `edges` with their other ends."""
    ends = [[] for _ in range(g.n)]
    for e in edges:
        ends[g.fr[e]].append((e, g.to[e]))
        ends[g.to[e]].append((e, g.fr[e]))
    return ends

def leader_of(of, node):
    """The leader of the set that a node is in, by sets as trees."""
    while of[node] != node:
        of[node] = node = of[of[node]]
    return node

def reached(g, edges):
    """The buses that branches join to the sources, which count as one: [(bus, bus above, branch)] from above, and by
    bus the top bus of its part without bridges. A branch beside the tree makes what is between its ends one part."""
    ends, first = around(g, edges), min(g.sources)
    above, depth, order = dict.fromkeys(g.sources, (first, -1)), dict.fromkeys(g.sources, 0), sorted(g.sources)
    top = dict.fromkeys(g.sources, first)
    for bus in order:
        for e, other in ends[bus]:
            if other not in above:
                above[other], depth[other], top[other] = (bus, e), depth[bus] + 1, other
                order.append(other)
    used = {e for _, e in above.values()}
    for e in edges:
        if e not in used and g.fr[e] in above:
            a, b = leader_of(top, g.fr[e]), leader_of(top, g.to[e])
            while a != b:
                a, b = (a, b) if depth[a] > depth[b] else (b, a)
                top[a] = above[a][0]
                a = leader_of(top, a)
    return [(bus, *above[bus]) for bus in order], {bus: leader_of(top, bus) for bus in order}

def consequences(g, status):
    """Open what closes a loop or is a change too many, close bridges, until nothing changes; False: no state is left.
    A radial state closes as many branches as there are buses without source, `most` of those open today at most."""
    while True:
        before, of = list(status), [min(g.sources) if bus in g.sources else bus for bus in range(g.n)]
        closings = sum(s == CLOSED and f for s, f in zip(status, g.fresh))
        for e in range(g.m):
            if status[e] == CLOSED:
                a, b = leader_of(of, g.fr[e]), leader_of(of, g.to[e])
                if a == b:
                    return False
                of[a] = b
        for e in range(g.m):
            loop = leader_of(of, g.fr[e]) == leader_of(of, g.to[e])
            if status[e] == FREE and (loop or (g.fresh[e] and closings >= g.most)):
                status[e] = OPEN
        spare = g.most - (g.n - len(g.sources)) + sum(s != OPEN and not f for s, f in zip(status, g.fresh))
        order, top = reached(g, [e for e in range(g.m) if status[e] != OPEN])
        if closings > g.most or spare < 0 or len(order) < g.n:
            return False
        must = {e for bus, above, e in order if e >= 0 and top[bus] != top[above]}
        must |= {e for e in range(g.m) if spare == 0 and not g.fresh[e] and status[e] == FREE}
        for e in must:
            status[e] = CLOSED
        if status == before:
            return True

def directed(g, status, tops=(), y=None):
    """(bus, bus above, branch) of the trees of closed branches, from above; -1, -1 at roots. The root of a tree without
    a source is its bus in `tops`, else that of least y."""
    ends, order, seen = around(g, [e for e in range(g.m) if status[e] == CLOSED]), [], set()
    for first in [*sorted(g.sources), *sorted(tops), *sorted(range(g.n), key=(y or [0] * g.n).__getitem__)]:
        at = len(order)
        order += [(first, -1, -1)] if first not in seen else []
        seen.add(first)
        for bus, _, _ in itertools.islice(order, at, None):
            for e, other in ends[bus]:
                if other not in seen:
                    seen.add(other)
                    order.append((other, bus, e))
    return order

def heaviest(g, edges, weight, join=lambda a, b: a + b, nothing=0):
    """By bus no less than the weight of any path from a source: on bridges what they have, in a part without bridges
    that of its heaviest forest, and of the heaviest branch at a source there, of which a path has one."""
    order, top = reached(g, edges)
    inside, total, of, first = dict.fromkeys(top.values(), nothing), {}, list(range(g.n)), None
    for e in sorted(edges, key=lambda e: -weight[e]):
        i, j = g.fr[e], g.to[e]
        if i not in top or top[i] != top[j]:
            continue
        if {i, j} & g.sources:
            first = weight[e] if first is None else first
        elif leader_of(of, i) != leader_of(of, j):
            of[leader_of(of, i)], inside[top[i]] = leader_of(of, j), join(inside[top[i]], weight[e])
    if first is not None:
        inside[top[min(g.sources)]] = join(inside[top[min(g.sources)]], first)
    for bus, above, e in order:
        if top[bus] == bus:
            total[bus] = inside[bus] if e < 0 else join(join(total[top[above]], weight[e]), inside[bus])
    return [total[top[bus]] if bus in top else nothing for bus in range(g.n)]

# 4. Ranges of voltages ------------------------------------------------------------------------------------------------

def only_lossy(g, usable):
    return min([0, *g.g_fr, *g.g_to, *(part[e] for e in usable for part in (g.r, g.x, g.g))]) == 0

def fed(g, usable, charging, most):
    """By branch no less than 2 (x a - r p) is fed in beyond it where no w exceeds `most`; see `caps`."""
    order, top = reached(g, usable)
    ends, drawn, given = around(g, range(g.m)), [0] * g.n, [0] * g.n
    for j in set(range(g.n)) - g.sources:
        here = {e for e, _ in ends[j]}
        near = max((charging.get(e, 0) for e in here), default=0)
        near += sum(max(0, b) for e in here for b, at in ((g.b_fr[e], g.fr[e]), (g.b_to[e], g.to[e])) if at == j)
        half = (ONE + most + 1) // 2
        drawn[j] = g.p[j] + down(half * min(0, g.p_v[j])) + down(most * min(0, g.p_w[j]))
        given[j] = up(most * (near - min(0, g.q_w[j]))) - g.q[j] - down(half * min(0, g.q_v[j]))
    total, beyond = {}, {}
    for j, part in top.items():
        total[part] = [a + b for a, b in zip(total.get(part, (0, 0)), (drawn[j], given[j]))]
    for j, above, e in reversed(order):
        if e >= 0 and top[j] == j:
            beyond[e] = p, a = total[j]
            total[top[above]] = [total[top[above]][0] + p, total[top[above]][1] + a]
            if above not in g.sources:
                drawn[above], given[above] = drawn[above] + p, given[above] + a
    active, reactive, found = {}, {}, [0] * g.m
    for j, part in top.items():
        active[part] = active.get(part, 0) + max(0, -drawn[j])
        for k in range(5):  # a rate 0, 1/4, 1/2, 1 or 2 below r / x
            more = max(0, given[j] - (max(0, drawn[j]) * (0, 1, 2, 4, 8)[k] >> 2))
            reactive[part, k] = reactive.get((part, k), 0) + more
    for e in usable:
        if e in beyond:
            found[e] = up(2 * max(0, g.x[e] * beyond[e][1] - g.r[e] * beyond[e][0]))
        elif g.fr[e] in top:
            k = max(k for k in range(5) if 4 * g.r[e] >= (0, 1, 2, 4, 8)[k] * g.x[e])
            found[e] = up(2 * (g.x[e] * reactive[top[g.fr[e]], k] + g.r[e] * active[top[g.fr[e]]]))
    return found

def caps(g, usable, lost, held, moving):
    """By bus no state with a loss of at most `lost` (None: any) has a higher w = |v|²; None: unknown.

    Along a branch w rises by -2 (r p + x q) at most, p and q what buses beyond draw. Of closed branches beyond, one
    ends at each bus there: let a_j be what bus j feeds in of q with the charging of one branch, ρ <= r / x; the rise is
    at most 2 Σ (x a_j - r p_j) <= 2 x Σ max(0, a_j - ρ max(0, p_j)) + 2 r Σ max(0, -p_j) over all buses that may be
    beyond: those of the part without bridges, each with what hangs at it by bridges. A part of it grows with w. By
    Cauchy and Schwarz, along a path w rises by no more than √lost √(W Σ 4 |z|² / r), W the greatest w. Ratios multiply
    w by no more than their product along a path, at a source in the direction away from it unless they are `moving`.
    `held`: greatest w of a source."""
    if not only_lossy(g, usable):
        return [None] * g.n
    ratio = [up(t * t) if t > ONE else over(ONE << BITS, t * t) for t in g.tap]
    first, one = [], list(ratio)
    for e in usable:
        at_fr, at_to = g.fr[e] in g.sources, g.to[e] in g.sources
        away = over(ONE << BITS, g.tap[e] ** 2) if at_fr else up(g.tap[e] ** 2)
        if at_fr or at_to:
            one[e], first = ONE, [*first, ratio[e] if moving or at_fr == at_to else away]
    beyond, begin = max(heaviest(g, usable, one, lambda a, b: up(a * b), ONE)), max(first, default=0)
    gain, source = up(beyond * max(begin, ONE)), up(up(beyond * begin) * held)
    p, q, p_v, q_v, p_w, q_w = (sum(max(0, -drawn) for bus, drawn in enumerate(part) if bus not in g.sources)
                                for part in (g.p, g.q, g.p_v, g.q_v, g.p_w, g.q_w))
    charging = {e: max(0, up(2 * g.b[e] * ratio[e])) for e in usable}
    q_w += sum(max(0, a + b, charging.get(e, 0)) for e, (a, b) in enumerate(zip(g.b_fr, g.b_to)))
    cube = up(up(up(gain * gain) * gain) * (lost or 0))
    weights = zip(*((up(gain * up(r * (2 * p + p_v) + x * (2 * q + q_v))),
                     up(gain * up(r * (2 * p_w + p_v) + x * (2 * q_w + q_v))),
                     over(up(4 * cube * up(r * r + x * x)), r) if r else 0,
                     int(r + x > 0 if lost is None else not r and x > 0)) for r, x in zip(g.r, g.x)))
    given, grown, lossy, blind = ([0] * g.n for _ in range(4)) if not g.m else (heaviest(g, usable, w) for w in weights)
    most = [over(source + max(given), ONE - max(grown))] if max(grown) < ONE else []
    if not any(blind):  # W <= source + √(lossy W)
        half = root(max(lossy), 1) // 2 + 1
        most.append(up((half + root(up(half * half) + source, 1)) ** 2))
    if not most:
        return [None if grown[j] else source + given[j] for j in range(g.n)]
    greatest, before = min(most), None
    found = [greatest] * g.n
    while before is None or 2000 * greatest < 1999 * before:
        rise = heaviest(g, usable, [up(gain * w) for w in fed(g, usable, charging, greatest)])
        for j in range(g.n):
            ways = [found[j], source + given[j] + up(grown[j] * greatest), source + rise[j]]
            found[j] = min(ways if blind[j] else [*ways, source + root(up(greatest * lossy[j]), 1)])
        greatest, before = max(found), greatest
    return found

def floors(g, usable, lost, held):
    """By bus no state with a loss of at most `lost` has a lower w: a path takes Σ |z| √l of v, at most
    √lost √(Σ |z|² / r), by Cauchy and Schwarz. Without ratios. `held`: least w of a source."""
    if not only_lossy(g, usable) or any(g.tap[e] != ONE for e in usable):
        return [0] * g.n
    lossy = [over(up(lost * up(r * r + x * x)), r) if r else 0 for r, x in zip(g.r, g.x)]
    blind = heaviest(g, usable, [int(not r and x > 0) for r, x in zip(g.r, g.x)])
    falls = [root(held) - root(most, 1) for most in heaviest(g, usable, lossy)]
    return [down(v * v) if v > 0 and not unknown else 0 for v, unknown in zip(falls, blind)]

def parabola(slope, square, low, high):
    """The least of slope x + square x² in a range, and an x near it; None: it has no end. None is no limit."""
    turn = under(-slope, 2 * square) if square > 0 else low if slope > 0 else high if slope else 0
    if turn is None:
        return None
    x = max(turn, turn if low is None else low)
    x = min(x, x if high is None else high)
    inside = square > 0 and x == turn
    return -slope * slope // (4 * square) if inside else (slope * x << BITS) + square * x * x >> 2 * BITS, x

def greatest_loss(problem, usable, value, low, high):
    """No state of at most this cost has a greater Σ r l; None: unknown. With κ the least of λ + c_s + c_e / r,

        cost >= κ Σ r l + Σ_j min c D_j + Σ over generators of min (c_g - c) p + a p² + idle    c: price of a source

    D_j what bus j draws. A unit that may stop adds 0 at most. `low`, `high`: by bus ends of w."""
    g, own, base = problem.grid, dict(zip(problem.at, problem.price)), 0
    among = {min(problem.price), max(problem.price)}
    lossy = [problem.loss + min(among) + under(g.current[e], g.r[e]) for e in usable if g.r[e] > 0]
    if not lossy or min(*lossy, problem.loss + min(among) + 1) <= 0 or min(g.current) < 0:
        return None
    for bus in range(g.n):
        some, ends = {own[bus]} if bus in own else among, [g.p[bus], g.p[bus]]
        if (g.p_v[bus] or g.p_w[bus]) and high[bus] is None and some != {0}:
            return None
        w = low[bus], high[bus] or 0
        for part, pair in ((g.p_v[bus], (root(w[0]), root(w[1], 1))), (g.p_w[bus], w)):
            both = [part * end for end in pair]
            ends = [ends[0] + down(min(both)), ends[1] + up(max(both))]
        base += min(down(price * end) for price in some for end in ends)
    for k, (bus, ends, _, _, rate, square, idle) in enumerate(problem.boxes[: len(problem.generators)]):
        some = {own[bus]} if bus in own else among
        least = idle + min(parabola(rate - price, square, *ends)[0] for price in some)
        base += min(least, 0) if k in problem.units else least
    return max(0, over(value - base, min(lossy)))

def ranges(problem, value, lost, every):
    """By bus the ends of w in the states that count. Upper ends are limits, or what no state of at most this value has;
    of many demands `every` (their least ones) without a word on the loss. Generation is the greatest of any position of
    devices, ratios are those farthest from 1. `lost`: a loss by which voltages are bounded from below, or None."""
    g, held, limited = problem.grid, problem.squares, problem.limited_states
    usable = [e for e in range(g.m) if problem.lock[e] != OPEN]
    low = [held[bus][0] if bus in held else w if limited else 0 for bus, w in enumerate(g.w_min)]
    limits = [w if limited else None for w in g.w_max]
    most = SimpleNamespace(**{key: list(v) if type(v) is list else v for key, v in vars(g).items()})
    most.p, most.q = every or (most.p, most.q)
    for d in problem.devices:
        if d.kind == "tap":
            most.tap[d.at] = max(d.values, key=lambda t: max(t, over(ONE, t)))
        elif d.kind == "bank":
            most.q_w[d.at] -= max(d.values) - d.values[d.today]
    for k, (bus, p, q, *_) in enumerate(problem.boxes[: len(problem.generators)]):
        for part, end in ((most.p, p[1]), (most.q, q[1])):
            part[bus] -= max(0, end) if k in problem.units else end
    by_loss = problem.by_loss and every is None
    known, high = value if by_loss else None, []
    for _ in range(1 if by_loss or every is not None else 3):
        moving = any(d.kind == "tap" for d in problem.devices)
        found = caps(most, usable, known, max(w for _, w in held.values()), moving)
        high = [min((w for w in pair if w is not None), default=None) for pair in zip(found, limits)]
        high = [held[bus][1] if bus in held else w for bus, w in enumerate(high)]
        known = None if by_loss else greatest_loss(problem, usable, value, low, high)
    need(None not in high, "nothing bounds the voltage of a bus")
    fall = floors(g, usable, lost, min(w for w, _ in held.values())) if lost is not None else [0] * g.n
    return [a if bus in held else max(a, b) for bus, (a, b) in enumerate(zip(low, fall))], high

# 5. Power flow of a radial state --------------------------------------------------------------------------------------
# Complex numbers are pairs. A sweep takes voltages to those that the currents at them make. Voltages that it changes by
# less than 2^-80 are a power flow of demands that differ from the given ones by so little.

def add(a, b): return a[0] + b[0], a[1] + b[1]
def times(a, b): return a[0] * b[0] - a[1] * b[1] >> BITS, a[0] * b[1] + a[1] * b[0] >> BITS
def scaled(a, ratio): return a if ratio == ONE else (down(a[0] * ratio), down(a[1] * ratio))
def divided(a, ratio): return a if ratio == ONE else (under(a[0], ratio), under(a[1], ratio))
def squared(a): return a[0] * a[0] + a[1] * a[1] >> BITS

def drawn_at(u, power, by_v, by_w):
    """Current drawn at a voltage: conj(s / u), s = power + by_v |u| + by_w |u|²."""
    w = squared(u)
    p, q = (a + down(b * root(w)) + down(c * w) for a, b, c in zip(power, by_v, by_w))
    return (p * u[0] + q * u[1]) // w, (p * u[1] - q * u[0]) // w

def power_flow(g, order, power, held, tap, w_load, begin=None):
    """The power flow of a radial state: v, w by bus, l by closed branch, the squared rated current, the loss, and the
    power sent by source; None: none is found. held: voltage by bus of a source. w_load: (p_w, q_w) by bus."""
    below = [(bus, above, e, *((tap[e], ONE) if g.fr[e] == above else (ONE, tap[e])))
             for bus, above, e in order if above >= 0]  # with the ratios above and below the impedance
    used = {row[2] for row in below}
    both = (g.fr, g.g_fr, g.b_fr, g.rated_fr), (g.to, g.g_to, g.b_to, g.rated_to)
    hung = [(bus, a, b, rated, e) for ends in both for e, (bus, a, b, rated) in enumerate(zip(*ends))
            if (a or b) and e not in used]
    w_load, v, step = list(w_load), dict(held), ONE
    for bus, a, b, _, _ in hung:
        w_load[bus] = w_load[bus][0] + a, w_load[bus][1] - b
    for bus, above, _, near, far in below:
        v[bus] = begin[bus] if begin else scaled(divided(v[above], near), far)
    for _ in range(3000):
        if not ONE >> 80 <= step < ONE << 10 or min(map(squared, v.values())) < ONE >> 20:
            break
        current = {bus: drawn_at(u, power[bus], (g.p_v[bus], g.q_v[bus]), w_load[bus]) for bus, u in v.items()}
        series, ends, new = {}, {}, dict(held)
        for bus, above, e, near, far in reversed(below):
            inner = divided(v[above], near), divided(v[bus], far)
            shunts = [times((g.g[e], g.b[e]), u) if g.g[e] or g.b[e] else (0, 0) for u in inner]
            series[e] = add(scaled(current[bus], far), shunts[1])
            sent = divided(add(series[e], shunts[0]), near)
            ends[e] = inner, (sent, current[bus]) if g.fr[e] == above else (current[bus], sent)
            current[above] = add(current[above], sent)
        for bus, above, e, near, far in below:
            new[bus] = scaled(add(divided(new[above], near), times((-g.r[e], -g.x[e]), series[e])), far)
        step, v = max((abs(a - b) for bus in v for a, b in zip(v[bus], new[bus])), default=0), new
    if step >= ONE >> 80:
        return None
    w, l = ({key: squared(value) for key, value in of.items()} for of in (v, series))
    found = SimpleNamespace(v=v, w=w, l=l)
    found.rated = {e: squared(times((rated * a >> BITS, rated * b >> BITS), v[bus])) for bus, a, b, rated, e in hung}
    found.loss = sum(g.r[e] * l for e, l in found.l.items()) + sum(a * found.w[bus] for bus, a, *_ in hung)
    for e, (inner, currents) in ends.items():
        found.loss += sum(g.g[e] * squared(u) for u in inner)
        found.rated[e] = max(squared(scaled(i, of[e])) for of, i in zip((g.rated_fr, g.rated_to), currents))
    found.loss = down(found.loss)
    found.sent = {bus: times(u, (current[bus][0], -current[bus][1])) for bus, u in held.items()}
    return found

# 6. The bound by multipliers ------------------------------------------------------------------------------------------

class Bound:
    """For every state, with multipliers y, μ of the balances of buses and ν of the voltage laws of closed branches,

        cost = Σ (P y + Q μ) + Σ branches [ρ l + α p + β q] + (terms in w) + (terms of outputs)
        α = y_i - y_j + 2 r ν    β = μ_i - μ_j + 2 x ν    ρ = r (λ + y_j) + x μ_j - |z|² ν + c_e

    for a branch from i to j with l κ_i w_i = p² + q², κ_j w_j = κ_i w_i - 2 (r p + x q) + |z|² l, κ = 1 / tap² at
    its from bus. The bracket is at least -κ_i w_i (α² + β²) / 4 (ρ + σ) - σ l_max, for any σ >= 0 with ρ + σ > 0.
    Closed branches are trees, each directed away from a source or a root; undecided ones (ν = 0) count where they are
    positive only, less what closing costs: min(0, c - h w) >= -max(0, h - c / w_max) w. With A_j what is taken per w_j,
    leaves first, κ_j ν = A_j + φ_j leaves φ_j w_j at a bus, and -A_j w_j stays at a root; w is where that is least.
    Devices: a bank and a ratio where their term is greatest (it is linear, or convex); a source at either end; a unit
    off or on. Not to be as today costs a move, of a bank the part of it that is convex in w. `base`: what y and μ are
    given in addition to; at the buses `firm` they are exactly that."""

    def __init__(self, problem, g, base, firm, part=False):
        self.problem, self.g, self.base, self.firm, self.loss = problem, g, base, firm, problem.loss
        self.boxes, self.devices = ([], []) if part else (problem.boxes, problem.devices)

    def value(self, status, line, spans=(), demand=None):
        """The bound at the multipliers, roots, φ and near of a line; None: none."""
        g, ((y, mu), (tops, phi, near)) = self.g, line
        if any(y[bus] or mu[bus] for bus in self.firm):
            return None
        self.y, self.mu = ([a + b for a, b in zip(row, base)] for row, base in zip((y, mu), self.base))
        self.near = {bus: w << BITS - 16 for bus, w in near.items()}
        self.total, self.gain, self.squares, self.ends, units = 0, [-worth for worth in g.worth], {}, {}, {}
        self._loads(*(demand or (g.p, g.q, 0)))
        for d, (first, last) in zip(self.devices, spans):
            low, high, now = min(d.values[first : last + 1]), max(d.values[first : last + 1]), d.values[d.today]
            move = self.problem.move if first <= d.today <= last else 0
            self.total += self.problem.move - move
            if d.kind == "bank":
                fed = max(up((end - now) * self.mu[d.at]) for end in (low, high))
                self.gain[d.at] += max(0, fed - under(move, g.w_max[d.at])) if move and g.w_max[d.at] > 0 else fed
            elif d.kind == "source":
                self.ends[self.problem.at[d.at]] = down(low * low), up(high * high), now * now, move
            elif d.kind == "tap":
                self.squares[d.at] = {low * low, high * high}
            else:
                off, on = (move, 0) if now > 0 else (0, move)
                units[d.at] = [off] if low == 0 else [], [on] if high > 0 else []
        for k, (bus, p, q, most, price, square, idle) in enumerate(self.boxes):
            off, on = units.get(k, ([], [0]))
            least = box_least(price - self.y[bus], square, -self.mu[bus], p, q, most) if on else 0
            if least is None:
                return None
            self.total += min([*off, *(least + idle + more for more in on)])
        found = self._undecided(status) and self._closed(directed(g, status, tops, self.y), phi)
        return self.total if found else None

    def _loads(self, loads_p, loads_q, less):
        g = self.g
        for j, (y, mu, p, q) in enumerate(zip(self.y, self.mu, loads_p, loads_q)):
            self.total += down(p * y + q * mu - less * (abs(y) + abs(mu)))
            self.gain[j] -= down(g.p_w[j] * y + g.q_w[j] * mu)
            c = y * g.p_v[j] + mu * g.q_v[j]
            if c > 0:  # a line below √w at both ends of a range is below it on the range
                low, high = root(g.w_min[j]), root(g.w_max[j])
                slope = under(ONE, max(low + high, 1))
                constant = min(low - up(slope * g.w_min[j]), high - up(slope * g.w_max[j]))
            else:  # √w <= t / 2 + w / 2t
                t = root(self.near.get(j, ONE))
                constant, slope = -(-t // 2), over(ONE, 2 * t)
            self.total, self.gain[j] = self.total + (c * constant >> 2 * BITS), self.gain[j] - (c * slope >> 2 * BITS)

    def _undecided(self, status):
        g = self.g
        for e, state in enumerate(status):
            i, j = sorted((g.fr[e], g.to[e]), key=self.y.__getitem__)
            hung = [(bus, -down(a * (self.loss + self.y[bus]) - b * self.mu[bus]))
                    for bus, a, b in ((g.fr[e], g.g_fr[e], g.b_fr[e]), (g.to[e], g.g_to[e], g.b_to[e]))]
            if state == FREE:
                steep = self._series(e, i, j, [0])
                if steep is None:
                    return False
                lost = self._taken(e, i, steep[0])
                lost -= under(g.price[e], g.w_max[i]) if g.price[e] and g.w_max[i] > 0 else 0
                hung = [(i, max(dict(hung)[i], lost)), (j, max(dict(hung)[j], self._taken(e, j, 0)))]
            for bus, value in hung if state != CLOSED else ():
                self.gain[bus] += value
        return True

    def _closed(self, order, phi):
        g = self.g
        for j, i, e in reversed(order):
            gain, limit = self.gain[j], phi.get(j, 0) << BITS - 20
            if i < 0:
                low, high, now, move = self.ends.get(j, (g.w_min[j], g.w_max[j], 0, 0))
                taken = up(gain * (high if gain > 0 else low))
                self.total -= max(taken - move, -(-gain * now >> 2 * BITS)) if move else taken
                continue
            self.total += down(limit * (g.w_min[j] if limit > 0 else g.w_max[j])) + g.price[e]
            squares = self.squares.get(e, [g.tap[e] ** 2]) if j == g.fr[e] else [ONE << BITS]
            nus = [-(-(gain + limit) * square >> 2 * BITS) - self._shunt(e, j) for square in squares]
            steep = self._series(e, i, j, nus)
            if steep is None:
                return False
            self.gain[i] += self._taken(e, i, max(nu + s for nu, s in zip(nus, steep)))
        return True

    def _series(self, e, i, j, nus):
        """(α² + β²) / 4 (ρ + σ) at every ν, None: no bound; subtracts σ l_max."""
        g, y, mu, terms, sigma = self.g, self.y, self.mu, [], 0
        for nu in nus:
            alpha, beta = (y[i] - y[j] << BITS) + 2 * g.r[e] * nu, (mu[i] - mu[j] << BITS) + 2 * g.x[e] * nu
            rho = (g.r[e] * (self.loss + y[j]) + g.x[e] * mu[j] << BITS) - (g.r[e] ** 2 + g.x[e] ** 2) * nu
            terms.append((alpha**2 + beta**2, rho + (g.current[e] << 2 * BITS)))
        if i in self.near and g.l_max[e]:  # ½ √(α² + β²) √(κ w / l_max) is best for ρ + σ
            w = self._seen(e, i, self.near[i])
            sigma = max(0, *(isqrt((square * w << 2 * BITS) // (4 * g.l_max[e])) - rho for square, rho in terms))
        self.total += -sigma * g.l_max[e] >> 3 * BITS
        if any(rho + sigma < 0 or (square and not rho + sigma) for square, rho in terms):
            return None
        return [-(-square // (4 * (rho + sigma))) if square else 0 for square, rho in terms]

    def _seen(self, e, bus, value):
        """κ times a value, the greatest."""
        squares = self.squares.get(e, [self.g.tap[e] ** 2]) if bus == self.g.fr[e] else [ONE << BITS]
        return max(-((-value << 2 * BITS) // square) for square in squares)

    def _shunt(self, e, bus):
        return down(self.g.g[e] * (self.loss + self.y[bus]) - self.g.b[e] * self.mu[bus])

    def _taken(self, e, bus, value):
        return self._seen(e, bus, value - self._shunt(e, bus))

def box_least(slope, square, tilt, p, q, most):
    """The least of slope p + square p² + tilt q in a box, and within p² + q² <= most² if there is a `most`: no less
    than two parabolas with κ more each, less κ most², for any κ >= 0; the best κ is found by bisection. None: none."""
    def at(kappa):
        one, two = parabola(slope, square + kappa, *p), parabola(tilt, kappa, *q)
        if one is None or two is None:
            return None, most is not None
        limit = most is not None and one[1] ** 2 + two[1] ** 2 > most**2
        return one[0] + two[0] - (up(kappa * up(most**2)) if most else 0), limit

    best, outside = at(0) if most != 0 else (0, False)
    low, high = 0, 1
    while outside and high < ONE << 80 and at(high)[1]:
        low, high = high, high * 256
    while outside and high - low > 1 + (high >> 130):
        kappa = (low + high) // 2
        value, more = at(kappa)
        best = max((v for v in (value, best) if v is not None), default=None)
        low, high = (kappa, high) if more else (low, kappa)
    return best

# 7. Risk of many futures, years ---------------------------------------------------------------------------------------

def worst(measure, values):
    """The greatest expectation of values by the probabilities of a set, rounded down. `lower`, `upper`: those between,
    which give all the least and the rest to the greatest. Else those that moving probability by at most `radius` makes
    of `nominal`: the least over prices c >= 0 of radius c + Σ_i nominal_i max_k (v_k - c distance_ik), which is convex
    in c and made of lines. Two of these, one that falls and one that does not, meet where a third one is asked for."""
    every = range(len(values))
    if "lower" in measure:
        lower, upper = measure["lower"], measure["upper"]
        rest, total = 1 - sum(lower), sum(p * v for p, v in zip(lower, values) if p)
        for k in sorted(every, key=lambda k: -values[k]):
            more = max(0, min(rest, upper[k] - lower[k]))
            total, rest = total + more * values[k], rest - more
        return math.floor(total)
    nominal, far = measure["nominal"], measure["distance"] or [[int(i != j) for j in every] for i in every]

    def line(price):
        """Value at 0 and slope of the line that is greatest at a price; None: at any price that is high enough."""
        def worth(d, k):
            return (-d[k], values[k]) if price is None else (values[k] - price * d[k], d[k])
        to = [max((*worth(d, k), k) for k in every)[2] for d in far]
        return (sum(share * values[k] for share, k in zip(nominal, to)),
                measure["radius"] - sum(share * d[k] for share, d, k in zip(nominal, far, to)))
    falls, rises = line(0), line(None)
    while falls[1] < 0:
        price = (falls[0] - rises[0]) / (rises[1] - falls[1])
        between = line(price)
        if between[0] + between[1] * price <= rises[0] + rises[1] * price:
            return math.floor(rises[0] + rises[1] * price)
        falls, rises = (between, rises) if between[1] < 0 else (falls, between)
    return math.floor(falls[0])

def numbers(given):
    """Exact numbers of a set of probabilities: numbers, or fractions in texts."""
    return [numbers(v) for v in given] if type(given) is list else given if given is None else Fraction(given)

class Many:
    """What is bounded one by one: futures, or groups of the steps of a year. The bound is affine in the demand, so that
    the mean loss of a group is bounded at its mean demand. `demands`: of each, (p, q, how many times 2^-BITS these are
    rounded down); `flows`: those whose power flow is judged, with `weights` by which those that keep the limits are
    counted, of which `share` must. `minus`, `less`: of regret what each future loses at best by itself, as attained
    and at least."""

    def __init__(self, problem, head, lines):
        g, given = problem.grid, problem.given
        if given["futures"]:
            asked = given["futures"]
            p, q = ([[fixed(v) for v in listed(row, g.n)] for row in asked[part]] for part in "pq")
            self.weights, self.hours, self.regret = [fixed(v) for v in asked["weights"]], None, asked["regret"] is True
            self.flows, self.demands = list(zip(p, q)), [(*both, 0) for both in zip(p, q)]
            self.share, count = fixed(asked["share"]), whole(len(p), 1, 10**6)
            need(len(q) == len(self.weights) == count and min(self.weights) >= 0 < sum(self.weights), "weights")
            self.measure = {key: numbers(v) for key, v in asked["measure"].items()}
            self.minus, self.less = [0] * count, [0] * count
            need(("alone" in head) == self.regret, "what futures lose by themselves is missing, or not asked")
            for k, length in enumerate(listed(head["alone"], count) if self.regret else []):
                alone = Problem(json.dumps(given | {"futures": None}))
                alone.grid.p, alone.grid.q = p[k], q[k]
                check = Check(alone, itertools.islice(lines, whole(length, 1, MOST_BYTES)))
                check.run()
                self.minus[k], self.less[k] = check.worst, check.least
            return
        steps, hours, self.regret = given["year"], [fixed(v) for v in given["year"]["hours"]], False
        profile = [[fixed(v) for v in row] for row in steps["profiles"]]
        need(min(hours, default=0) > 0 and len(profile) == len(hours), "a step has no length")
        label, width = [whole(k, 0, len(hours)) for k in listed(head["groups"], len(hours))], len(profile[0])
        count = max(label) + 1
        need(set(label) == set(range(count)), "a group has no step")
        power = [(problem.number[s.bus], s.follows, fixed(s.p), fixed(s.q))
                 for s in table(steps["shares"], "bus follows p q")]
        means, lengths = [[0] * width for _ in range(count)], [0] * count
        for h, row, k in zip(hours, profile, label):
            means[k], lengths[k] = [total + h * v for total, v in zip(means[k], row)], lengths[k] + h
        self.flows = [self._at(g.n, power, row, ONE) for row in profile]
        self.demands = [(*self._at(g.n, power, row, total << BITS), 1) for row, total in zip(means, lengths)]
        self.weights, self.share, shares_of = hours, ONE, [Fraction(total, sum(hours)) for total in lengths]
        self.measure, self.minus, self.less = {"lower": shares_of, "upper": shares_of}, [0] * count, None
        self.hours = [Fraction(h, sum(hours)) for h in hours]

    @staticmethod
    def _at(n, power, row, unit):
        found = [0] * n, [0] * n
        for bus, follows, *both in power:
            for part, value in zip(found, both):
                part[bus] += value * row[follows]
        return [[v // unit for v in part] for part in found]

    def least(self):
        """By bus the least active and reactive power of any."""
        return [[min(column) for column in zip(*(flow[part] for flow in self.flows))] for part in (0, 1)]

    def of_flows(self, losses, less):
        """What losses of power flows are worth, those of futures less something."""
        if self.hours:
            return math.floor(sum(h * v for h, v in zip(self.hours, losses)))
        return worst(self.measure, [loss - own for loss, own in zip(losses, less)])

# 8. Parts of the paths ------------------------------------------------------------------------------------------------
# Without dangling trees a grid has junctions (three or more branches) and paths between these or sources (-1). Where
# all loads are constant and take power, each path of a radial state is open at one branch, or closed and fed from one
# end, and one closed path enters each junction. With y, μ >= 0 at junctions, 0 at sources, for their balances,
#
#     loss = dangling loss + Σ_j (P y + Q μ) + Σ_k cost_k     open: (1 + y_u) p_u + μ_u q_u + the same of v - load
#                                            closed, u to v: (1 + y_u) p + μ_u q - (1 + y_v) f - μ_v g - load
#
# p, q sent and f, g arriving, at least. Of each part of the paths the balances of junctions inside it hold, so that
# each leaf of its tree has multipliers of its own there. A junction j at the border of parts is fed in one of them: it
# pays z_j once, and each closed path that enters it takes z_j off. So each part has a least value of its own, and they
# add up.

def theta_of(w):
    """1 / w about, from 1 to 2."""
    return min(max(under(ONE, w), ONE), 2 * ONE)

class Paths:
    """The paths of a grid: `ends` (junctions or -1), `buses`, `branches`; `of`: path of a branch; `load`: by bus, with
    the trees that dangle from it; `stubs`: by path and place what both ends draw where it is open."""

    def __init__(self, g, status, top):
        hanging, around_bus, most = [], around(g, [e for e in range(g.m) if status[e] != OPEN]), max(top)
        left = [dict(some) for some in around_bus]
        waiting = [bus for bus in range(g.n) if bus not in g.sources and len(left[bus]) == 1]
        for bus in waiting:
            if left[bus]:
                e, above = left[bus].popitem()
                del left[above][e]
                hanging.append((bus, above, e))
                waiting += [above] if above not in g.sources and len(left[above]) == 1 else []
        self.r, self.x = ([under(value, most) for value in part] for part in (g.r, g.x))
        self.z2 = [up((r + 1) ** 2 + (x + 1) ** 2) for r, x in zip(self.r, self.x)]
        self.g, self.top = g, [over(w, most) for w in top]
        self.ends, self.buses, self.branches, self.of = [], [], [], {}
        self.junctions = [bus for bus in range(g.n) if bus not in g.sources and len(left[bus]) > 2]
        stops, self.nominal = {*self.junctions, *g.sources}, (list(g.p), list(g.q))
        for begin in sorted(stops):
            for e in left[begin]:
                if e in self.of:
                    continue
                buses, branches = [begin], []
                while len(buses) == 1 or buses[-1] not in stops:
                    self.of[e] = len(self.buses)
                    branches.append(e)
                    buses.append(left[buses[-1]][e])
                    e = next((other for other in left[buses[-1]] if other != e), -1)
                self.buses.append(buses)
                self.branches.append(branches)
                self.ends.append([-1 if bus in g.sources else bus for bus in (begin, buses[-1])])
        for bus, above, _ in hanging:
            for part in self.nominal:
                part[above] += part[bus]
        for _ in range(3):
            self.load = p, q = list(g.p), list(g.q)
            for bus, above, e in hanging:
                more = self.sent(e, p[bus], q[bus], self.top[bus])
                p[above], q[above] = p[above] + more[0], q[above] + more[1]
            for bus, above, e in reversed(hanging):
                self.top[bus] = self.far(self.top[above], e, p[bus], q[bus])
        self.inside = [sum(self.nominal[0][bus] for bus in buses[1:-1]) for buses in self.buses]
        self.fixed = sum(self.load[0][bus] - self.nominal[0][bus] for bus in stops)
        self.trees = [[load[j] - own[j] for load, own in zip(self.load, self.nominal)] for j in range(g.n)]
        self.stubs = [[(self._stub(b[: at + 1], es[:at]), self._stub(b[at + 1 :][::-1], es[at + 1 :][::-1]))
                       for at in range(len(es))] for b, es in zip(self.buses, self.branches)]
        self.closed = {(k, end): self.chain(k, end, self.drawn(b[-end])) for k, b in enumerate(self.buses)
                       for end in (0, 1)}

    def drawn(self, bus): return self.load[0][bus], self.load[1][bus]

    def sent(self, e, p, q, w):
        """What is sent at least where at least p, q arrive, at w at most."""
        l = (p * p + q * q) // w
        return p + down(self.r[e] * l), q + down(self.x[e] * l)

    def far(self, w, e, p, q):
        """The greatest w where at least p, q arrive."""
        return max(w - down(2 * (self.r[e] * p + self.x[e] * q)), 1)

    def _along(self, buses, branches, flow, top):
        """What a chain is sent at its first bus at least where so much arrives at its last one, and w there at most."""
        (p, q), w, high, here = flow, top, [top] * len(branches), [(0, 0)] * len(branches)
        for _ in range(3):
            (p, q), w = flow, top
            for at in reversed(range(len(branches))):
                more = self.drawn(buses[at + 1]) if at < len(branches) - 1 else (0, 0)
                here[at] = p, q = p + more[0], q + more[1]
                p, q = self.sent(branches[at], p, q, high[at])
            for at, e in enumerate(branches):
                high[at] = w = self.far(w, e, *here[at])
        return (p, q), w

    def _stub(self, buses, branches):
        """What a chain that ends at its last bus draws at its first one, at least, and what of it is lost."""
        drawn = self._along(buses, branches, self.drawn(buses[-1]) if branches else (0, 0), self.top[buses[0]])[0]
        return drawn, [own - sum(part[bus] for bus in buses[1:]) for own, part in zip(drawn, self.nominal)]

    def directed(self, k, end):
        """Buses and branches of a path towards its end (0: u, 1: v)."""
        return [some[k][:: 1 if end else -1] for some in (self.buses, self.branches)]

    def chain(self, k, end, flow, top=None):
        """`_along` for a closed path."""
        buses, branches = self.directed(k, end)
        top = self.top[buses[0]] if top is None or self.ends[k][1 - end] < 0 else top
        return self._along(buses, branches, flow, top)

    def opened(self, k, at, of, theta, price, high):
        """Cost of a path that is open at a place, at least."""
        total, costs = -self.inside[k], self.of_stubs(k, at, of)
        for j, ((p, q), _), c, paid in zip(self.ends[k], self.stubs[k][at], costs, price):
            total += down((ONE + of[j][0]) * p + of[j][1] * q) - c + self.lost(c, theta[j], paid, high[j])
        return total

    def of_stubs(self, k, at, of):
        """What the losses of both stubs cost at w = 1."""
        lost = zip(self.ends[k], self.stubs[k][at])
        return [max(0, down((ONE + of[j][0]) * p + of[j][1] * q)) for j, (_, (p, q)) in lost]

    def lost(self, c, theta, paid, high):
        """c / w + paid w at least, w from 0 to `high`: c / w >= c (2 θ - θ² w) for any θ."""
        return 2 * down(theta * c) - up(max(0, up(up(theta * theta) * c) - paid) * high)

    def within(self, k, end, of, price, flow, near):
        """Multipliers within a closed path, those beyond it at its end, and about w: any multipliers will do, and
        these come from sweeps."""
        buses, branches = self.directed(k, end)
        tail, head = (of[self.ends[k][side]] for side in (1 - end, end))
        load, size, f, by, slope = [self.drawn(bus) for bus in buses], len(branches), list(flow), [0, 0], 0
        data = [[value[e] for value in (self.r, self.x, self.z2)] for e in branches]
        w, y, mu, more, nus = [near] * size, [head[0]] * size, [head[1]] * size, [0, 0], [0] * size
        for turn in range(4):
            (p, q), nu, flows, so_far = f, price, [(0, 0, 0)] * size, [0] * size
            for at in reversed(range(size)):
                r, x, z2 = data[at]
                p, q = (p, q) if at == size - 1 else (p + load[at + 1][0], q + load[at + 1][1])
                nu += 0 if at == size - 1 else under(self.of_trees(buses[at + 1], y[at], mu[at]), down(w[at] * w[at]))
                l, nus[at] = (p * p + q * q) // w[at], nu
                flows[at] = p, q, l
                nu += down(r * (ONE + y[at]) + x * mu[at] - z2 * nu) * l // (w[at - 1] if at else near)
                p, q = p + down(r * l), q + down(x * l)
            here, (a, b), slope = near, tail, 0
            for at, (r, x, z2) in enumerate(data):
                (p, q, l), rho = flows[at], down(r * (ONE + y[at]) + x * mu[at] - z2 * nus[at])
                a += 2 * down(r * nus[at]) + 2 * rho * (p + down(r * l)) // here
                b += 2 * down(x * nus[at]) + 2 * rho * (q + down(x * l)) // here
                slope += 2 * under(rho, here)
                so_far[at] = slope
                here = max(here - down(2 * (r * p + x * q) + z2 * l), ONE // 10)
                y[at], mu[at], w[at] = a, b, here
            by = [head[0] - a, head[1] - b]
            if slope <= 0:
                return y, mu, more, w
            if turn < 3:
                f = [max(low, own + under(part, slope)) for low, own, part in zip(flow, f, by)]
        for part in (0, 1):
            if f[part] <= flow[part] and by[part] < 0:
                more[part], by[part] = -by[part], 0
        y = [a + by[0] * share // slope for a, share in zip(y, so_far)]
        return y, [max(0, b + by[1] * share // slope) for b, share in zip(mu, so_far)], more, w

    def cost(self, k, end, of, price, flow, near):
        """The least cost of a closed path at whose end w has a price, what it takes by w where it begins, and about w
        at its end; None: none. The formulas are those of `Bound`."""
        buses, branches = self.directed(k, end)
        *some, w = self.within(k, end, of, price, flow, near)
        inner, inner_mu, more = ([min(max(a, -ONE), 4 * ONE) for a in part] for part in some)
        y, mu = (own + a for own, a in zip(of[self.ends[k][end]], more))
        cost, nu = down(more[0] * flow[0] + more[1] * flow[1]) - self.inside[k], price
        for at in reversed(range(len(branches))):
            r, x, z2 = (some[branches[at]] for some in (self.r, self.x, self.z2))
            y_a, mu_a = (inner[at - 1], inner_mu[at - 1]) if at else of[self.ends[k][1 - end]]
            rho = down(r * (ONE + y) + x * mu) - up(z2 * nu)
            a, b = (max(abs(d + down(2 * z * nu)), abs(d + up(2 * (z + 1) * nu)))
                    for d, z in ((y_a - y, r), (mu_a - mu, x)))
            if rho < 0 or (rho == 0 and (a or b)):
                return None
            nu += -(-(a * a + b * b) // (4 * rho)) if a or b else 0
            if at:
                p, q = self.drawn(buses[at])
                c, theta = self.of_trees(buses[at], y_a, mu_a), theta_of(w[at - 1])
                cost += down(p * (ONE + y_a) + q * mu_a) + 2 * down(theta * c) - c
                nu += up(up(theta * theta) * c)
            y, mu = y_a, mu_a
        return cost, nu, w[-1]

    def of_trees(self, bus, y, mu):
        """What the losses of the trees that dangle from a bus cost at w = 1."""
        return max(0, down((ONE + y) * self.trees[bus][0] + mu * self.trees[bus][1]))

class Parts:
    """The parts of the paths of a node, whose lines follow."""

    def __init__(self, check, line, status):
        paths, (count, prices, bits, *held) = check.paths, line
        self.paths, self.status, size, number = paths, status, len(paths.junctions), len(paths.ends)
        whole(count, 1, 1 << 31)
        prices = [whole(z, 1 - MOST, MOST) << BITS - 40 for z in listed(prices, size)]
        need(sum(map(abs, prices)) < 32 * ONE, "prices are too large")
        self.price = dict(zip(paths.junctions, prices))
        held = multipliers(held, size, bits, 0, 4 * ONE)
        self.arcs = {(k, end) for k, ends in enumerate(paths.ends) for end in (0, 1)
                     if ends[0] != ends[1] and ends[end] >= 0}
        self.of, self.free = {-1: (0, 0)} | dict(zip(paths.junctions, zip(*held))), set(range(number))
        self.some, self.inside, self.met = range(number), paths.junctions, paths.junctions
        self.top = dict.fromkeys((-1, *paths.junctions), ONE)
        falls = {(k, end): ONE - paths.closed[k, end][1] for k, end in self.arcs}
        self.top = self._highest([self._states(k)[1] for k in range(number)], falls)
        total, outer = paths.fixed, set(self.price)
        for _ in range(count):
            inner, bound = self._part(words(check.lines))
            outer, total = outer - inner, total + bound
        need(not self.free, "a path is in no part")
        total += sum(self.price[j] for j in outer) + self._drawn(outer, self.of)
        need(total >= check.goal, "the bounds of the parts do not add up to the bound claimed")

    def _drawn(self, some, of):
        return sum(down(load[j] * y) for j in some for load, y in zip(self.paths.load, of[j]))

    def _states(self, k):
        """The places where a path may be open, and the states that it may have."""
        states = [self.status[e] for e in self.paths.branches[k]]
        places = [at for at, state in enumerate(states) if state == (OPEN if OPEN in states else FREE)]
        closed = set() if OPEN in states else {end for end in (0, 1) if (k, end) in self.arcs}
        return places, closed | ({None} if places and states.count(OPEN) < 2 else set())

    def _part(self, line):
        """Check a part; its inner junctions and its bound."""
        word, (names, bound, nodes, bits, rows), paths = line[0], listed(line[1], 5), self.paths
        names = different(names, paths.g.m)
        need(word == "part" and names and all(e in paths.of for e in names), "no part, or no path")
        some = [paths.of[e] for e in names]
        need(len(set(some)) == len(some) and self.free >= set(some), "a path is in two parts")
        self.free -= set(some)
        self.some, met = some, {j for k in some for j in paths.ends[k]} - {-1}
        beside = {j for k, ends in enumerate(paths.ends) if k not in set(some) for j in ends}
        self.met, self.inside = sorted(met), sorted(met - beside)
        bound, places = fixed(bound, -1), [(at, q) for at, k in enumerate(some) for q in range(len(paths.branches[k]))]
        alone = len(some) + len(places)
        nodes = [whole(what, -3, alone + 3 * len(some) + 2 * len(places)) for what in listed(nodes)]
        rows = multipliers(listed(rows, nodes.count(-1) + nodes.count(-3)), 2 * len(self.inside), bits, 0, 4 * ONE)
        rows, of, nodes, self.states = iter(rows), dict(self.of), iter(nodes), [self._states(k) for k in some]
        stack = [([may for _, may in self.states], [(0, len(paths.branches[k]) - 1) for k in some])]
        while stack:
            node = self._left(*stack.pop())
            while node:
                (may, ends, open_at), what = node, next(nodes, None)
                need(what is not None, "a node of a part has no line")
                if what in (-1, -3):
                    row = next(rows)
                    of |= zip(self.inside, zip(row, row[len(self.inside):]))
                if what >= alone:
                    only, rest = self._apart(what - alone, places, may, ends)
                    only, node = self._left(*only), self._left(*rest)
                    need(only is None or self._least(only[0], only[2], of) >= bound, "what a part takes out is less")
                    continue
                node = node if what == -3 else None
                if what >= len(some):
                    path, at = places[what - len(some)]
                    low, high = ends[path]
                    need(low <= at < high, "a node of a part is not divided")
                    stack += [(may, [side if k == path else same for k, same in enumerate(ends)])
                              for side in ((at + 1, high), (low, at))]
                elif what >= 0:
                    need(len(may[what]) > 1, "a node of a part is not divided")
                    stack += [([{s} if k == what else states for k, states in enumerate(may)], ends)
                              for s in (0, 1, None) if s in may[what]]
                elif what > -3:
                    need(self._least(may, open_at, of) >= bound, "a leaf of a part does not reach its bound")
        need(next(nodes, None) is None, "a tree of a part goes on after its end")
        return set(self.inside), bound

    def _apart(self, what, places, may, ends):
        """A state or the places on one side that are taken out of a node, and the rest of it."""
        if what < 3 * len(may):
            k, s = what // 3, (None, 1, 0)[what % 3]
            return [([part(states) if at == k else states for at, states in enumerate(may)], ends)
                    for part in (lambda states: states & {s}, lambda states: states - {s})]
        k, at = places[(what - 3 * len(may)) // 2]
        (low, high), order = ends[k], slice(None, None, -1 if what - 3 * len(may) & 1 else 1)
        only, rest = ([span if p == k else same for p, same in enumerate(ends)]
                      for span in ((low, min(high, at)), (max(low, at + 1), high))[order])
        return ([states & {None} if p == k else states for p, states in enumerate(may)], only), (may, rest)

    def _left(self, may, ends):
        """What is left to a node: states, spans and places of its paths; None: nothing."""
        open_at = [[at for at in every if low <= at <= high] for (every, _), (low, high) in zip(self.states, ends)]
        may = self._implied([states if left else states - {None} for states, left in zip(may, open_at)])
        return may and (may, ends, open_at)

    def _implied(self, may):
        """Take out states that junctions, which are fed once, leave no room for; None: a contradiction."""
        before = None
        while may != before and all(may):
            before = list(may)
            for j in self.met:
                feeds = [(at, s) for at, k in enumerate(self.some) for s in (0, 1)
                         if self.paths.ends[k][s] == j and s in may[at]]
                must = [(at, s) for at, s in feeds if may[at] == {s}]
                must = feeds if j in self.inside and len(feeds) == 1 else must
                if len(must) > 1 or (j in self.inside and not feeds):
                    return None
                for at, s in feeds if must else []:
                    may[at] = {s} if (at, s) in must else may[at] - {s}
        return may if all(may) else None

    def _highest(self, may, falls):
        """The highest w of junctions by the paths that may feed them; at the border others may, too."""
        must = {self.paths.ends[k][s] for k, states in zip(self.some, may) if len(states) == 1 for s in states - {None}}
        high, again = {-1: ONE} | {j: self.top[j] for j in {*self.met} - {*self.inside} - must}, True
        while again:
            again = False
            for k, states in zip(self.some, may):
                for s in states - {None}:
                    tail, j = self.paths.ends[k][1 - s], self.paths.ends[k][s]
                    w = min(self.top[j], high.get(tail, 0) - falls[k, s])
                    if w > high.get(j, 0):
                        high[j], again = w, True
        return dict.fromkeys(self.met, ONE) | high

    def _order(self, may):
        """The paths that are closed in one direction, those farthest from the sources first; None: a cycle."""
        todo = {k: next(iter(states)) for k, states in zip(self.some, may) if len(states) == 1 and None not in states}
        order, ends = [], self.paths.ends
        while todo:
            tails = {ends[k][1 - s] for k, s in todo.items()}
            ready = [(k, s) for k, s in todo.items() if ends[k][s] not in tails]
            if not ready:
                return None
            order += ready
            todo = {k: s for k, s in todo.items() if (k, s) not in ready}
        return order

    def _flows(self, may, open_at, order, high):
        """Least power that arrives where paths are closed, and the highest w, by what paths draw elsewhere."""
        paths, flow, falls, draw = self.paths, {}, {}, {}
        total, one_way = {j: list(paths.drawn(j)) for j in self.met} | {-1: [0, 0]}, {k for k, _ in order}
        for k, states, places in zip(self.some, may, open_at):
            for end, j in enumerate(paths.ends[k]):
                some = [paths.stubs[k][at][end][0] for at in places if None in states]
                some += [paths.closed[k, 1 - end][0]] if 1 - end in states else []
                draw[k, end] = [min(a) for a in zip(*some)] if some and k not in one_way else (0, 0)
                total[j] = [a + b for a, b in zip(total[j], draw[k, end])]
        rest = [(k, s) for k, states in zip(self.some, may) for s in states - {None} if k not in one_way]
        for k, s in (*order, *rest):
            tail, j = paths.ends[k][1 - s], paths.ends[k][s]
            flow[k, s] = [a - b for a, b in zip(total[j], draw[k, s])]
            sent, w = paths.chain(k, s, flow[k, s], high[tail])
            falls[k, s] = high[tail] - w
            if k in one_way:
                total[tail] = [a + b for a, b in zip(total[tail], sent)]
        return flow, self._highest(may, falls)

    def _prices(self, may, open_at, order, of, flow, high, about):
        """Prices of w at junctions and at the ends of open paths, and costs of paths that are closed in one direction;
        None: none. `about`: w near which they are best."""
        paths, price, stubs, costs = self.paths, dict.fromkeys((*self.met, -1), 0), {}, {}
        theta = {j: theta_of(w) for j, w in about.items()}
        for j in self.inside:
            price[j] += up(up(theta[j] * theta[j]) * paths.of_trees(j, *of[j]))
        for k, states, places in zip(self.some, may, open_at):
            if states == {None}:
                some = [[up(up(theta[j] * theta[j]) * c) if j >= 0 else 0
                         for j, c in zip(paths.ends[k], paths.of_stubs(k, at, of))] for at in places]
                stubs[k] = max([[0, 0], *some], key=lambda paid: min(
                    paths.opened(k, at, of, theta, paid, high) for at in places) - sum(
                    down(part * about[j]) for part, j in zip(paid, paths.ends[k])))
                for j, paid in zip(paths.ends[k], stubs[k]):
                    price[j] += paid
        for k, s in order:
            tail, j = paths.ends[k][1 - s], paths.ends[k][s]
            costs[k, s] = paths.cost(k, s, of, price[j], flow[k, s], self._near(k, s, about))
            if costs[k, s] is None:
                return None
            price[tail] += costs[k, s][1]
        return theta, price, stubs, costs

    def _follow(self, order, costs, high, about):
        """Take over w at the ends of paths whose multipliers were found at the highest w where they begin."""
        for k, s in reversed(order):
            begun = self._near(k, s, high)
            about[self.paths.ends[k][s]] = max(self._near(k, s, about) - begun + costs[k, s][2], ONE // 10)

    def _near(self, k, s, about):
        """About w where a closed path begins."""
        tail = self.paths.ends[k][1 - s]
        return about[tail] if tail >= 0 else self.paths.top[self.paths.buses[k][0 if s else -1]]

    def _least(self, may, open_at, of):
        """The bound of a leaf. Closed paths join junctions to groups, each of which is fed once from elsewhere: by a
        path, or from outside at a junction of the border that no path of the part must feed."""
        paths, total, must, order, high = self.paths, self._drawn(self.inside, of), set(), self._order(may), self.top
        if order is None:
            return ONE << BITS
        flow = {}
        for _ in range(2):
            flow, high = self._flows(may, open_at, order, high)
        about = {j: max(w, ONE // 10) for j, w in high.items()}
        for turn in (0, 1):
            found = self._prices(may, open_at, order, of, flow, high, about)
            need(found, "a leaf has no bound")
            self._follow(order if turn == 0 else (), found[3], high, about)
        theta, price, stubs, one_way = found
        plain = {j: theta_of(max(w, ONE // 10)) for j, w in high.items()}
        total += sum(2 * down(theta[j] * paths.of_trees(j, *of[j])) - paths.of_trees(j, *of[j]) for j in self.inside)
        group, more = {j: j for j in (*self.met, -1)}, []
        for k, states in zip(self.some, may):
            must |= {paths.ends[k][s] for s in states} if len(states) == 1 and states != {None} else set()
            if None not in states:
                group[leader_of(group, paths.ends[k][0])] = leader_of(group, paths.ends[k][1])
        for k, states, places in zip(self.some, may, open_at):
            costs = {}
            for s in states - {None}:
                tail, j = paths.ends[k][1 - s], paths.ends[k][s]
                found = one_way.get((k, s)) or paths.cost(k, s, of, price[j], flow[k, s], self._near(k, s, about))
                need(found, "a leaf has no bound")
                w = paths.top[paths.buses[k][0 if s else -1]] if tail < 0 else high[tail]
                costs[s] = found[0] - (0 if (k, s) in one_way and tail >= 0 else up(found[1] * w))
                costs[s] -= 0 if j in self.inside else self.price[j]
            if None in states:
                costs[None] = min(paths.opened(k, at, of, theta if k in stubs else plain, stubs.get(k, (0, 0)), high)
                                  for at in places)
            least = costs.get(None, min(costs.values()))
            total += least
            for s in states - {None}:
                more.append([costs[s] - least, paths.ends[k][1 - s], paths.ends[k][s]])
        more += [[-up(price[j] * high[j]), -1, j] for j in {*self.met} - {*self.inside} - must]
        entered = self._entered(more, group)
        return ONE << BITS if entered is None else total + entered

    def _entered(self, arcs, group):
        """The least sum of arcs that enter each group once, without a cycle; None: there are none. What the cheapest
        arc costs is taken off all that enter, and a cycle becomes one group (Edmonds 1967)."""
        total, entry, fed = 0, {}, leader_of(group, -1)
        for j in self.met:
            g = leader_of(group, j)
            while g != fed and g not in entry:
                into = [arc for arc in arcs if leader_of(group, arc[2]) == g != leader_of(group, arc[1])]
                if not into:
                    return None
                paid, entry[g], _ = min(into)
                total += paid
                for arc in into:
                    arc[0] -= paid
                ring, other = [], leader_of(group, entry[g])
                while other not in (fed, g) and other in entry:
                    ring.append(other)
                    other = leader_of(group, entry[other])
                if other == g:
                    del entry[g]
                    for one in ring:
                        group[one] = g
        return total

# 9. Regions ----------------------------------------------------------------------------------------------------------

class Regions:
    """The supplied part of a node, all of whose branches are closed, and regions that meet it at hubs.

    Hubs have the multipliers of the line and prices κ of w, added in the region and subtracted in the supplied part,
    so that the least values of regions and supplied part add up. From i down to j, with P, Q the least and p, q the
    most that may be drawn beyond, losses of a state below the bound claimed among these,

        w_i - 2 (r p + x q) <= w_j <= w_i - 2 (r P + x Q)"""

    def __init__(self, check, node, rest):
        self.check, self.g, self.status = check, check.problem.grid, node.status
        problem, g, held = check.problem, self.g, Multipliers(self.g.n)
        plain = problem.by_loss and not problem.devices and not problem.boxes and check.many is None
        columns = g.p_v, g.q_v, g.p_w, g.q_w, g.g, g.b, g.g_fr, g.b_fr, g.g_to, g.b_to
        need(plain and not any(map(any, columns)) and all(t == ONE for t in g.tap) and min(g.r + g.x) >= 0,
             "regions do not cover this grid")
        apart, ((self.y, self.mu), line) = set(different(rest[0], g.n)), held.line(rest[1:])
        self._divide(apart)
        self.w = self._squares(max(check.goal, 0))
        worth, total = [0] * g.n, 0
        for buses, hubs, branches in zip(self.buses, self.hubs, self.branches):
            (word, rest), every = words(check.lines), sorted([*buses, *hubs])
            given, prices = listed(rest, 2)
            need(word == "region", "a region does not begin")
            prices = dict(zip(hubs, (whole(k, 1 - MOST, MOST) << BITS - 40 for k in listed(prices, len(hubs)))))
            for hub, price in prices.items():
                worth[hub] -= price
            part = self._part(every, prices, branches, [0] * g.n, prices)
            base = [[row[bus] if bus in prices else 0 for bus in every] for row in (self.y, self.mu)]
            tree = Tree(part, [self.status[e] for e in branches], check.lines)
            bound, of = Bound(problem, part, base, part.sources, part=True), Multipliers(part.n)
            tree.run(lambda word, rest: tree.bounded(word, rest, bound, of, fixed(given, 1)))  # noqa: B023
            total += fixed(given, -1)
        part = self._part(self.supplied, g.sources, self.inside, worth, {})
        number = {bus: k for k, bus in enumerate(self.supplied)}
        there = [[row[bus] for bus in self.supplied] for row in (self.y, self.mu)]
        phi, near = ({number[bus]: v for bus, v in some.items() if bus in number} for some in line[1:])
        bound = Bound(problem, part, ([0] * part.n, [0] * part.n), part.sources, part=True)
        found = bound.value([CLOSED] * part.m, (there, ([], phi, near)))
        need(found is not None and total + found >= check.goal, "the bounds of the regions do not add up")

    def _divide(self, apart):
        g, status = self.g, self.status
        live = [e for e in range(g.m) if status[e] != OPEN]
        ends, supplied, waiting = around(g, [e for e in live if status[e] == CLOSED]), set(g.sources), list(g.sources)
        for bus in waiting:
            more = {other for _, other in ends[bus]} - supplied - apart
            supplied |= more
            waiting += more
        ways, of, self.buses = around(g, [e for e in live if not {g.fr[e], g.to[e]} & supplied]), {}, []
        for first in range(g.n):
            some = [first] if first not in supplied and first not in of else []
            for bus in some:
                of[bus] = len(self.buses)
                some += [other for other in {other for _, other in ways[bus]} if other not in some]
            self.buses += [sorted(some)] if some else []
        self.supplied, self.inside, self.branches = sorted(supplied), [], [[] for _ in self.buses]
        for e in live:
            k = next((of[bus] for bus in (g.fr[e], g.to[e]) if bus in of), None)
            (self.inside if k is None else self.branches[k]).append(e)
        self.hubs = [sorted({bus for e in some for bus in (g.fr[e], g.to[e])} & supplied) for some in self.branches]
        need(all(status[e] == CLOSED for e in self.inside) and all(self.hubs), "regions are not parts of the node")

    def _squares(self, lost):
        """By bus the ends of w in states that lose at most this."""
        g, live = self.g, [*self.inside, *itertools.chain.from_iterable(self.branches)]
        blind, closed = any(not g.r[e] and g.x[e] for e in live), set(self.inside)
        extra = lost, up(lost * max((over(g.x[e], g.r[e]) for e in live if g.r[e]), default=0))
        order = [row for row in directed(g, [CLOSED if e in closed else OPEN for e in range(g.m)]) if row[1] >= 0]
        below = list(g.p), list(g.q)
        met = {j: {k: 1 for k, hubs in enumerate(self.hubs) if j in hubs} for j in self.supplied}
        for bus, above, _ in reversed(order):
            for side in below:
                side[above] += side[bus]
            for k, number in met[bus].items():
                met[above][k] = met[above].get(k, 0) + number
        found = list(zip(g.w_min, g.w_max))
        for bus, above, e in order:
            rise = fall = 0
            for z, power, side, more in zip((g.r[e], g.x[e]), (g.p, g.q), below, extra):
                least = most = side[bus]
                for k, number in met[bus].items():
                    some, every = [power[j] for j in self.buses[k]], number == len(self.hubs[k])
                    least += sum(p if every else min(p, 0) for p in some)
                    most += sum(p if every else max(p, 0) for p in some)
                rise, fall = rise - down(2 * z * least), fall + up(2 * z * (most + more))
            low = 0 if blind and g.x[e] else found[above][0] - fall
            found[bus] = max(found[bus][0], low), min(found[bus][1], found[above][1] + rise)
        return found

    def _part(self, buses, sources, branches, worth, prices):
        """Some buses and branches as a grid of its own, numbered within it; hubs have `prices`, and no loads."""
        g, number = self.g, {bus: k for k, bus in enumerate(buses)}
        part = SimpleNamespace(n=len(buses), m=len(branches), most=g.most, sources={number[bus] for bus in sources})
        for name in ("r", "x", "tap", "g", "b", "g_fr", "b_fr", "g_to", "b_to", "l_max", "price", "current", "fresh"):
            setattr(part, name, [vars(g)[name][e] for e in branches])
        for name in ("p", "q", "p_v", "q_v", "p_w", "q_w"):
            setattr(part, name, [0 if bus in prices else vars(g)[name][bus] for bus in buses])
        part.w_min, part.w_max = ([self.w[bus][k] if bus in prices else of[bus] for bus in buses]
                                  for k, of in enumerate((g.w_min, g.w_max)))
        part.fr, part.to = ([number[side[e]] for e in branches] for side in (g.fr, g.to))
        part.worth = [prices.get(bus, worth[bus]) for bus in buses]
        return part

# 10. The tree and the claim -------------------------------------------------------------------------------------------

class Tree:
    """The nodes of a tree: the current one (None: it is done), and by number the sides that wait.

    A node has the states of branches, the positions that devices may have (spans), and bounds of futures (values);
    closings: branches that cannot be open; opened: bounds with a branch open."""

    def __init__(self, g, status, lines, spans=()):
        self.g, self.lines, self.waiting, self.number = g, lines, {}, 0
        self.enter(SimpleNamespace(status=list(status), spans=list(spans), values={}))

    def enter(self, node):
        self.number, self.node = self.number + 1, node
        self.follow()

    def follow(self):
        """What follows from the graph; what was probed before is forgotten."""
        node = self.node
        node.closings, node.opened, node.tried, node.alive = [], {}, {}, consequences(self.g, node.status)

    def leave(self, **other):
        """Go on with this node, and leave the same with something else as the side that waits."""
        node = self.node
        copied = {"status": list(node.status), "values": dict(node.values)}
        self.waiting[self.number] = SimpleNamespace(**(vars(node) | copied | other))

    def with_open(self, branch):
        """The states of the branches with this one open, which is undecided, and not probed."""
        free = self.node.status[whole(branch, 0, self.g.m)] == FREE
        need(free and branch not in self.node.closings, "a branch is decided already, or probed")
        return [OPEN if e == branch else s for e, s in enumerate(self.node.status)]

    def run(self, other):
        """Follow the lines until all nodes are done; `other`: what follows a line with a bound."""
        while self.node is not None or self.waiting:
            word, rest = words(self.lines)
            node, count = self.node, len(rest)
            need((node is None) == (word == "from"), f"'{word:.20}' where a node is done, or is not")
            if word == "from" and count == 1 and type(rest[0]) is int and rest[0] in self.waiting:
                self.enter(self.waiting.pop(rest[0]))
            elif word == "none" and not rest and not node.alive:
                self.node = None
            elif word == "apply" and not rest and node.alive and node.closings:
                for e in node.closings:
                    node.status[e] = CLOSED
                self.follow()
            elif word == "split" and count == 1 and node.alive:
                self.leave(status=self.with_open(rest[0]), values=node.values | node.opened.get(rest[0], {}))
                node.status[rest[0]] = CLOSED
                self.enter(node)
            else:
                need(word not in ("from", "none", "apply", "split") and node.alive, f"'{word:.20}' does not hold here")
                other(word, rest)

    def bounded(self, word, rest, bound, multipliers, goal):
        """A line `bound` or `probe` of one demand."""
        branch = rest[:-6]
        need(word in ("bound", "probe") and len(rest) == 6 + (word == "probe"), f"'{word:.20}' does not hold here")
        status = self.with_open(*branch) if branch else self.node.status
        found = bound.value(status, multipliers.line(rest[-6:]), self.node.spans)
        need(found is not None and found >= goal, "a bound does not reach what is claimed")
        self.close(branch)

    def close(self, branch):
        """The node is done, or this branch cannot be open."""
        self.node.closings += branch
        self.node = self.node if branch else None

class Check:
    """A certificate, checked against a problem. worst, least: what the best state is worth at most, and the bound."""

    def __init__(self, problem, lines):
        self.problem, self.lines, g = problem, lines, problem.grid
        self.head = head = next(lines, None)
        must = {"format", "question", "open", "generation", "value", "bound"}
        may = must | {"voltage_loss", "positions", "base", "alone", "groups"}
        need(type(head) is dict and head.get("format") == "openpoint certificate 14", "this is no certificate 14")
        need(must <= set(head) <= may and ("groups" in head) == bool(problem.given["year"]), "the head has other parts")
        self.many = Many(problem, head, lines) if problem.many else None
        need("alone" not in head or self.many, "the head has other parts")
        alone = problem.by_loss and not problem.devices
        need(not self.many or (alone and not problem.generators), "many are for losses")
        problem.limited_states = self.many is None or self.many.share >= ONE
        value, self.bound_claimed, lost = fixed(head["value"], 1), fixed(head["bound"], 1), head.get("voltage_loss")
        self.goal, self.least = self.bound_claimed - problem.cost * problem.unavoidable, fixed(head["bound"], -1)
        self._best(head, value)
        need(lost is None or (alone and not self.many and fixed(lost, 1) >= value), "a loss that bounds no voltages")
        self.limits, every = (g.w_min, g.w_max), self.many and self.many.least()
        g.l_max = problem.series_limits() if problem.limited_states else [0] * g.m
        g.w_min, g.w_max = ranges(problem, value, None if lost is None else fixed(lost, 1), every)
        own, base = dict(zip(problem.at, problem.price)), listed(head.get("base", [None] * g.n), g.n)
        base = [None if s is None else whole(s, 0, len(own)) for s in base]
        base = [own.get(bus, 0 if s is None else problem.price[s]) for bus, s in enumerate(base)]
        if self.many:
            base = [own.get(bus, 0) for bus in range(g.n)]
        self.bound = Bound(problem, g, (base, [0] * g.n), set(problem.at) - problem.limited)
        self.given = [Multipliers(g.n) for _ in range(len(self.many.demands) if self.many else 1)]
        self.unknown = 0 if only_lossy(g, range(g.m)) and min(g.r, default=0) >= 0 else -ONE << 96
        self.found_paths = None

    def _best(self, head, value):
        """The best state: its locks, changes and outputs, and its value by power flow."""
        problem, names = self.problem, {e.name: k for k, e in enumerate(self.problem.branches)}
        need(all(type(name) is str and name in names for name in listed(head["open"])), "an open branch is none")
        opened = {names[name] for name in head["open"]}
        status = [OPEN if e in opened else CLOSED for e in range(len(names))]
        changes = sum(s != c for s, c in zip(status, problem.closed))
        need(len(opened) == len(head["open"]), "a branch is open twice")
        need(all(lock in (FREE, s) for s, lock in zip(status, problem.lock)), "the best state does not keep the locks")
        need(problem.most is None or changes <= problem.most, "the best state has too many changes")
        sizes = [len(d.values) for d in problem.devices]
        positions = [whole(k, 0, n) for k, n in zip(listed(head.get("positions", []), len(sizes)), sizes)]
        output = [listed(part, len(problem.generators)) for part in listed(head["generation"], 2)]
        found = self._worth(status, positions, list(zip(*([fixed(v) for v in part] for part in output))))
        need(found is not None, "the best state has no power flow")
        worth, kept, _, self.worst, lost = found
        self.near = down(TOLERANCE * max(abs(worth), lost // 100, ONE // 10**12)) + 1
        need(kept and abs(value - worth) <= self.near, "the best state has another value, or breaks a limit")
        need(self.bound_claimed <= value + 1, "the bound is above the value")

    def _worth(self, status, positions, output):
        """What a radial state is worth, whether it surely keeps the limits, whether it surely does not, what it is
        worth at most (of regret beyond the least losses), and the greatest loss; None: no power flow is found."""
        problem, g, many = self.problem, self.problem.grid, self.many
        order, tap, held = directed(g, status), list(g.tap), dict(zip(problem.at, problem.held))
        w_load, off = list(zip(g.p_w, g.q_w)), set()
        need(status.count(CLOSED) + len(g.sources) == g.n and all(
            above >= 0 or bus in g.sources for bus, above, _ in order), "a state is not radial")
        cost = problem.cost * sum(s != c for s, c in zip(status, problem.closed))
        for d, k in zip(problem.devices, positions):
            now, was = d.values[k], d.values[d.today]
            if d.kind == "tap":
                tap[d.at] = now
            elif d.kind == "bank":
                w_load[d.at] = w_load[d.at][0], w_load[d.at][1] - (now - was)
            elif d.kind == "source":
                re, im = problem.held[d.at]
                held[problem.at[d.at]] = tuple(part * now // root(down(re * re + im * im)) for part in (re, im))
            off |= {d.at} if d.kind == "unit" and not now else set()
        for k, (of, (p, q)) in enumerate(zip(problem.generators, output)):
            box = of.box
            need((p, q) == (0, 0) if k in off else box[0] <= p <= box[1] and box[2] <= q <= box[3], "an output")
            need(box[4] is None or p * p + q * q <= (box[4] + down(box[4] * TOLERANCE) + 1) ** 2, "an output")
        cost += problem.move * sum(k != d.today for d, k in zip(problem.devices, positions))
        losses, kept, never, missed, broken, flow, lacks = [], True, False, 0, 0, None, False
        for (p, q), weight in zip(many.flows if many else [(g.p, g.q)], many.weights if many else [ONE]):
            power = list(zip(p, q))
            for of, (more_p, more_q) in zip(problem.generators, output):
                power[of.node] = power[of.node][0] - more_p, power[of.node][1] - more_q
            flow = power_flow(g, order, power, held, tap, w_load, flow and flow.v)
            if flow is None:
                lacks = True
                continue
            keeps, breaks = self._keeps(flow)
            if breaks and many and many.hours:
                return 0, False, True, 0, 0
            kept, never = kept and keeps, never or breaks
            missed, broken = missed + (0 if keeps else weight), broken + (weight if breaks else 0)
            losses.append(flow.loss)
        if lacks:
            return None
        if many:
            if many.share < ONE:
                may = up((ONE - many.share + ONE // 10**9) * sum(many.weights))
                kept, never = missed <= may, broken > may
            worth, most = (many.of_flows(losses, less) + cost for less in (many.minus, many.less))
            return worth, kept, never, most + LITTLE, many.regret and max(losses)
        worth = problem.loss * flow.loss + sum(g.current[e] * l for e, l in flow.l.items())
        worth += sum(price * flow.sent[bus][0] for bus, price in zip(problem.at, problem.price))
        for k, (of, (p, _)) in enumerate(zip(problem.generators, output)):
            worth += of.prices[0] * p + of.prices[1] * down(p * p) + of.prices[2] * (ONE if k not in off else 0)
        return down(worth) + cost, kept, never, down(worth) + cost + LITTLE, 0

    def _keeps(self, flow):
        """Whether a power flow surely keeps all limits, but for TOLERANCE, and whether it surely does not."""
        problem, pairs = self.problem, [(l, self.problem.l_max[e], 0) for e, l in flow.rated.items()]
        low, high = getattr(self, "limits", (problem.grid.w_min, problem.grid.w_max))
        for bus, w in flow.w.items():
            if bus not in problem.grid.sources:
                pairs += [(-w, -low[bus], 0), (w, high[bus], 0)]
        for bus, s in zip(problem.at, problem.sources):
            p, q = flow.sent[bus]
            values = (-1, p), (1, p), (-1, q), (1, q), (1, isqrt(p * p + q * q))
            pairs += [(sign * value, sign * limit, ONE // 100)
                      for (sign, value), limit in zip(values, s.box) if limit is not None]
        beyond = [(value - limit, down(TOLERANCE * max(abs(limit), least)) + LITTLE)
                  for value, limit, least in pairs if limit is not None]
        return all(more <= near for more, near in beyond), any(more > -near for more, near in beyond)

    @property
    def paths(self):
        """The paths of the first node."""
        if self.found_paths is None:
            problem, g = self.problem, self.problem.grid
            none = (g.p_v, g.q_v, g.p_w, g.q_w, g.g, g.b, g.g_fr, g.b_fr, g.g_to, g.b_to, g.price,
                    g.current, problem.price, problem.devices, problem.boxes)
            need(not any(map(any, none[:-2])) and not any(none[-2:]) and problem.loss == ONE and self.many is None
                 and all(t == ONE for t in g.tap) and min(g.p + g.q + g.r + g.x) >= 0, "paths do not cover this grid")
            most = max(w for _, w in problem.squares.values())
            top = [problem.squares[bus][1] if bus in problem.squares else most for bus in range(g.n)]
            self.found_paths = Paths(g, problem.first, top)
        return self.found_paths

    def _line(self, word, rest):
        """A line with a bound."""
        tree, node, many, count = self.tree, self.tree.node, self.many, len(rest)
        if many and word == "future" and count == 8:
            k, branch = whole(rest[0], 0, len(many.demands)), whole(rest[1], -1, self.problem.grid.m)
            status = node.status if branch < 0 else tree.with_open(branch)
            node.tried[k, branch] = node.tried.get((k, branch), 0) + 1
            need(node.tried[k, branch] <= 64, "a future is bounded too often")
            found = self.bound.value(status, self.given[k].line(rest[2:]), (), many.demands[k])
            known = node.values if branch < 0 else node.opened.setdefault(branch, {})
            known[k] = max(v for v in (found, known.get(k), node.values.get(k), self.unknown) if v is not None)
        elif many and word in ("bound", "probe") and count == (word == "probe"):
            values = node.values | (node.opened.get(rest[0], {}) if rest and tree.with_open(rest[0]) else {})
            every = [max(values.get(k, self.unknown), self.unknown) - minus for k, minus in enumerate(many.minus)]
            need(worst(many.measure, every) >= self.goal, "the measure of the bounds does not reach the bound claimed")
            tree.close(rest)
        elif word == "step" and count == 3:
            d, k, side = whole(rest[0], 0, len(node.spans)), rest[1], whole(rest[2], 0, 2)
            first, last = node.spans[d]
            whole(k, first, last)
            both = [[*node.spans[:d], part, *node.spans[d + 1 :]] for part in ((first, k), (k + 1, last))]
            tree.leave(spans=both[1 - side])
            node.spans = both[side]
            tree.enter(node)
        elif word == "judged" and not rest and FREE not in node.status and all(a == b for a, b in node.spans):
            self._judge(node)
            tree.node = None
        elif not many and word in ("parts", "regions") and count == (5 if word == "parts" else 7):
            if word == "parts":
                Parts(self, rest, node.status)
            else:
                Regions(self, node, rest)
            tree.node = None
        else:
            need(not many, f"'{word:.20}' does not hold here")
            tree.bounded(word, rest, self.bound, self.given[0], self.goal)

    def _judge(self, node):
        """A radial state surely breaks a limit, or is worth the bound."""
        problem, positions = self.problem, [first for first, _ in node.spans]
        off = {d.at for d, k in zip(problem.devices, positions) if d.kind == "unit" and not d.values[k]}
        need(not any(of.ranged for k, of in enumerate(problem.generators) if k not in off), "outputs are to be chosen")
        output = [(0, 0) if k in off else (of.box[1], of.box[3]) for k, of in enumerate(problem.generators)]
        found = self._worth(node.status, positions, output)
        need(found is not None, "no power flow of a radial state is shown")
        need(found[2] or found[0] >= self.bound_claimed - self.near, "a radial state keeps limits and is worth less")

    def run(self):
        """Go through the tree; the number of its nodes."""
        spans = [(0, len(d.values) - 1) for d in self.problem.devices]
        self.tree = Tree(self.problem.grid, self.problem.first, self.lines, spans)
        self.tree.run(self._line)
        need(next(self.lines, None) is None, "the file goes on after its end")
        return self.tree.number

BROKEN = Refused, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError

def main(arguments):
    """Check a certificate; the exit code."""
    try:
        with open(arguments[0], encoding="utf-8") as file, gzip.open(arguments[1]) as packed:
            problem, text = Problem(file.read(MOST_BYTES)), packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error, *BROKEN) as error:
        print(f"not readable: {error!r}", file=sys.stderr)
        return 2
    try:
        check = Check(problem, lines_of(text))
        nodes = check.run()
    except BROKEN as error:
        print(f"refused: {error!r}", file=sys.stderr)
        return 5
    base = float(problem.given["s_base_kva"])
    print(f"accepted, {nodes} nodes: no radial state is worth less than {check.least / ONE * base:.6f} kW (or $/h), "
          f"and that with {', '.join(check.head['open'])} open is worth {check.worst / ONE * base:.6f}")
    return 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
