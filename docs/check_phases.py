"""A checker of certificates of grids of several phases: plain Python on whole numbers.

    python check_phases.py PROBLEM CERTIFICATE        exit code 0: accepted, 5: refused

PROBLEM is what `openpoint verify GRID CERTIFICATE --export PROBLEM` writes of a grid: compare it with yours. Nothing of
openpoint is imported; balls, numbers with a radius that holds all rounding, are those of `check_set.py` beside it. What
is proved is printed: the least loss of all radial states whose voltages lie in the box of the certificate. The theorems
are M43 and M47 of docs/methods.md, whose letters are used here. Losses of single states are those of sweeps in
floating point.
"""

import cmath
import gzip
import json
import math
import sys
from itertools import product
from math import isqrt
from pathlib import Path

from check_set import BITS, ONE, Ball, Refused, ball, exact, need

OPEN, CLOSED, UNDECIDED, LOOP = 2, 1, 0, 3
BINARY = 20
ZERO = Ball(0)
ROUND = range(3)
A = cmath.exp(-2j * math.pi / 3)
THIRDS = (Ball(ONE), Ball(-ONE // 2, -isqrt(3 * ONE * ONE) // 2, 2), Ball(-ONE // 2, isqrt(3 * ONE * ONE) // 2, 2))
LOSES = 1e-8


def matrix(rows):
    return [[ball(*z) for z in row] for row in rows]


def mul(a, b):
    return [[a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j] for j in ROUND] for i in ROUND]


def adj(a):
    return [[a[j][i].conj() for j in ROUND] for i in ROUND]


def add(a, b, factor=1):
    scaled = [[Ball(factor * z.re, factor * z.im, abs(factor) * z.rad) for z in row] for row in b]
    return [[a[i][j] + scaled[i][j] for j in ROUND] for i in ROUND]


def herm(a):
    twice = add(a, adj(a))
    return [[Ball(z.re >> 1, z.im >> 1, z.rad // 2 + 2) for z in row] for row in twice]


def norm(a):
    return isqrt(sum(z.size() ** 2 for row in a for z in row)) + 1


def exactly(a):
    """N ≥ A, without radii."""
    more = sum(z.rad for row in a for z in row) + 9
    found = [[None] * 3 for _ in ROUND]
    for i in ROUND:
        found[i][i] = Ball(a[i][i].re + more)
        for j in range(i):
            found[i][j] = Ball(a[i][j].re, a[i][j].im)
            found[j][i] = found[i][j].conj()
    return found


def low(z):
    return z.re - z.rad


def high(z):
    return z.re + z.rad


def determinants(m):
    """The leading minors of a Hermitian matrix."""
    a, b, c, d, e, f = m[0][0], m[1][1], m[2][2], m[1][0], m[2][0], m[2][1]
    minor = a * b - d * d.conj()
    crossed = d.conj() * f.conj() * e
    det = c * minor + crossed + crossed.conj() - a * f * f.conj() - b * e * e.conj()
    return a, minor, det


def solved(m, k):
    """Roughly M⁻¹ K, in floating point."""
    rows = [[z.near() for z in m[i]] + [z.near() for z in k[i]] for i in ROUND]
    for p in ROUND:
        pivot = max(range(p, 3), key=lambda i: abs(rows[i][p]))
        rows[p], rows[pivot] = rows[pivot], rows[p]
        need(rows[p][p] != 0, "M is singular")
        rows[p] = [z / rows[p][p] for z in rows[p]]
        for i in ROUND:
            if i != p:
                rows[i] = [z - rows[i][p] * y for z, y in zip(rows[i], rows[p])]
    return [[ball(z.real, z.imag) for z in row[3:]] for row in rows]


class Grid:
    """The problem, and the box of a certificate."""

    def __init__(self, problem, box):
        self.problem, self.box = problem, box
        need(0.2 <= box[0] < box[1] <= 2.0 and 0.0 <= box[2] < 60.0, "the box is none")
        self.buses, self.branches, self.loads = (problem[name] for name in ("buses", "branches", "loads"))
        self.has = [set(bus["phases"]) for bus in self.buses]
        self.sources = [b for b, bus in enumerate(self.buses) if bus["source"]]
        self.rank = sorted(range(len(self.buses)), key=lambda b: -len(self.has[b]))
        self.beside = [[] for _ in self.buses]
        for e, branch in enumerate(self.branches):
            self.beside[branch["fr"]].append((e, 0, branch["to"]))
            self.beside[branch["to"]].append((e, 1, branch["fr"]))
            for name in ("y_fr", "y_to"):
                branch[name + " exact"] = matrix(branch[name]) if branch[name] else None
            branch["z exact"], branch["ratio exact"] = ([matrix(m) for m in branch[name]] for name in ("z", "ratio"))
        least, most, turn = box
        down, up = math.radians(120.0 - turn), math.radians(120.0 + turn)
        self.between = least * 2 * math.sin(down / 2) * (1 - 1e-12), most * 2 * math.sin(up / 2) * (1 + 1e-12)
        self.radius = (
            self.disc(most / least, math.radians(turn)) if any(each["back"] >= 0 for each in self.loads) else 0.0
        )

    @staticmethod
    def disc(ratio, span, count=8000):
        """A radius around its balanced value that holds (1 + z) / (1 − z): largest at the border, slope 2/|1 − z|²."""
        ends = [cmath.exp(1j * (2 * math.pi / 3 + turn)) for turn in (-span, span)]
        middle, far, near = cmath.exp(2j * math.pi / 3), 0.0, math.inf
        for k in range(count):
            t = k / (count - 1)
            size, arc = 1 / ratio + t * (ratio - 1 / ratio), cmath.exp(1j * (2 * math.pi / 3 + span * (2 * t - 1)))
            for z in (ends[0] * size, ends[1] * size, arc * ratio, arc / ratio):
                far = max(far, abs((1 + z) / (1 - z) - (1 + middle) / (1 - middle)))
                near = min(near, abs(1 - z))
        step = max(ratio - 1 / ratio, 2 * span * ratio) / (count - 1)
        return (far + step / (near - step) ** 2) * (1 + 1e-9)

    def price(self, status):
        """kW of what is switched for certain; inf where that is too much."""
        changes = self.problem["fixed_changes"]
        for state, branch in zip(status, self.branches):
            wrong = {OPEN: True, CLOSED: False, LOOP: False}.get(state)
            changes += sum(closed == wrong for closed in branch["today"])
        most = self.problem["max_changes"]
        return math.inf if most is not None and changes > most else self.problem["change_cost_kw"] * changes

    def first(self):
        return [UNDECIDED if b["movable"] else LOOP if b["loop"] else CLOSED for b in self.branches]

    def follow(self, status):
        """Open what would close a loop and close bridges; whether a radial state is left."""
        while True:
            leader = list(range(len(self.buses)))

            def find(b, leader=leader):
                while leader[b] != b:
                    leader[b] = leader[leader[b]]
                    b = leader[b]
                return b

            for b in self.sources:
                leader[find(b)] = find(self.sources[0])
            for wanted in (CLOSED, UNDECIDED):
                for e, branch in enumerate(self.branches):
                    if status[e] == wanted:
                        a, b = find(branch["fr"]), find(branch["to"])
                        if a == b and wanted == CLOSED:
                            return False
                        if a == b:
                            status[e] = OPEN
                        elif wanted == CLOSED:
                            leader[a] = b
            changed = False
            needed, fed = self.bridges([s in (CLOSED, UNDECIDED) for s in status])
            if not fed:
                return False
            for e in needed:
                if status[e] == UNDECIDED:
                    status[e], changed = CLOSED, True
            if not changed:
                return True

    def bridges(self, there):
        """Branches without which a bus is cut off from the sources, and whether all are reached (Tarjan 1974)."""
        number, least, found = dict.fromkeys(self.sources, 0), dict.fromkeys(self.sources, 0), []
        for source in self.sources:
            stack = [(source, -1, iter(self.beside[source]))]
            while stack:
                a, above, rest = stack[-1]
                for e, _, b in rest:
                    if not there[e] or e == above:
                        continue
                    if b not in number:
                        number[b] = least[b] = len(number)
                        stack.append((b, e, iter(self.beside[b])))
                        break
                    least[a] = min(least[a], number[b])
                else:
                    stack.pop()
                    if stack:
                        parent = stack[-1][0]
                        least[parent] = min(least[parent], least[a])
                        if least[a] > number[parent]:
                            found.append(above)
        return found, len(number) == len(self.buses)

    def forest(self, status):
        """Buses, parents first, each with branch, direction and bus above; None where a phase is not fed."""
        found, seen = [], set(self.sources)
        for start in [None, *self.rank]:
            if start in seen:
                continue
            here = list(self.sources) if start is None else [start]
            found += [(b, None, None, None) for b in here]
            seen.update(here)
            for a in here:
                for e, way, b in self.beside[a]:
                    if status[e] == CLOSED and b not in seen:
                        if not self.has[b] <= set(self.branches[e]["phases"]):
                            return None
                        seen.add(b)
                        here.append(b)
                        found.append((b, e, way, a))
        return found

    def share(self, load, u):
        least, most, rated, degree = (load[name] for name in ("low", "high", "rated", "degree"))
        most = math.inf if most is None else most
        if least <= u <= most:
            return u**degree
        w, edge = u / rated, least / rated
        if u > most:
            return rated**degree * w * w / (most / rated if load["outer"] else (most / rated) ** 2)
        if edge <= 0.5 or w <= 0.5:
            return rated**degree * w * w
        at = 1.0 if load["outer"] else 1.0 / edge
        return rated**degree * w * (0.5 + (at - 0.5) * (w - 0.5) / (edge - 0.5))

    def line(self, load, sign, slope):
        """a with sign · share(u) ≥ sign · (a + slope u²) in the box."""
        ends = self.box[:2] if load["back"] < 0 else [z / math.sqrt(3) for z in self.between]
        tries = list(ends)
        for edge in (load["low"], load["high"], 0.5 * load["rated"]):
            tries += [] if edge is None else [edge * (1 - 1e-9), edge * (1 + 1e-9)]
        tries += [0.5 / slope] if slope > 0 else []
        least, rated = load["low"] / load["rated"], load["rated"]
        if least > 0.5:  # what is drawn below the band is a parabola
            bend = ((1.0 if load["outer"] else 1.0 / least) - 0.5) / (least - 0.5)
            scale = rated ** load["degree"]
            curve = scale * bend / rated**2 - slope
            tries += [-0.5 * scale * (0.5 - 0.5 * bend) / rated / curve] if curve else []
        inside = [u for u in tries if ends[0] <= u <= ends[1]]
        found = min(sign * (self.share(load, u) - slope * u * u) for u in inside)
        return sign * (found - 1e-9 * (1 + abs(slope)))

    def bound(self, status, h, slopes):
        """The bound, in multiples of 2^-BITS per unit, or inf where no state is fed."""
        tree = self.forest(status)
        if tree is None:
            return math.inf
        a = [[[ZERO] * 3 for _ in ROUND] for _ in self.buses]
        total = ZERO
        for b, bus in enumerate(self.buses):
            for j in ROUND:
                total += h[b][j] * ball(*bus["s"][j])
            if bus["y"]:
                a[b] = add(a[b], self.shunt(matrix(bus["y"]), h[b]))
        for load, slope in zip(self.loads, slopes):
            total += self.load(load, slope, h, a)
        for e, branch in enumerate(self.branches):
            if status[e] == OPEN:
                continue
            for end, name in (("fr", "y_fr exact"), ("to", "y_to exact")):
                if branch[name]:
                    made = self.shunt(branch[name], [z + Ball(ONE) for z in h[branch[end]]])
                    if status[e] == UNDECIDED:
                        rows = [high(made[i][i]) + sum(made[i][j].size() for j in ROUND if j != i) for i in ROUND]
                        made = [[Ball(max(rows[i], 0)) if i == j else ZERO for j in ROUND] for i in ROUND]
                    a[branch[end]] = add(a[branch[end]], made)
            if status[e] != CLOSED:
                rise = sum(h[branch["to"]][j].re - h[branch["fr"]][j].re for j in branch["phases"])
                way = 0 if rise >= 0 else 1
                near, far = (branch["fr"], branch["to"])[:: 1 - 2 * way]
                a[near] = add(a[near], self.square(branch, way, h[near], h[far], None))
        for b, e, way, above in reversed(tree):
            n = exactly(a[b])
            if e is not None:
                a[above] = add(a[above], self.square(self.branches[e], way, h[above], h[b], n))
            elif self.buses[b]["source"]:
                v = [ball(*z) for z in self.buses[b]["source"]]
                for i in ROUND:
                    for j in ROUND:
                        total -= v[i].conj() * n[i][j] * v[j]
            else:
                total -= Ball(self.greatest(n, self.has[b]))
        return low(total)

    @staticmethod
    def shunt(y, h):
        """−herm(Yᴴ H)."""
        made = herm([[y[j][i].conj() * h[j] for j in ROUND] for i in ROUND])
        return [[Ball(-z.re, -z.im, z.rad) for z in row] for row in made]

    def load(self, load, slope, h, a):
        b, j, k, s = load["bus"], load["phase"], load["back"], ball(*load["power"])
        if k < 0:
            c = h[b][j] * s
        else:
            center = complex(0.0, (-1.0 if (k - j) % 3 == 1 else 1.0) / math.sqrt(3.0))
            plus, minus = h[b][j] + h[b][k], h[b][j] - h[b][k]
            c = (plus + minus * ball(center.real, center.imag)) * s
            off = (minus.size() * s.size() >> BITS) * exact(self.radius * (1 + 1e-12)) >> BITS
            c = Ball((c.re - off) // 2, 0, c.rad // 2 + (minus.size() * s.size() >> BITS + 50) + 4)
        line = self.line(load, 1.0 if c.re >= 0 else -1.0, slope)
        c = Ball(c.re, 0, 9 * c.rad + 1)  # a share is below 4, whatever the sign of c
        part = c * ball(slope)
        if k < 0:
            a[b][j][j] -= part
        else:
            part = Ball(part.re // 3, 0, part.rad // 3 + 2)
            for x, y in ((j, j), (k, k)):
                a[b][x][y] -= part
            for x, y in ((j, k), (k, j)):
                a[b][x][y] += part
        return c * ball(line)

    @staticmethod
    def square(branch, way, ha, hb, n):
        z, t, phases = branch["z exact"][way], branch["ratio exact"][way], branch["phases"]
        one = [each + Ball(ONE) for each in hb]
        m = herm([[one[i] * z[i][j] for j in ROUND] for i in ROUND])
        k = [[t[i][j] * ha[j] - hb[i] * t[i][j] for j in ROUND] for i in ROUND]
        made = [[ZERO] * 3 for _ in ROUND]
        if n is not None:
            back = mul(adj(z), n)
            m = add(m, herm(mul(back, z)), -1)
            k = add(k, mul(back, t), 2)
            made = herm(mul(adj(t), mul(n, t)))
        fill = max(abs(m[i][i].re) for i in phases)
        for i in ROUND:
            if i not in phases:
                for j in ROUND:
                    m[i][j] = m[j][i] = k[i][j] = ZERO
                m[i][i] = Ball(fill)
        minors = determinants(m)
        need(all(low(each) > 0 for each in minors), "M is not positive definite")
        trace = sum(high(m[i][i]) for i in ROUND)
        least = (4 * low(minors[2]) << 2 * BITS) // (trace * trace)
        need(least > 0, "M is too near to singular")
        x = [[Ball(each.re >> 1, each.im >> 1) for each in row] for row in solved(m, k)]
        mx = mul(m, x)
        missed = norm(add(k, mx, -2))
        rest = missed * missed // (4 * least) + 1
        square = add(herm(mul(adj(x), k)), herm(mul(adj(x), mx)), -1)
        found = add(made, square)
        for i in ROUND:
            found[i][i] = found[i][i] + Ball(rest)
        return found

    def greatest(self, a, has):
        """At least vᴴ A v over the box (M47), in floating point: 1e-11 of all sizes is added for its rounding."""
        at, n, (low, high, turn) = sorted(has), len(has), self.box
        w = [[THIRDS[j].conj() * a[j][k] * THIRDS[k] for k in at] for j in at]
        size, off = (sum(part(z) for row in w for z in row) / ONE for part in (Ball.size, lambda z: z.rad))
        own = range(n)
        w = [[complex(w[j][k].re + w[k][j].re, w[j][k].im - w[k][j].im) / (2 * ONE) for k in own] for j in own]
        t, s = [sum(row).real for row in w], [sum(row).imag for row in w]
        rest = [[w[j][k] - (t[j] if j == k else 0) + 1j * (s[k] - s[j]) / n for k in own] for j in own]
        trace, square = sum(rest[j][j].real for j in own), sum(abs(z) ** 2 for row in rest for z in row)
        most = max(trace / 2 + math.sqrt(max(square / 2 - trace**2 / 4, 0.0) + 1e-14 * size**2), 0.0)
        least, sine = -most * (n - 1) / n, math.sin(math.radians(turn / 2))
        angles = 4 * (n - 1) / n * sine * (most * sine + max(s) - min(s))
        best = max(
            sum(max(t[j], least) * x[j] ** 2 + most / n * sum((x[j] - x[k]) ** 2 for k in range(j)) for j in own)
            + angles * max(x) ** 2
            for x in product((low, high), repeat=n)
        )
        value = best + sum(min(each - least, 0.0) for each in t) * low**2
        return exact(value + (1e-11 * (size + most) + off) * high**2) + 2

    def least(self, status):
        """The least loss and price, kW, of all radial states of a node, one by one."""
        found, left = math.inf, [list(status)]
        while left:
            here = left.pop()
            if not self.follow(here) or math.isinf(self.price(here)):
                continue
            if UNDECIDED not in here:
                found = min(found, self.price(here) + self.loss(here) * self.problem["base_kw"])
                continue
            for state in (CLOSED, OPEN):
                left.append(list(here))
                left[-1][here.index(UNDECIDED)] = state
        return found

    def loss(self, status):
        """The loss of a radial state, per unit, of sweeps from no load; inf where a phase is not fed."""
        tree = self.forest(status)
        if tree is None:
            return math.inf
        v = {b: [complex(*z) for z in self.buses[b]["source"] or [(0, 0)] * 3] for b, *_ in tree}
        z, ratio = (
            [[[[complex(*c) for c in r] for r in m] for m in b[name]] for b in self.branches] for name in ("z", "ratio")
        )
        shunts = [
            (self.branches[e][end], [[complex(*c) for c in r] for r in self.branches[e][y]])
            for e, state in enumerate(status)
            for end, y in (("fr", "y_fr"), ("to", "y_to"))
            if state in (CLOSED, LOOP) and self.branches[e][y]
        ]
        loops = [
            (branch["fr"], branch["to"], z[e][0], ratio[e][0], [[complex(*c) for c in row] for row in branch["loop"]])
            for e, branch in enumerate(self.branches)
            if status[e] == LOOP
        ]
        through, around = {}, [[0j] * 3 for _ in loops]
        for sweep in range(300):
            drawn, change = {b: [0j] * 3 for b in v}, 0.0
            if sweep:
                self.draw(v, drawn)
                for b, y in shunts:
                    for i in ROUND:
                        drawn[b][i] += sum(y[i][j] * v[b][j] for j in ROUND)
            for (a, b, _, t, _), c in zip(loops, around):
                for j in ROUND:
                    drawn[b][j] -= c[j]
                    drawn[a][j] += sum(t[i][j].conjugate() * c[i] for i in ROUND)
            for b, e, way, above in reversed(tree):
                if e is not None:
                    through[b] = [c if j in self.has[b] else 0j for j, c in enumerate(drawn[b])]
                    for j in ROUND:
                        drawn[above][j] += sum(ratio[e][way][i][j].conjugate() * through[b][i] for i in ROUND)
            for b, e, way, above in tree:
                if e is not None:
                    new = [
                        sum(ratio[e][way][i][j] * v[above][j] - z[e][way][i][j] * through[b][j] for j in ROUND)
                        for i in ROUND
                    ]
                    change = max(change, *(abs(x - y) for x, y in zip(new, v[b])))
                    v[b] = new
            for (a, b, impedance, t, admittance), c in zip(loops, around):
                left = [sum(t[i][j] * v[a][j] - impedance[i][j] * c[j] for j in ROUND) - v[b][i] for i in ROUND]
                left = [x if any(row) else 0j for x, row in zip(left, admittance)]
                change = max(change, *map(abs, left))
                for i in ROUND:
                    c[i] += sum(admittance[i][j] * left[j] for j in ROUND)
            need(change < 1e6, "no flow is found")
            if sweep and change <= 1e-12:
                break
        else:
            raise Refused("no flow is found")
        parts = [(through[b], z[e][way]) for b, e, way, _ in tree if e is not None] + [(v[b], y) for b, y in shunts]
        parts += [(c, impedance) for (_, _, impedance, _, _), c in zip(loops, around)]
        found = sum((x[i].conjugate() * a[i][j] * x[j]).real for x, a in parts for i in ROUND for j in ROUND)
        return found - LOSES * abs(found)

    def draw(self, v, drawn):
        for b, bus in enumerate(self.buses):
            for j in self.has[b]:
                s = complex(*bus["s"][j])
                drawn[b][j] += (s / v[b][j]).conjugate() if s else 0j
                if bus["y"]:
                    drawn[b][j] += sum(complex(*bus["y"][j][k]) * v[b][k] for k in ROUND)
        for load in self.loads:
            b, j, k = load["bus"], load["phase"], load["back"]
            u = v[b][j] - (v[b][k] if k >= 0 else 0j)
            size = abs(u) / (math.sqrt(3.0) if k >= 0 else 1.0)
            c = (complex(*load["power"]) * self.share(load, size) / u).conjugate()
            drawn[b][j] += c
            if k >= 0:
                drawn[b][k] -= c


def check(problem, lines):
    """The least loss and price, kW, that the lines of a certificate prove of a problem."""
    need(problem["format"] == "openpoint problem of phases 1", "this is no problem")
    head = lines[0]
    need(head["format"] == "openpoint certificate of phases 2", "this is no certificate")
    for name in ("max_changes", "change_cost_kw", "locked_open", "locked_closed"):
        need(head[name] == problem[name], f"{name} of the certificate is not that of the problem")
    grid = Grid(problem, head["box"])
    places = [(b, j) for b in range(len(grid.buses)) if not grid.buses[b]["source"] for j in ROUND if j in grid.has[b]]
    last, least, left = [0] * (2 * len(places) + len(grid.loads)), math.inf, [grid.first()]
    for line in lines[1:]:
        need(left, "there are more lines than nodes")
        status = left.pop()
        some, price = grid.follow(status), grid.price(status)
        if line == "none":
            need(not some or price == math.inf or grid.forest(status) is None, "a node has states")
            continue
        need(some, "a node without a state has another line")
        if isinstance(line, dict):
            need(len(line["steps"]) == len(last) and all(type(x) is int for x in line["steps"]), "steps are others")
            last = [x + y for x, y in zip(last, line["steps"])]
            need(all(abs(x) < 1 << 52 for x in last), "a multiplier is too large")
            h = [[ZERO] * 3 for _ in grid.buses]
            for n, (b, j) in enumerate(places):
                h[b][j] = Ball(last[n] << BITS - BINARY, last[n + len(places)] << BITS - BINARY)
            found = grid.bound(status, h, [x / 2.0**BINARY for x in last[2 * len(places) :]])
            least = min(least, price + (found if found == math.inf else found / ONE * problem["base_kw"] * (1 - 1e-15)))
        elif line == "flow":
            least = min(least, grid.least(status))
        else:
            need(type(line) is int and 0 <= line < len(status) and status[line] == UNDECIDED, "no branch to divide by")
            for state in (CLOSED, OPEN):
                other = list(status)
                other[line] = state
                left.append(other)
    need(not left, "nodes have no line")
    return least


def main(paths):
    if len(paths) != 2:
        print(__doc__)
        return 2
    try:
        problem = json.loads(Path(paths[0]).read_text())
        with gzip.open(paths[1], "rt") as file:
            lines = [json.loads(line) for line in file]
        print(f"accepted: no radial state in the box {lines[0]['box']} loses less than {check(problem, lines):.9g} kW")
    except Refused as error:
        print(f"refused: {error}")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
