"""Regulators, capacitors and switches of the IEEE 123 node feeder: exact figures.

    python -m benchmarks.dispatch_phases

With 0.95 to 1.05 pu, taps and capacitors free, the least loss known is 93.350 kW (today 95.977 kW) and the least power
of the source 3517.753 kW (today 3615.264 kW); with the switches free the least loss known is 91.800 kW.
"""

from __future__ import annotations

import sys
import time

import openpoint
from openpoint import Limits
from openpoint.formulations.phases import Sought, phases_question
from openpoint.studies.dispatch.phases import dispatch_phases

LIMITS = Limits(v_min_pu=0.95, v_max_pu=1.05)
LEAST_KW = {Sought.LOSS: (93.350, 91.800), Sought.SOURCE: (3517.753, 3517.753)}
ACCURACY_KW = 0.001
FREE = (("taps", "capacitors"), ("topology", "taps", "capacitors"))


def main() -> int:
    """Run each question once; exit code 1 where a figure known is not reached."""
    grid, missed = openpoint.read("ieee123"), False
    for sought in Sought:
        for free, known in zip(
            (("taps", "capacitors"), ("topology", "taps", "capacitors")), LEAST_KW[sought], strict=True
        ):
            began = time.process_time()
            found = dispatch_phases(phases_question(grid, free=free, sought=sought, limits=LIMITS))
            spent = time.process_time() - began
            print(f"{sought}, {' '.join(free)}: {found.best.value_kw:.3f} kW, {spent:.1f} s")
            print(f"  {found.tried:,} states")
            missed |= found.best.value_kw > known + ACCURACY_KW
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
