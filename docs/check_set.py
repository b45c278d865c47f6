"""A checker of certificates of sets of loads: plain Python on whole numbers, which shares no code with anything.

    python check_set.py PROBLEM CERTIFICATE        exit code 0: accepted, 5: refused

PROBLEM is what `openpoint verify GRID CERTIFICATE --export PROBLEM` writes of a grid and a question: compare it with
your grid. Accepted is: for every realisation of the set there is exactly one power flow near the voltages of the file,
and all limits of PROBLEM are kept. A number is a ball: a midpoint in multiples of 2^-BITS, and a radius that holds all
rounding. docs/every_load.md E8 has the theorem, whose letters are used here.
"""

import json
import math
import sys
from math import isqrt
from pathlib import Path

BITS = 128
ONE = 1 << BITS
DIRECTIONS = 8


class Refused(Exception):
    """The certificate does not prove what is asked."""


def need(holds, why):
    if not holds:
        raise Refused(why)


class Ball:
    """A complex number re + i im, in multiples of 2^-BITS, that is off by at most rad."""

    def __init__(self, re, im=0, rad=0):
        self.re, self.im, self.rad = re, im, rad

    def __add__(self, b):
        return Ball(self.re + b.re, self.im + b.im, self.rad + b.rad)

    def __sub__(self, b):
        return Ball(self.re - b.re, self.im - b.im, self.rad + b.rad)

    def __mul__(self, b):
        here, there = abs(self.re) + abs(self.im), abs(b.re) + abs(b.im)
        rad = (here * b.rad + self.rad * (there + b.rad) >> BITS) + 3
        re, im = self.re * b.re - self.im * b.im, self.re * b.im + self.im * b.re
        return Ball(re >> BITS, im >> BITS, rad)

    def conj(self):
        return Ball(self.re, -self.im, self.rad)

    def size(self):
        """At least the modulus."""
        return isqrt(self.re**2 + self.im**2) + 1 + self.rad

    def inverse(self):
        need(self.rad == 0 and (self.re or self.im), "a voltage is 0")
        square = self.re**2 + self.im**2
        return Ball((self.re << 2 * BITS) // square, -(self.im << 2 * BITS) // square, 3)

    def near(self):
        return complex(self.re / ONE, self.im / ONE)


def exact(x):
    """A double as a whole number of 2^-BITS, off by less than 1."""
    need(type(x) in (int, float) and abs(x) < 1e12, f"{x!r:.40} is no number")
    above, below = x.as_integer_ratio()
    return above * ONE // below


def ball(re, im=0.0):
    return Ball(exact(re), exact(im), 2)


def up(a, b):
    """a b, rounded up, of numbers that are not negative."""
    return -(-a * b >> BITS)


def over(a, b):
    return -((-a << BITS) // b)


def total(terms):
    return sum(terms, Ball(0))


def support(values, budget):
    """The greatest sum of ζ values with |ζ| ≤ 1 and Σ |ζ| ≤ budget."""
    sizes = sorted(map(abs, values), reverse=True)
    if budget is None or budget >= len(sizes):
        return sum(sizes)
    return sum(sizes[: int(budget)]) + -(-sizes[int(budget)] * exact(budget - int(budget)) >> BITS) + 1


def modulus(row, budget):
    """At least the greatest modulus of Σ ζ row."""

    def along(c, s):
        return support([abs(c * z.re + s * z.im >> BITS) + z.rad + 2 for z in row], budget)

    box = isqrt(along(ONE, 0) ** 2 + along(0, ONE) ** 2) + 1
    turns = [k * math.pi / DIRECTIONS for k in range(DIRECTIONS)]
    most = max(along(exact(math.cos(t)), exact(math.sin(t))) for t in turns)
    return min(box, up(most, exact(1.0 / math.cos(math.pi / 2 / DIRECTIONS) * (1.0 + 1e-12))) + len(row))


def inverse(rows):
    """Roughly the inverse of a matrix of sparse rows, by elimination."""
    n = len(rows)
    rows = [(dict(row), {k: 1.0 + 0.0j}) for k, row in enumerate(rows)]
    left, place = set(range(n)), {}
    while left:
        k = min(left, key=lambda k: len(rows[k][0]))
        need(rows[k][0], "the grid is singular")
        column = max(rows[k][0], key=lambda c: abs(rows[k][0][c]))
        pivot = rows[k][0][column]
        mine = [{c: v / pivot for c, v in part.items()} for part in rows[k]]
        rows[k] = mine
        left.remove(k)
        place[column] = k
        for i in range(n):
            if i != k and column in rows[i][0]:
                factor = rows[i][0].pop(column)
                for there, here in zip(rows[i], mine):
                    for c, v in here.items():
                        if c != column or there is rows[i][1]:
                            there[c] = there.get(c, 0.0) - factor * v
                for c in [c for c, v in rows[i][0].items() if abs(v) < 1e-13]:
                    del rows[i][0][c]
    return [rows[place[c]][1] for c in range(n)]


class Part:
    """A part of the grid: its linear equations M w = given − draws y, and ports that draw y = conj(s φ / u)."""

    def __init__(self, given, file, budget):
        self.budget, n, ports = budget, len(given["given"]), given["ports"]
        self.matrix = [[] for _ in range(n)]
        for i, j, re, im in given["matrix"]:
            self.matrix[i].append((j, ball(re, im)))
        rough = inverse([{j: z.near() for j, z in row} for row in self.matrix])
        columns = [[] for _ in range(n)]
        for i, row in enumerate(rough):
            for j, z in row.items():
                columns[j].append((i, ball(z.real, z.imag)))
        self.columns, sums, off = columns, [0] * n, [0] * n
        for j, column in enumerate(columns):
            for i, z in self.times(dict(column)).items():
                off[i] += (z - Ball(ONE * (i == j))).size()
            for i, z in column:
                sums[i] += z.size()
        worst = max(off, default=0)
        need(2 * worst < ONE, "the grid is too near to a singular one")
        self.norm = over(max(sums, default=0), ONE - worst)
        self.draws = [{i: ball(sign) for i, sign in port["draws"]} for port in ports]
        self.of_port, errors = zip(*map(self.solved, self.draws)) if ports else ((), ())
        self.ohms = given["ohms"]
        self.of_branch = [self.solved({each["state"]: Ball(ONE)}) for each in self.ohms]
        self.most = [exact(file["currents"][each["number"]]) for each in self.ohms]
        need(all(most >= 0 for most in self.most), "a current is negative")
        self.along = [self.by_ohms(each, self.most) for each in self.ohms]
        at_rest, error = self.solved({i: ball(*z) for i, z in enumerate(given["given"])})
        m = len(ports)
        self.u = u = [Ball(exact(re), exact(im)) for re, im in (file["u"][port["number"]] for port in ports)]
        self.h = [exact(file["radii"][port["number"]]) for port in ports]
        inv = [each.inverse() for each in u]
        scale = [self.scaled(port, each) for port, each in zip(ports, u)]
        outputs = file["outputs"]
        self.s = [total([ball(*port["s"]), *self.made(port, outputs)]) * c for port, c in zip(ports, scale)]
        self.b = [[z * c for z in spread_of(port, file)] for port, c in zip(ports, scale)]
        self.degree = [port["degree"] for port in ports]
        z = [[self.dot(self.draws[k], self.of_port[j], errors[j]) for j in range(m)] for k in range(m)]
        self.a = [[z[k][j] * inv[k] * inv[j].conj() for j in range(m)] for k in range(m)]
        self.y = [(self.s[k] * inv[k]).conj() for k in range(m)]
        at = [self.dot(self.draws[k], at_rest, error) - u[k] for k in range(m)]
        miss = [at[k] - total(z[k][j] * self.y[j] for j in range(m)) for k in range(m)]
        self.direct = [[up(z, inv[k].size()) for z in self.by_branches(self.draws[k])] for k in range(m)]
        self.rho = [(miss[k] * inv[k]).size() + sum(map(up, self.direct[k], self.along)) for k in range(m)]
        self.inv, self.errors, self.at_rest, self.error = inv, errors, at_rest, error
        self.proved()
        for each, most in zip(self.ohms, self.most):
            need(modulus_of(self, {each["state"]: Ball(ONE)}, Ball(0), True)[1] <= most, "a current may be larger")

    @staticmethod
    def by_ohms(each, values):
        """At least what a branch that deviates makes of values of all of them."""
        return sum(up(exact(size) + 1, values[j]) for j, size in each["sizes"])

    def by_branches(self, row):
        """At least the moduli of what voltages along branches that deviate do to row · w."""
        return [self.dot(row, w, error).size() for w, error in self.of_branch]

    @staticmethod
    def scaled(port, u):
        """(|u| / unit) to the power of the degree of the model."""
        ratio = over(isqrt(u.re**2 + u.im**2), exact(port["unit"]))
        return [Ball(ONE), Ball(ratio, 0, 4), Ball(up(ratio, ratio), 0, 16)][port["degree"]]

    @staticmethod
    def made(port, outputs):
        half = len(outputs) // 2
        return [ball(re, im) * ball(outputs[k], outputs[half + k]) for k, re, im in port["units"]]

    def times(self, w):
        """M w; w: by state."""
        found = {}
        for i, row in enumerate(self.matrix):
            terms = [z * w[j] for j, z in row if j in w]
            if terms:
                found[i] = total(terms)
        return found

    def solved(self, right):
        """Roughly M⁻¹ right, by state, and how far it is off at most."""
        w = {}
        for j, value in right.items():
            for i, z in self.columns[j]:
                w[i] = w.get(i, Ball(0)) + z * value
        w = {i: Ball(z.re, z.im) for i, z in w.items()}
        image = self.times(w)
        off = max((image.get(i, Ball(0)) - right.get(i, Ball(0))).size() for i in {*image, *right})
        return w, up(self.norm, off) + 1

    @staticmethod
    def dot(row, w, error):
        found = total(z * w[i] for i, z in row.items() if i in w)
        found.rad += up(sum(z.size() for z in row.values()), error) + 1
        return found

    def drawn(self, k, x):
        """Λx at port k."""
        s, degree = self.s[k], self.degree[k]
        return [s * x, Ball(0, ONE) * s * Ball(x.im, 0, x.rad), Ball(0) - s * x.conj()][degree]

    def proved(self):
        """Theorem 3: the map takes |η| ≤ h into itself and contracts. Then the box in which r lies."""
        m, n, budget = len(self.u), len(self.b[0]) if self.b else 0, self.budget
        near = [[z.near() for z in row] for row in self.a]
        loads, b = [z.near() for z in self.s], [[z.near() for z in row] for row in self.b]

        def linear(k, x):
            return [loads[k] * x, 1j * loads[k] * x.imag, -loads[k] * x.conjugate()][self.degree[k]]

        t = [[0j] * n for _ in range(m)]
        for _ in range(60):
            e = [[(b[k][i] - linear(k, t[k][i])).conjugate() for i in range(n)] for k in range(m)]
            new = [[-sum(near[k][j] * e[j][i] for j in range(m)) for i in range(n)] for k in range(m)]
            step = max((abs(p - q) for x, y in zip(new, t) for p, q in zip(x, y)), default=0.0)
            t = new
            if step < 1e-15:
                break
        self.t = t = [[Ball(exact(z.real), exact(z.imag)) for z in row] for row in t]
        e = [[self.b[k][i] - self.drawn(k, t[k][i]) for i in range(n)] for k in range(m)]
        missed = [
            [total(self.a[k][j] * e[j][i].conj() for j in range(m)) + t[k][i] for i in range(n)] for k in range(m)
        ]
        defect = [support([z.size() for z in row], budget) for row in missed]
        size, sizes = [z.size() for z in self.s], [[z.size() for z in row] for row in self.a]
        d = [modulus(row, budget) for row in self.b]
        x0 = [modulus(row, budget) for row in t]
        self.x = x = [a + h for a, h in zip(x0, self.h)]
        need(all(h >= 0 for h in self.h) and all(each < ONE * 95 // 100 for each in x), "the radii are too large")
        r = [remainder(self.degree[k], x[k], d[k], size[k]) for k in range(m)]
        for k in range(m):
            image = self.rho[k] + defect[k] + sum(up(sizes[k][j], up(size[j], self.h[j]) + r[j]) for j in range(m))
            need(image <= self.h[k], "the radii do not prove that each realisation has one flow")
        slope = [size[k] + steep(self.degree[k], x[k], d[k], size[k]) for k in range(m)]
        weight, share = [each + (ONE >> 40) for each in [*x, *self.along]], ONE
        rows = [{each["state"]: Ball(ONE)} for each in self.ohms]
        by_port = [
            [up(self.dot(row, self.of_port[k], self.errors[k]).size(), self.inv[k].size()) for k in range(m)]
            for row in rows
        ]
        by_branch = [self.by_branches(row) for row in rows]
        for _ in range(50):
            moved, along = [up(a, b) for a, b in zip(slope, weight)], weight[m:]
            image = [sum(map(up, sizes[k], moved)) + sum(map(up, self.direct[k], along)) for k in range(m)]
            now = [sum(map(up, a, moved)) + sum(map(up, b, along)) for a, b in zip(by_port, by_branch)]
            image += [self.by_ohms(each, now) for each in self.ohms]
            share = max((over(i, w) for i, w in zip(image, weight)), default=0)
            if share < ONE:
                break
            weight = [over(w, max(weight)) + over(i, max(image)) for w, i in zip(weight, image)]
        need(share < ONE, "the flows are not proved to be unique")
        self.box = [
            box(self.degree[k], t[k], e[k], x0[k], x[k], d[k], size[k], r[k], self.h[k], budget) for k in range(m)
        ]

    def middle(self, row):
        """row · w in the middle of the set."""
        by_port = (self.dot(row, w, error) * y for w, error, y in zip(self.of_port, self.errors, self.y))
        return self.dot(row, self.at_rest, self.error) - total(by_port)

    def real(self, row, plus, own, sharp):
        """Bounds of Re(row · w + plus) + own · ζ: middle, and how far it is from it at most.

        Args:
            own: a middle, and a number for each ζ. sharp: whether to look for multipliers μ of the flow equation.
        """
        m, n = len(self.u), len(own[1])
        g = [Ball(0) - self.dot(row, self.of_port[k], self.errors[k]).conj() * self.inv[k] for k in range(m)]
        mu = self.multipliers(g) if sharp else [Ball(0)] * m
        through = [total(mu[k] * self.a[k][j] for k in range(m)).conj() if sharp else Ball(0) for j in range(m)]
        slope = [p + q for p, q in zip(g, through)]
        left = [mu[k] - self.pulled(k, slope[k]) for k in range(m)]
        middle = self.middle(row) + plus + own[0]
        by = [total(slope[k] * self.b[k][i] + left[k] * self.t[k][i] for k in range(m)) + own[1][i] for i in range(n)]
        wide = support([abs(z.re) + z.rad + 1 for z in by], self.budget) + middle.rad
        for k in range(m):
            centre, re, im = self.box[k]
            moved = slope[k] * centre
            middle = middle - Ball(moved.re)
            wide += moved.rad + up(abs(slope[k].re) + slope[k].rad, re) + up(abs(slope[k].im) + slope[k].rad, im) + 2
            wide += up(left[k].size(), self.h[k]) + up(mu[k].size(), self.rho[k])
        wide += sum(map(up, self.by_branches(row), self.along))
        return middle.re, wide

    def pulled(self, k, g):
        """c with Re(c x) = Re(g Λx)."""
        z = g * self.s[k]
        return [z, Ball(0, z.im, z.rad), Ball(0) - z.conj()][self.degree[k]]

    def multipliers(self, g):
        """Roughly μ = (g + μ A conj) Λ."""
        near, loads, m = [[z.near() for z in row] for row in self.a], [z.near() for z in self.s], len(g)
        mu, g = [0j] * m, [z.near() for z in g]
        for _ in range(60):
            z = [(g[j] + sum(mu[k] * near[k][j] for k in range(m)).conjugate()) * loads[j] for j in range(m)]
            mu = [[v, 1j * v.imag, -v.conjugate()][self.degree[j]] for j, v in enumerate(z)]
        return [Ball(exact(z.real), exact(z.imag)) for z in mu]


def remainder(degree, x, d, s):
    """At least |r|."""
    if degree == 2:
        return up(d, x)
    if degree == 0:
        return over(up(x, d + up(s, x)), ONE - x)
    turn = over(up(x, x), 2 * (ONE - x)) + over(up(x, x), 2 * (ONE - up(x, x)))
    return up(d, x) + up(s + d, turn)


def steep(degree, x, d, s):
    """At least |∂r/∂x|."""
    if degree == 2:
        return d
    if degree == 0:
        return over(over(d + 2 * up(s, x) + up(s, up(x, x)), ONE - x), ONE - x)
    return d + up(s + d, up(over(x, ONE - x), ONE + over(ONE, isqrt((ONE - up(x, x)) << BITS))))


def box(degree, t, e, x0, x, d, s, r, h, budget):
    """A rectangle in which r lies: its centre, and half of its sides. At constant power r (1 + x) = x (d − s x)."""
    if degree:
        return Ball(0), r, r
    g = modulus(e, budget)
    rest = up(up(x0, s), h) + up(h, g + up(s, h))
    rest += over(up(min(up(x0, g) + rest, up(x, d + up(s, x))), x), ONE - x) + 8

    def product(p, q):
        of_p, of_q = max(support(p, budget), 1), max(support(q, budget), 1)
        ratio = isqrt((of_q << 2 * BITS) // of_p) + 1  # κ²
        kappa = isqrt(ratio << BITS) + 1
        both = [((a * kappa >> BITS), (c << BITS) // kappa) for a, c in zip(p, q)]
        more, less = (support([a + sign * c for a, c in both], budget) + 4 * len(both) for sign in (1, -1))
        return -min(up(less, less) // 4 + 1, up(of_p, of_q)), min(up(more, more) // 4 + 1, up(of_p, of_q))

    rad = 2 * sum(z.rad for z in [*t, *e]) + 2
    tr, ti, er, ei = ([getattr(z, part) for z in row] for row, part in ((t, "re"), (t, "im"), (e, "re"), (e, "im")))
    rr, ii, ri, ir = product(tr, er), product(ti, ei), product(tr, ei), product(ti, er)
    sides = (rr[0] - ii[1], rr[1] - ii[0]), (ri[0] + ir[0], ri[1] + ir[1])
    (a, b), (c, f) = ((max(low - rest - rad, -r), min(high + rest + rad, r)) for low, high in sides)
    return Ball(a + b >> 1, c + f >> 1), (b - a >> 1) + 2, (f - c >> 1) + 2


def spread_of(port, file):
    """What each deviation adds to the power of a port, with the generators that follow it."""
    found = [Ball(0)] * (port["deviations"])
    for i, re, im in port["loads"]:
        found[i] = found[i] + ball(re, im)
    gain = file["gain"]
    for k, re, im in port["units"]:
        for i in range(len(found)):
            found[i] = found[i] + ball(re, im) * ball(gain[k][i], gain[len(gain) // 2 + k][i])
    return found


def modulus_of(part, row, plus, sharp):
    """Bounds of |row · w + plus|."""
    f = (part.middle(row) + plus).near()
    turn = f.conjugate() / abs(f) if f else 1.0
    turns = [ball(turn.real, turn.imag), ball(turn.imag, -turn.real)]  # along it, and across
    length, none = turns[0].size(), (Ball(0), [Ball(0)] * (len(part.b[0]) if part.b else 0))
    (a, wa), (c, wc) = (part.real({i: z * by for i, z in row.items()}, plus * by, none, sharp) for by in turns)
    most = over(isqrt((abs(a) + wa) ** 2 + (abs(c) + wc) ** 2) + 1, 2 * ONE - length - 4)
    return over(max(a - wa, 0), length + 4) - 2, most


def kept(part, each, held, file):
    """Whether a quantity keeps its limits."""
    low, high, ramp = (None if each[name] is None else exact(each[name]) for name in ("low", "high", "ramp"))
    row, plus = {i: ball(re, im) for i, re, im in each["row"]}, ball(*each["plus"])
    count = len(part.b[0]) if part.b else 0
    for sharp in (False, True):
        if each["of"] == "modulus":
            least, most = modulus_of(part, row, plus, sharp)
            holds = (low is None or least >= low) and (high is None or most <= high)
        else:
            by, turn = (Ball(ONE), Ball(ONE)) if each["of"] == "p" else (Ball(0, ONE), Ball(0, -ONE))
            takes = [(held[k], ball(re, im) * turn) for k, re, im in each["taken"]]
            own = total(total([ball(*port["s"]), *Part.made(port, file["outputs"])]) * z for port, z in takes)
            spread = [[w * z for w in spread_of(port, file)] for port, z in takes]
            own = own, [total(column) for column in zip(*spread)] if spread else [Ball(0)] * count
            turned = {i: z * by for i, z in row.items()}
            value, wide = part.real(turned, plus * by, own, sharp)
            holds = (low is None or value - wide >= low) and (high is None or value + wide <= high)
            at = part.middle(turned) + plus * by + own[0]
            holds = holds and (ramp is None or abs(value - at.re) + at.rad + wide <= ramp)
        if holds:
            return True
    return False


def check(problem, file):
    """Accept a certificate.

    Raises:
        Refused: it proves nothing.
    """
    need(problem["format"] == "openpoint set problem 1", "this is no problem")
    need(file["format"] == "openpoint set of flows 1", "this is no certificate")
    budget, outputs, gain = problem["budget"], file["outputs"], file["gain"]
    need(len(outputs) == len(gain) == len(problem["units"]), "the set-points are not those of the problem")
    count = sum(len(part["ports"]) for part in problem["parts"])
    need(count == len(file["u"]) == len(file["radii"]), "the voltages are not those of the problem")
    for unit, output, row in zip(problem["units"], outputs, gain):
        wide, at = support([exact(value) for value in row], budget) + 2, exact(output)
        least, most, ramp = (exact(unit[name]) for name in ("low", "high", "ramp"))
        need(least <= at - wide and at + wide <= most and wide <= ramp, "a generator leaves its limits")
    for given in problem["parts"]:
        part = Part(given, file, budget)
        for each in given["quantities"]:
            need(kept(part, each, problem["held"], file), f"{each['name']}: its limits are not proved to be kept")


if __name__ == "__main__":
    try:
        check(*(json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3]))
    except (Refused, KeyError, IndexError, TypeError, ValueError) as error:
        print(f"refused: {error}")
        sys.exit(5)
    print("accepted: each realisation has one flow, and keeps all limits of the problem")
