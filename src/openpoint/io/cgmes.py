"""CGMES 2.4.15: the profiles EQ, SSH, TP and SV of a grid as XML files, in a folder or packed in a zip.

pandapower's own converter makes a net of them, which is read as any other (`openpoint.io.pandapower`).
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from openpoint.atomic import write_bytes
from openpoint.errors import Faults, InputError, MissingExtraError, Problem
from openpoint.grid.grid import Grid
from openpoint.inputs import MOST_BYTES, content_of, parse_xml, refuse_more, unpacked
from openpoint.io.pandapower.read import grid_from_net
from openpoint.io.pandapower.reading import net_from_text

_CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MOST_ELEMENTS = 300_000
"""Elements of a file; pandapower's converter takes some kB of memory for each."""
_HEAD = 4000
"""Bytes of a file in which its namespaces stand."""
_WITHOUT_ROW = ("BusbarSection",)
"""Equipment that needs no row: its node is the bus."""
_REMEDY = "Give the files of the profiles EQ, SSH, TP and SV of CGMES 2.4.15"


def is_folder(folder: Path) -> bool:
    """Whether a folder holds XML files of CIM."""
    return any(b"/TC57/" in _head(path) for path in folder.glob("*.xml") if path.is_file())


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def grid_from_folder(folder: Path) -> Grid:
    """The grid in the XML files of a folder; errors as of `grid_from_zip`."""
    paths = sorted(folder.glob("*.xml"))
    files = {path.name: content_of(path) for path in paths}
    refuse_more(sum(map(len, files.values())), MOST_BYTES, "bytes of XML", str(folder))
    return _grid(files, folder.resolve().name)


def grid_from_zip(content: bytes, file: str) -> Grid:
    """The grid in the XML files of a zip.

    Raises:
        InputError: it is no such set, another version of CGMES, or pandapower cannot convert it.
        MissingExtraError: pandapower is not installed.
    """
    names = list[str]()
    remedy = "Give the whole file, without a password"
    files = unpacked(content, file, "an archive that cannot be unpacked", remedy, lambda n: _wanted(n, names))
    if inner := [name for name in sorted(names) if name.lower().endswith(".zip")]:
        message = f"there are archives in the archive: {', '.join(inner[:10])}"
        raise InputError([Problem(file, "", "", message, "Unpack them, and give the folder of their XML files")])
    return _grid(files, file)


def _wanted(name: str, names: list[str]) -> bool:
    """Whether a file of an archive is read; all names are gathered."""
    names.append(name)
    return name.lower().endswith(".xml")


def _grid(files: Mapping[str, bytes], name: str) -> Grid:
    faults = [
        Problem(each, "", "", "the file is not of CGMES 2.4.15", _REMEDY)
        for each, content in files.items()
        if _CIM.encode() not in content[:_HEAD]
    ]
    if not files:
        faults.append(Problem(name, "", "", "there is no XML file", _REMEDY))
    if faults:
        raise InputError(faults)
    equipment = _equipment(files)
    text, known = _converted(files, name)
    net = net_from_text(text, name)
    grid = grid_from_net(net, name if name.endswith(".zip") else f"{name}.xml", source=f"CGMES files {name}")
    message, remedy = "the converter leaves these elements out", "Replace them by others, if they matter"
    notes = [
        Problem(kind, ", ".join(names[:10]) + (" …" if len(names) > 10 else ""), "", message, remedy, "warning", True)
        for kind, names in _left_out(equipment, known).items()
    ]
    if grid.sources.is_empty():
        message = "no machine and no injection is the reference, so that the grid has no source"
        remedy = "Write referencePriority 1 for one of them in the profile SSH; pypowsybl takes its referencePriorities"
        notes.append(Problem("SynchronousMachine", "", "referencePriority", message, remedy, "warning"))
    return replace(grid, notes=(*grid.notes, *notes), origin=text)


def _equipment(files: Mapping[str, bytes]) -> dict[str, tuple[str, str]]:
    """Class and name of all that has a terminal, by id.

    Raises:
        InputError: a file that is no XML.
    """
    named: dict[str, tuple[str, str]] = {}
    ends: set[str] = set()
    faults = Faults()
    for name, content in files.items():
        refuse_more(content.count(b"<") // 2, MOST_ELEMENTS, "elements", name)
        try:
            _gather(content, named, ends)
        except ValueError as error:
            faults.append(Problem(name, "", "", str(error), "Get the whole file, without declarations"))
    if faults:
        raise InputError(faults)
    return {identifier: named[identifier] for identifier in sorted(ends & named.keys())}


def _gather(content: bytes, named: dict[str, tuple[str, str]], ends: set[str]) -> None:
    """Add class and name of each element of a file by its id, and the ids of those that terminals name.

    Raises:
        ValueError: it is no XML.
    """
    way: list[str] = []
    identifier, label = "", list[str]()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal identifier
        way.append(name)
        if len(way) == 2:
            identifier = attributes.get(f"{_RDF} ID", "")
            label.clear()
        elif name == "Terminal.ConductingEquipment":
            ends.add(attributes.get(f"{_RDF} resource", "").removeprefix("#"))

    def text(part: str) -> None:
        if way[2:] == ["IdentifiedObject.name"]:
            label.append(part)

    def end(name: str) -> None:
        way.pop()
        if len(way) == 1 and identifier:
            named[identifier] = (name, "".join(label).strip() or identifier)

    parse_xml(content, (_CIM, _RDF), start, end, text)


def _left_out(equipment: Mapping[str, tuple[str, str]], known: set[str]) -> dict[str, list[str]]:
    """The names of what has no row in the net, by class."""
    found = defaultdict(list)
    for identifier, (kind, name) in equipment.items():
        if identifier not in known and kind not in _WITHOUT_ROW:
            found[kind].append(name)
    return found


def _converted(files: Mapping[str, bytes], name: str) -> tuple[str, set[str]]:
    """The JSON of the net that pandapower makes, and the ids of what has a row in it."""
    try:
        import pandapower
        from pandapower.converter.cim.cim2pp.from_cim import from_cim
    except ImportError:
        raise MissingExtraError("pandapower", "pandapower", "reading CGMES") from None
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # the converter logs tracebacks of what it goes on without
    try:
        with TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            paths = [Path(place) / f"{number}.xml" for number in range(len(files))]
            for path, content in zip(paths, files.values(), strict=True):
                write_bytes(path, content)
            net: Any = from_cim([str(path) for path in paths], ignore_errors=False)
            text = str(pandapower.to_json(net))
    except Exception as error:  # the converter raises whatever it meets where a set is not whole
        message = f"pandapower cannot convert these files: {type(error).__name__}: {error}"
        raise InputError([Problem(name, "", "", message, _REMEDY)]) from error
    finally:
        logging.disable(disabled)
    columns = [net[table]["origin_id"] for table in net if "origin_id" in getattr(net[table], "columns", ())]
    return text, {str(identifier) for column in columns for identifier in column}
