"""The lines of a certificate with bounds by paths: what they take out of a node."""

from __future__ import annotations

from openpoint.arrays import States
from openpoint.verify.claim import Claim
from openpoint.verify.errors import CertificateError
from openpoint.verify.lines import ByParts, ByPaths
from openpoint.verify.multipliers import Multipliers
from openpoint.verify.path_node import EXCLUDED, REACHED
from openpoint.verify.path_parts import PartLines, nodes_of_grid
from openpoint.verify.paths import PathBound, obstacles
from openpoint.verify.wires import CLOSED, FREE


class PathLines:
    """The paths of the grid at the first node, and the multipliers of the last line.

    Attributes:
        swept: the paths, and what is known of them. nodes: the bound at all nodes. multipliers: of the junctions.
    """

    def __init__(self, claim: Claim, status: States) -> None:
        """`status`: of the branches at the first node, without what follows from these.

        Raises:
            CertificateError: the bound does not hold for the grid.
        """
        data = claim.data()
        if why := obstacles(data):
            raise CertificateError(f"the bound by paths does not hold for a grid with {', '.join(why)}")
        squares = {bus: high for bus, (_, high) in claim.places.squares_of(data).items()}
        self.swept = PathBound(data, claim.graph, squares).swept(status.tolist())
        self.nodes = nodes_of_grid(self.swept)
        if len(self.nodes.buses) != claim.junctions:
            raise CertificateError(f"the paths of the grid have {len(self.nodes.buses)} junctions")
        self.multipliers, self.goal = Multipliers(len(self.nodes.buses)), claim.goal

    def parts(self, line: ByParts, status: States, ways: States) -> PartLines:
        """Divide the paths of a node with these states into parts."""
        return PartLines(self.swept, self.goal, (status, ways), line)

    def take_out(self, line: ByPaths, status: States, ways: States) -> bool:
        """Close the branches and exclude the directions of paths that a line names; whether it is all of the node.

        Args:
            status, ways: (E) states of the branches, (K) states that paths may have; both are changed.

        Raises:
            CertificateError: the bound does not tell that no state of the node below the claimed bound has these.
        """
        closed, given = line.closed, self.multipliers
        given.take(line.given)
        lost, left = status.copy(), ways.copy()
        found = self.nodes.decided(lost, left, given.y, given.mu, given.bits, self.goal)
        if any(branch not in self.nodes.of_branch for branch, _ in line.ways):
            raise CertificateError("a direction is that of a branch on no path")
        turned = [self.nodes.way(*way) for way in line.ways]
        if any(status[e] != FREE for e in closed):
            raise CertificateError(f"of the branches {closed} one is decided already")
        if len(set(turned)) < len(turned) or any(not ways[k] & state for k, state in turned):
            raise CertificateError("a direction is excluded twice")
        excluded = all(lost[e] == CLOSED for e in closed) and not any(left[k] & state for k, state in turned)
        if not (found == REACHED or (found == EXCLUDED and excluded and turned + closed)):
            raise CertificateError("the bound by paths of these multipliers does not reach the bound claimed")
        status[closed] = CLOSED
        for k, state in turned:
            ways[k] &= ~state
        return not turned + closed
