"""CGMES 2.4.15: the profiles EQ, SSH, TP and SV of a grid as XML files, in a folder or packed in a zip.

pandapower's own converter makes a net of them, which is read as any other (`openpoint.io.pandapower`).
"""

from __future__ import annotations

import io
import logging
import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from openpoint.atomic import write_bytes
from openpoint.errors import InputError, MissingExtraError, Problem
from openpoint.grid.grid import Grid
from openpoint.io.pandapower.json import net_from_text
from openpoint.io.pandapower.read import grid_from_net

_CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_COMMENT = re.compile(b"<!--.*?-->", re.DOTALL)
_HEAD = 4000
"""Bytes of a file in which its namespaces stand."""
_WITHOUT_ROW = ("BusbarSection",)
"""Equipment that needs no row: its node is the bus."""
_REMEDY = "Give the files of the profiles EQ, SSH, TP and SV of CGMES 2.4.15"


def is_folder(folder: Path) -> bool:
    """Whether a folder holds XML files of CIM."""
    return any(b"/TC57/" in path.open("rb").read(_HEAD) for path in folder.glob("*.xml") if path.is_file())


def grid_from_folder(folder: Path) -> Grid:
    """The grid in the XML files of a folder; errors as of `grid_from_zip`."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.xml"))}
    return _grid(files, folder.resolve().name)


def grid_from_zip(content: bytes, file: str) -> Grid:
    """The grid in the XML files of a zip.

    Raises:
        InputError: it is no such set, another version of CGMES, or pandapower cannot convert it.
        MissingExtraError: pandapower is not installed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = sorted(packed.namelist())
            files = {name: packed.read(name) for name in names if name.lower().endswith(".xml")}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        message = f"the archive cannot be unpacked: {error}"
        raise InputError([Problem(file, "", "", message, "Give the whole file, without a password")]) from None
    if inner := [name for name in names if name.lower().endswith(".zip")]:
        message = f"there are archives in the archive: {', '.join(inner[:10])}"
        raise InputError([Problem(file, "", "", message, "Unpack them, and give the folder of their XML files")])
    return _grid(files, file)


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
    return Grid.from_tables(grid.name, grid.tables(), title=grid.title, source=grid.source, notes=(*grid.notes, *notes))


def _equipment(files: Mapping[str, bytes]) -> dict[str, tuple[str, str]]:
    """Class and name of all that has a terminal, by id.

    Raises:
        InputError: a file that is no XML.
    """
    cim = f"{{{_CIM}}}"
    named: dict[str, tuple[str, str]] = {}
    ends: set[str] = set()
    faults = []
    for name, content in files.items():
        if b"<!" in _COMMENT.sub(b"", content):
            faults.append(Problem(name, "", "", "declarations (<!…) are not read", "Remove them"))
            continue
        try:
            root = ElementTree.fromstring(content)
        except ElementTree.ParseError as error:
            faults.append(Problem(name, "", "", f"this is no XML: {error}", "Get the whole file"))
            continue
        for element in root:
            if identifier := element.get(f"{_RDF}ID"):
                label = element.findtext(f"{cim}IdentifiedObject.name") or identifier
                named[identifier] = (element.tag.removeprefix(cim), label)
            end = element.find(f"{cim}Terminal.ConductingEquipment")
            if end is not None:
                ends.add(end.get(f"{_RDF}resource", "").removeprefix("#"))
    if faults:
        raise InputError(faults)
    return {identifier: named[identifier] for identifier in sorted(ends & named.keys())}


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
    quiet = logging.getLogger("cim")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
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
        quiet.setLevel(level)
    columns = [net[table]["origin_id"] for table in net if "origin_id" in getattr(net[table], "columns", ())]
    return text, {str(identifier) for column in columns for identifier in column}
