"""The network that a certificate is of: what it locks may be switched, and what it holds stays as today."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.network import Network
from openpoint.network.devices import Devices, with_outputs_held
from openpoint.verify.devices import named
from openpoint.verify.head import Head
from openpoint.verify.verified import CertificateError


def with_locks(net: Network, head: Head) -> Network:
    """The network in which transformers that the certificate locks in another state than today's are switchable."""
    locked = {True: set(head.locked_open), False: set(head.locked_closed)}
    asked = [kind == "transformers" and e in locked[bool(net.closed[e])] for e, kind in enumerate(net.branch_kinds)]
    return replace(net, switchable=net.switchable | np.array(asked, dtype=np.bool_))


def as_meant(net: Network, devices: Devices, names: list[str], digest: str) -> tuple[Network, Devices, str]:
    """The network that a certificate is of, its devices, and in words which outputs of generators it holds as today.

    Raises:
        CertificateError: none of them has this digest.
    """
    for ranged, off, words in (
        (False, False, ""),
        (False, True, "generators that are off stay off"),
        (True, False, "outputs of generators as today"),
        (True, True, "outputs of generators as today"),
    ):
        held = with_outputs_held(net, devices, ranged=ranged, off=off) if words else net
        if (free := named(held, devices, names, digest)) is not None:
            return held, free, words
    why = "of another grid or other switchable branches, or the grid was changed since (digest)"
    raise CertificateError(f"the certificate is {why}")
