"""CGMES 2.4.15: a small set, written here, against pandapower's converter and power flow."""

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

import openpoint as op
from openpoint.errors import InputError

CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    f'xmlns:cim="{CIM}" xmlns:md="http://iec.ch/TC57/61970-552/ModelDescription/1#">\n'
)
PROFILES = {
    "EQ": "http://entsoe.eu/CIM/EquipmentCore/3/1",
    "SSH": "http://entsoe.eu/CIM/SteadyStateHypothesis/1/1",
    "TP": "http://entsoe.eu/CIM/Topology/4/1",
    "SV": "http://entsoe.eu/CIM/StateVariables/4/1",
}


class Model:
    """The elements of each profile. Values that begin with # or http are references."""

    def __init__(self) -> None:
        self.elements = {
            profile: [
                f'<md:FullModel rdf:about="urn:{profile}"><md:Model.profile>{uri}</md:Model.profile></md:FullModel>'
            ]
            for profile, uri in PROFILES.items()
        }

    def add(self, profile: str, kind: str, identifier: str, name: str = "", **values: Any) -> None:
        """An element; in EQ, and those of TP and SV that are new there, by ID, else about one of EQ."""
        here = profile == "EQ" or kind in ("TopologicalNode", "SvVoltage")
        body = f"<cim:IdentifiedObject.name>{name}</cim:IdentifiedObject.name>" if name else ""
        for key, value in values.items():
            tag = "cim:" + key.replace("__", ".")
            is_reference = str(value).startswith(("#", "http"))
            body += f'<{tag} rdf:resource="{value}"/>' if is_reference else f"<{tag}>{value}</{tag}>"
        place = f'rdf:ID="{identifier}"' if here else f'rdf:about="#{identifier}"'
        self.elements[profile].append(f"<cim:{kind} {place}>{body}</cim:{kind}>")

    def equipment(self, kind: str, identifier: str, name: str, nodes: str, **values: Any) -> None:
        """An element with a terminal at each node."""
        self.add("EQ", kind, identifier, name, **values)
        for number, node in enumerate(nodes, start=1):
            terminal = f"_T{number}{identifier}"
            at = {"Terminal__ConductingEquipment": f"#{identifier}", "Terminal__ConnectivityNode": f"#_CN{node}"}
            self.add("EQ", "Terminal", terminal, terminal, ACDCTerminal__sequenceNumber=number, **at)
            self.add("SSH", "Terminal", terminal, ACDCTerminal__connected="true")
            self.add("TP", "Terminal", terminal, Terminal__TopologicalNode=f"#_TN{node}")

    def write(self, folder: Path) -> Path:
        """The files, in a folder that is made."""
        folder.mkdir()
        for profile, elements in self.elements.items():
            (folder / f"{profile}.xml").write_text(HEAD + "\n".join(elements) + "\n</rdf:RDF>\n")
        return folder


def ring() -> Model:
    """A source at A, lines A B, B C and A D, an open breaker between C and D, three loads."""
    model = Model()
    model.add("EQ", "BaseVoltage", "_BV", "20 kV", BaseVoltage__nominalVoltage=20)
    model.add("EQ", "GeographicalRegion", "_G", "region")
    model.add("EQ", "SubGeographicalRegion", "_SG", "part", SubGeographicalRegion__Region="#_G")
    model.add("EQ", "Substation", "_S", "station", Substation__Region="#_SG")
    level = {"VoltageLevel__BaseVoltage": "#_BV", "VoltageLevel__Substation": "#_S"}
    model.add("EQ", "VoltageLevel", "_V", "level", **level)
    for n in "ABCD":
        model.add("EQ", "ConnectivityNode", f"_CN{n}", n, ConnectivityNode__ConnectivityNodeContainer="#_V")
        at = {"TopologicalNode__BaseVoltage": "#_BV", "TopologicalNode__ConnectivityNodeContainer": "#_V"}
        model.add("TP", "TopologicalNode", f"_TN{n}", n, **at)
        model.add("TP", "ConnectivityNode", f"_CN{n}", ConnectivityNode__TopologicalNode=f"#_TN{n}")
        held = {"SvVoltage__angle": 0, "SvVoltage__TopologicalNode": f"#_TN{n}"}
        model.add("SV", "SvVoltage", f"_SV{n}", SvVoltage__v=20, **held)
    for ends, km in (("AB", 2.0), ("BC", 3.0), ("AD", 4.0)):
        z = {"ACLineSegment__r": 0.2 * km, "ACLineSegment__x": 0.1 * km, "ACLineSegment__bch": 5e-5 * km}
        more = {"ConductingEquipment__BaseVoltage": "#_BV", "Conductor__length": km, "ACLineSegment__gch": 0}
        model.equipment("ACLineSegment", f"_L{ends}", f"line {ends}", ends, **z, **more)
    inside = {"Equipment__EquipmentContainer": "#_V"}
    model.equipment("Breaker", "_Q", "tie", "CD", **inside, Switch__normalOpen="true", Switch__retained="true")
    model.add("SSH", "Breaker", "_Q", Switch__open="true")
    for n, p in (("B", 0.5), ("C", 1.0), ("D", 0.3)):
        model.equipment("EnergyConsumer", f"_E{n}", f"load {n}", n, **inside)
        model.add("SSH", "EnergyConsumer", f"_E{n}", EnergyConsumer__p=p, EnergyConsumer__q=0.1)
    model.equipment("ExternalNetworkInjection", "_X", "grid", "A", **inside, RegulatingCondEq__RegulatingControl="#_R")
    mode = {"RegulatingControl__mode": f"{CIM}RegulatingControlModeKind.voltage"}
    model.add("EQ", "RegulatingControl", "_R", "held", RegulatingControl__Terminal="#_T1_X", **mode)
    held = {"RegulatingControl__targetValue": 20.4, "RegulatingControl__discrete": "false"}
    model.add("SSH", "RegulatingControl", "_R", RegulatingControl__enabled="true", **held)
    power = {"ExternalNetworkInjection__p": 0, "ExternalNetworkInjection__q": 0}
    first = {"ExternalNetworkInjection__referencePriority": 1, "RegulatingCondEq__controlEnabled": "true"}
    model.add("SSH", "ExternalNetworkInjection", "_X", **power, **first)
    return model


@pytest.mark.filterwarnings("ignore")
def test_a_set_is_the_net_that_pandapower_makes_of_it(tmp_path: Path) -> None:
    import pandapower as pp
    from pandapower.converter.cim.cim2pp.from_cim import from_cim

    model = ring()
    model.equipment("Junction", "_J", "left behind", "B", Equipment__EquipmentContainer="#_V")
    folder = model.write(tmp_path / "ring")
    grid = op.read(folder)
    assert dict(grid.branches().select("name", "closed").iter_rows()) == {
        "line AB": True,
        "line AD": True,
        "line BC": True,
        "tie": False,
    }
    line = grid.lines.filter(name="line BC").row(0, named=True)
    assert (line["r_ohm"], line["x_ohm"]) == (pytest.approx([0.6]), pytest.approx([0.3]))
    assert line["b_us"] == pytest.approx([150.0])
    assert dict(grid.loads.select("name", "p_kw").iter_rows()) == {"load B": 500.0, "load C": 1000.0, "load D": 300.0}
    assert grid.sources["v_pu"].to_list() == [1.02]
    assert any("left behind" in str(note) and note.changes_figures for note in grid.notes)
    net = from_cim([str(path) for path in folder.iterdir()], ignore_errors=False)
    pp.runpp(net, tolerance_mva=1e-9, numba=False)
    assert op.run_powerflow(grid).loss_kw == pytest.approx(1e3 * float(net.res_line.pl_mw.sum()), rel=1e-7)
    with zipfile.ZipFile(tmp_path / "ring.zip", "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    again = op.read(tmp_path / "ring.zip")
    assert all(again.tables()[kind].equals(table) for kind, table in grid.tables().items())


@pytest.mark.filterwarnings("ignore")
def test_a_set_without_a_reference_is_told_how_to_name_one(tmp_path: Path) -> None:
    folder = ring().write(tmp_path / "ring")
    text = (folder / "EQ.xml").read_text()
    (folder / "EQ.xml").write_text(re.sub("<cim:ExternalNetworkInjection .*?</cim:ExternalNetworkInjection>", "", text))
    grid = op.read(folder)
    assert any((note.table, note.column) == ("SynchronousMachine", "referencePriority") for note in grid.notes)
    assert ("sources", "error") in {(problem.table, problem.severity) for problem in grid.problems()}


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_such_set_is_said(tmp_path: Path) -> None:
    folder = ring().write(tmp_path / "ring")
    text = (folder / "EQ.xml").read_text()
    for wrong, words in (
        (text.replace(CIM, "http://iec.ch/TC57/CIM100#"), "EQ.xml: the file is not of CGMES 2.4.15"),
        (text[:-20], "no XML"),
        (text.replace("<rdf:RDF", '<!DOCTYPE x [<!ENTITY a "b">]><rdf:RDF'), "declarations"),
        (re.sub("<cim:BaseVoltage .*?</cim:BaseVoltage>|<cim:VoltageLevel .*?</cim:VoltageLevel>", "", text), ""),
    ):
        (folder / "EQ.xml").write_text(wrong)
        with pytest.raises(InputError, match=re.escape(words)):
            op.read(folder)
    (tmp_path / "no.zip").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="cannot be unpacked"):
        op.read(tmp_path / "no.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(InputError, match="no XML file"):
        op.read(tmp_path / "empty.zip")
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as packed:
        packed.write(tmp_path / "empty.zip", "EQ.zip")
    with pytest.raises(InputError, match=r"archives in the archive: EQ\.zip"):
        op.read(tmp_path / "nested.zip")
