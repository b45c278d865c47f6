"""Compiled: products and inverses of 3 × 3 complex matrices."""

from __future__ import annotations

from openpoint.arrays import Complexes
from openpoint.compiled.jit import inlined


@inlined
def multiply(a: Complexes, b: Complexes, out: Complexes) -> None:
    """out = a b."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@inlined
def multiply_adjoint(a: Complexes, b: Complexes, out: Complexes) -> None:
    """out = aᴴ b."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[0, i].conjugate() * b[0, j] + a[1, i].conjugate() * b[1, j] + a[2, i].conjugate() * b[2, j]


@inlined
def invert_positive(m: Complexes, out: Complexes) -> bool:
    """The inverse of a Hermitian matrix; False where it is not positive definite."""
    a, b, c = m[0, 0].real, m[1, 1].real, m[2, 2].real
    d, e, f = m[1, 0], m[2, 0], m[2, 1]
    dd, ee, ff = d.real**2 + d.imag**2, e.real**2 + e.imag**2, f.real**2 + f.imag**2
    minor = a * b - dd
    if not (a > 0.0 and minor > 1e-14 * a * b and c > 0.0):
        return False
    det = c * minor + 2.0 * (d.conjugate() * f.conjugate() * e).real - a * ff - b * ee
    if not det > 1e-14 * minor * c:
        return False
    q = 1.0 / det
    out[0, 0], out[1, 1], out[2, 2] = (b * c - ff) * q, (a * c - ee) * q, minor * q
    out[1, 0] = (f.conjugate() * e - d * c) * q
    out[2, 0] = (d * f - e * b) * q
    out[2, 1] = (e * d.conjugate() - a * f) * q
    out[0, 1], out[0, 2], out[1, 2] = out[1, 0].conjugate(), out[2, 0].conjugate(), out[2, 1].conjugate()
    return True
