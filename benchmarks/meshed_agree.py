"""Power flows of random grids with stations, rings and several sources against power-grid-model.

    python -m benchmarks.meshed_agree --count 300 [--first 0]

The grids are those of the tests, in whatever state they are made: parallel transformers, busbars in rings of couplers,
cables closed or open at one end, sources that share a load. Prints every difference above 1e-6 of voltages, powers,
currents and losses, and at the end the greatest. power-grid-model computes the grid with one node for all that links
join; the powers of the links are compared with those that it gives with their impedance.
"""

from __future__ import annotations

import argparse

from tests.powerflow.test_stations import LINKS, RELATIVE, differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="how many grids")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    arguments = parser.parse_args()
    most, most_links, loops, faults = 0.0, 0.0, 0, 0
    for seed in range(arguments.first, arguments.first + arguments.count):
        worst, links, found = differences(seed)
        most, most_links, loops = max(most, worst), max(most_links, links), loops + found
        if worst > RELATIVE or links > LINKS:
            faults += 1
            print(f"grid {seed}: {worst:.1e}, links {links:.1e}", flush=True)
    print(f"{arguments.count} grids, {loops} loops, {faults} with differences; greatest {most:.1e}, {most_links:.1e}")


if __name__ == "__main__":
    main()
