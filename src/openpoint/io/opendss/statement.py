"""One statement of an OpenDSS script: parsed here, and written anew for the engine from what was parsed.

The engine never sees the text of a file. Names on the left of `=` are plain words of `openpoint.io.opendss.statement`,
written in full; a value is one word, or one pair of quotation marks or brackets with what stands between them. So the
engine has nothing to find in a statement but what was found here.

The words of OpenDSS that a circuit file may use: commands, options of `Set`, and properties of each class.

Whatever is not in these lists is refused. Options and properties stand in the order of the engine (0.14.5), since a
value without a name belongs to the property after the last one, and an abbreviation to the first that begins with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Commands with values that are passed on, by the names of their values in order.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "allocateloads": (),
    "calcvoltagebases": (),
    "clear": (),
    "clearall": (),
    "init": (),
    "makebuslist": (),
    "reset": ("what",),
    "setbusxy": ("bus", "x", "y"),
    "setkvbase": ("bus", "kvll", "kvln"),
}
# Commands about one object: those that begin with one, those that continue it, and those with a state alone.
MAKING = ("new", "edit", "batchedit")
CONTINUING = ("~", "more", "m")
SETTING = ("open", "close", "enable", "disable")
OPTIONED = ("set", "solve")
FOLLOWED = ("redirect", "compile")
VARIABLES = "var"
PLACES = ("buscoords", "latlongcoords")
# Commands that only report; they do not affect the circuit.
REPORTS = (
    *("?", "show", "export", "plot", "visualize", "dump", "summary", "help", "about", "losses", "voltages", "currents"),
    *("powers", "seqvoltages", "seqcurrents", "seqpowers", "phaselosses", "cktlosses", "totals", "capacity", "select"),
    *("get", "sample", "save", "closedi", "formedit", "panel", "nodediff", "buildy", "varvalues", "varnames", "uuids"),
    *("addbusmarker", "clearbusmarkers", "nodelist", "vdiff", "guids", "topology", "interpolate", "currency"),
)
COMMANDS = (*FOLLOWED, *PLACES, *MAKING, *CONTINUING, *SETTING, *OPTIONED, *PLAIN, *REPORTS, VARIABLES)

RECORDERS = ("monitor",)
"""Classes that only record. Statements that create or edit one are left out."""
ACTIONS = {"loadshape": "normalize", "energymeter": "clear"}
"""The action that an object of these classes may take; any other would write a file or reduce the circuit."""
DATA_FILES = ("csvfile", "pqcsvfile")
"""Properties that name a file of numbers."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In front of a word: `-` is refused, `~` is left out since it only records, reports or draws.
OPTIONS = _words("""
-type -element hour sec year frequency stepsize mode random number time -class -object -circuit -editor
tolerance maxiterations h loadmodel loadmult normvminpu normvmaxpu emergvminpu emergvmaxpu %mean %stddev ldcurve
%growth genkw genpf capkvar addtype -allowduplicates zonelock ueweight lossweight ueregs lossregs voltagebases
algorithm trapezoidal autobuslist controlmode -tracecontrol genmult defaultdaily defaultyearly allocationfactors
cktmodel pricesignal pricecurve terminal basefrequency harmonics maxcontroliter bus -datapath ~keeplist
~reduceoption ~demandinterval %normal ~diverbose ~casename ~markercode ~nodewidth ~log -recorder ~overloadreport
~voltexceptionreport cfactors ~showexport numallociterations defaultbasefrequency ~markswitches
~switchmarkercode ~daisysize ~marktransformers ~transmarkercode ~transmarkersize loadshapeclass earthmodel
~querylog ~markcapacitors ~markregulators ~markpvsystems ~markstorage ~capmarkercode ~regmarkercode
~pvmarkercode ~storemarkercode ~capmarkersize ~regmarkersize ~pvmarkersize ~storemarkersize neglectloady
~markfuses ~fusemarkercode ~fusemarkersize ~markreclosers ~reclosermarkercode ~reclosermarkersize
-registryupdate ~markrelays ~relaymarkercode ~relaymarkersize -processtime -totaltime -steptime
~sampleenergymeters miniterations ~dssvisualizationtool keepload zmag seasonrating seasonsignal linetypes
~eventlogdefault longlinecorrection ~showreports -numcpus -numcores -numactors -activeactor -cpu ~actorprogress
-parallel ~concatenatereports -numanodes
""")
_PROPERTIES = """
linecode: nphases r1 x1 r0 x0 c1 c0 units rmatrix xmatrix cmatrix basefreq normamps emergamps faultrate pctperm
  repair kron rg xg rho neutral b1 b0 seasons ratings linetype like
loadshape: npts interval mult hour mean stddev csvfile -sngfile -dblfile action qmult useactual pmax qmax
  sinterval minterval pbase qbase pmult pqcsvfile ~memorymapping interpolation like
tshape: npts interval temp hour mean stddev csvfile -sngfile -dblfile sinterval minterval -action like
priceshape: npts interval price hour mean stddev csvfile -sngfile -dblfile sinterval minterval -action like
xycurve: npts points yarray xarray csvfile -sngfile -dblfile x y xshift yshift xscale yscale like
growthshape: npts year mult csvfile -sngfile -dblfile like
tcc_curve: npts c_array t_array like
spectrum: numharm harmonic %mag angle csvfile like
wiredata: rdc rac runits gmrac gmrunits radius radunits normamps emergamps diam seasons ratings capradius like
cndata: k diastrand gmrstrand rstrand epsr inslayer diains diacable rdc rac runits gmrac gmrunits radius
  radunits normamps emergamps diam seasons ratings capradius like
tsdata: diashield tapelayer tapelap epsr inslayer diains diacable rdc rac runits gmrac gmrunits radius radunits
  normamps emergamps diam seasons ratings capradius like
linespacing: nconds nphases x h units like
linegeometry: nconds nphases cond wire x h units normamps emergamps reduce spacing wires cncable tscable
  cncables tscables seasons ratings linetype like
xfmrcode: phases windings wdg conn kv kva tap %r rneut xneut conns kvs kvas taps xhl xht xlt xscarray thermal n
  m flrise hsrise %loadloss %noloadloss normhkva emerghkva maxtap mintap numtaps %imag ppm_antifloat %rs x12 x13
  x23 rdcohms seasons ratings like
line: bus1 bus2 linecode length phases r1 x1 r0 x0 c1 c0 rmatrix xmatrix cmatrix switch rg xg rho geometry units
  spacing wires earthmodel cncables tscables b1 b0 seasons ratings linetype normamps emergamps faultrate pctperm
  repair basefreq enabled like
vsource: bus1 basekv pu angle frequency phases mvasc3 mvasc1 x1r1 x0r0 isc3 isc1 r1 x1 r0 x0 scantype sequence
  bus2 z1 z0 z2 puz1 puz0 puz2 basemva yearly daily duty model puzideal spectrum basefreq enabled like
isource: bus1 amps angle frequency phases scantype sequence yearly daily duty bus2 spectrum basefreq enabled
  like
load: phases bus1 kv kw pf model yearly daily duty growth conn kvar rneut xneut status class vminpu vmaxpu
  vminnorm vminemerg xfkva allocationfactor kva %mean %stddev cvrwatts cvrvars kwh kwhdays cfactor cvrcurve
  numcust zipv %seriesrl relweight vlowpu puxharm xrharm spectrum basefreq enabled like
transformer: phases windings wdg bus conn kv kva tap %r rneut xneut buses conns kvs kvas taps xhl xht xlt
  xscarray thermal n m flrise hsrise %loadloss %noloadloss normhkva emerghkva sub maxtap mintap numtaps subname
  %imag ppm_antifloat %rs bank xfmrcode xrconst x12 x13 x23 leadlag wdgcurrents core rdcohms seasons ratings
  normamps emergamps faultrate pctperm repair basefreq enabled like
regcontrol: transformer winding vreg band ptratio ctprim r x bus delay reversible revvreg revband revr revx
  tapdelay ~debugtrace maxtapchange inversetime tapwinding vlimit ptphase revthreshold revdelay revneutral
  eventlog remoteptratio tapnum reset ldc_z rev_z cogen basefreq enabled like
capacitor: bus1 bus2 phases kvar kv conn cmatrix cuf r xl harm numsteps states normamps emergamps faultrate
  pctperm repair basefreq enabled like
reactor: bus1 bus2 phases kvar kv conn rmatrix xmatrix parallel r x rp z1 z2 z0 z rcurve lcurve lmh normamps
  emergamps faultrate pctperm repair basefreq enabled like
capcontrol: element terminal capacitor type ptratio ctratio onsetting offsetting delay voltoverride vmax vmin
  delayoff deadtime ctphase ptphase vbus eventlog -usermodel -userdata pctminkvar reset controlsignal basefreq
  enabled like
fault: bus1 bus2 phases r %stddev gmatrix ontime temporary minamps normamps emergamps faultrate pctperm repair
  basefreq enabled like
generator: phases bus1 kv kw pf kvar model vminpu vmaxpu yearly daily duty dispmode dispvalue conn status class
  vpu maxkvar minkvar pvfactor forceon kva mva xd xdp xdpp h d -usermodel -userdata -shaftmodel -shaftdata
  dutystart ~debugtrace balanced xrdp usefuel fuelkwh %fuel %reserve refuel -dynamiceq -dynout spectrum basefreq
  enabled like
gendispatcher: element terminal kwlimit kwband kvarlimit genlist weights basefreq enabled like
storage: phases bus1 kv conn kw kvar pf kva %cutin %cutout effcurve varfollowinverter kvarmax kvarmaxabs
  wattpriority pfpriority %pminnovars %pminkvarmax kwrated %kwrated kwhrated kwhstored %stored %reserve state
  %discharge %charge %effcharge %effdischarge %idlingkw %idlingkvar %r %x model vminpu vmaxpu balanced
  limitcurrent yearly daily duty dispmode dischargetrigger chargetrigger timechargetrig class -dynadll -dynadata
  -usermodel -userdata ~debugtrace kvdc kp pitol safevoltage safemode -dynamiceq -dynout controlmode amplimit
  amplimitgain spectrum basefreq enabled like
storagecontroller: element terminal monphase kwtarget kwtargetlow %kwband kwband %kwbandlow kwbandlow
  elementlist weights modedischarge modecharge timedischargetrigger timechargetrigger %ratekw %ratecharge %reserve
  kwhtotal kwtotal kwhactual kwactual kwneed yearly daily duty eventlog inhibittime tup tflat tdn kwthreshold
  dispfactor resetlevel seasons seasontargets seasontargetslow basefreq enabled like
relay: monitoredobj monitoredterm switchedobj switchedterm type phasecurve groundcurve phasetrip groundtrip
  tdphase tdground phaseinst groundinst reset shots recloseintervals delay overvoltcurve undervoltcurve kvbase
  47%pickup 46baseamps 46%pickup 46isqt variable overtrip undertrip breakertime action z1mag z1ang z0mag z0ang
  mphase mground eventlog ~debugtrace distreverse normal state doc_tiltanglelow doc_tiltanglehigh
  doc_tripsettinglow doc_tripsettinghigh doc_tripsettingmag doc_delayinner doc_phasecurveinner doc_phasetripinner
  doc_tdphaseinner doc_p1blocking basefreq enabled like
recloser: monitoredobj monitoredterm switchedobj switchedterm numfast phasefast phasedelayed groundfast
  grounddelayed phasetrip groundtrip phaseinst groundinst reset shots recloseintervals delay action tdphfast
  tdgrfast tdphdelayed tdgrdelayed normal state basefreq enabled like
fuse: monitoredobj monitoredterm switchedobj switchedterm fusecurve ratedcurrent delay action normal state
  basefreq enabled like
swtcontrol: switchedobj switchedterm action lock delay normal state reset basefreq enabled like
pvsystem: phases bus1 kv irradiance pmpp %pmpp temperature pf conn kvar kva %cutin %cutout effcurve p-tcurve %r
  %x model vminpu vmaxpu balanced limitcurrent yearly daily duty tyearly tdaily tduty class -usermodel -userdata
  ~debugtrace varfollowinverter dutystart wattpriority pfpriority %pminnovars %pminkvarmax kvarmax kvarmaxabs kvdc
  kp pitol safevoltage safemode -dynamiceq -dynout controlmode amplimit amplimitgain spectrum basefreq enabled
  like
espvlcontrol: element terminal type kwband kvarlimit localcontrollist localcontrolweights pvsystemlist
  pvsystemweights storagelist storageweights basefreq enabled like
autotrans: phases windings wdg bus conn kv kva tap %r rdcohms core buses conns kvs kvas taps xhx xht xxt
  xscarray thermal n m flrise hsrise %loadloss %noloadloss normhkva emerghkva sub maxtap mintap numtaps subname
  %imag ppm_antifloat %rs bank xrconst leadlag wdgcurrents normamps emergamps faultrate pctperm repair basefreq
  enabled like
invcontrol: derlist mode combimode vvc_curve1 hysteresis_offset voltage_curvex_ref avgwindowlen voltwatt_curve
  dbvmin dbvmax argralowv argrahiv dynreacavgwindowlen deltaq_factor voltagechangetolerance varchangetolerance
  voltwattyaxis rateofchangemode lpftau risefalllimit deltap_factor eventlog refreactivepower
  activepchangetolerance monvoltagecalc monbus monbusesvbase voltwattch_curve wattpf_curve wattvar_curve
  vv_refreactivepower pvsystemlist vsetpoint controlmodel basefreq enabled like
expcontrol: pvsystemlist vreg slope vregtau qbias vregmin vregmax qmaxlead qmaxlag eventlog deltaq_factor
  preferq tresponse derlist basefreq enabled like
energymeter: element terminal action option kvanormal kvaemerg peakcurrent zonelist localonly mask losses
  linelosses xfmrlosses seqlosses 3phaselosses vbaselosses phasevoltagereport int_rate int_duration saifi saifikw
  saidi caidi custinterrupts basefreq enabled like
sensor: element terminal kvbase clear kvs currents kws kvars conn deltadirection %error weight basefreq enabled
  like
"""
CLASSES = {
    kind: _words(names)
    for kind, _, names in (line.partition(":") for line in _PROPERTIES.replace("\n  ", " ").split("\n") if line)
}


def full(words: tuple[str, ...], name: str) -> int | None:
    """The place of a word in a list of `OPTIONS` or `CLASSES`: that word itself, else the first it may be short for."""
    plain = [word.lstrip("-~") for word in words]
    if name in plain:
        return plain.index(name)
    return next((place for place, word in enumerate(plain) if word.startswith(name)), None)


Parameters = Sequence[tuple[str, str]]
"""Name in lower case (empty where a value has none) and value as it is written, with quotation marks or brackets."""
DataName = Callable[[str], str]
"""The name that the engine gets for a file of numbers."""

_NAME = re.compile(r"([\w%.-]+)\s*=\s*")
_QUOTED = r'"[^"]*"|' + r"'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}"
_VALUE = re.compile(rf"""({_QUOTED}|[^\s,="'(\[{{!][^\s,="!]*)(?=[\s,]|$)""")
_GAP = re.compile(r"\s*(?:,\s*)?")
_EQUALS = re.compile(r"\s*=")
_SAFE = re.compile(r"(?:[\w.+%\\:#*^|$&<>?;~-]|/(?!/))+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_FILE = re.compile(
    rf"""(?i)\s*file\s*=\s*({_QUOTED}|[^\s,="'(\[{{]+)((?:[\s,]+(?:col|column|header)\s*=\s*\w+)*)[\s,]*"""
)
_UNSET = re.compile(r"(?:^|(?<=[\s,|]))@\S*")
_ENDLESS = re.compile(r"(?:^|(?<=[\s,|]))[-+]?(nan|inf(inity)?)(?=[\s,|]|$)", re.IGNORECASE)
_PATTERN = re.compile(r"[\w.*+?^$|\[\]\\-]+")
_TAKE_OUT = "Take the line out; a circuit is described without it"


class Refused(ValueError):
    """Why a statement is not passed on, and what to do."""

    def __init__(self, message: str, remedy: str = _TAKE_OUT) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True)
class Statement:
    """One statement with its place.

    Attributes:
        file, line, text: where it stands, and as it is written there.
        verb: the command in full, `property` for `class.name.property=value`.
        command: what the engine gets.
        element: `class.name` of the object that it makes or changes, or empty.
        given: properties in full with their values, quotation marks and brackets taken off.
    """

    file: Path
    line: int
    verb: str
    text: str
    command: str = ""
    element: str = ""
    given: tuple[tuple[str, str], ...] = ()


def parameters(text: str) -> tuple[list[tuple[str, str]], str]:
    """The parameters of a statement, and what the engine does not read: what follows an empty value.

    Raises:
        Refused: a name that is no plain word, an open quotation mark or bracket.
    """
    if _CONTROL.search(text):
        raise Refused("a control character stands in the statement", "Write it in plain text")
    found: list[tuple[str, str]] = []
    place = _gap(text, 0)
    while place < len(text):
        name = _NAME.match(text, place)
        start = name.end() if name else place
        value = _VALUE.match(text, start)
        if text[start : start + 1] in ("", ",") or (value and not content(value.group(1))):
            return found, text[place:]
        if value is None or _EQUALS.match(text, value.end()):
            raise Refused(_what_is_wrong(text[start:]), "Write name=value, the name as a plain word")
        found.append((name.group(1).lower() if name else "", value.group(1)))
        place = _gap(text, value.end())
    return found, ""


def _gap(text: str, place: int) -> int:
    """The place after blanks and at most one comma."""
    return _GAP.match(text, place).end()  # type: ignore[union-attr]


def _what_is_wrong(rest: str) -> str:
    if quoted := re.match(rf"({_QUOTED})\s*=", rest):
        return f"the name {quoted.group(1)} before = is no plain word"
    shown = rest.split("=")[0][:40]
    if rest[0] in "\"'([{":
        return f"a quotation mark or bracket is not closed, or a word follows it without a blank: {shown}"
    return f"{shown.strip()} stands before = as a value does"


def content(value: str) -> str:
    """A value without its quotation marks or brackets."""
    return value[1:-1] if value[0] in "\"'([{" else value


def element_of(value: str) -> str:
    """`class.name` in lower case.

    Raises:
        Refused: no name, or a class that is not read.
    """
    element = content(value).strip().lower()
    kind, _, name = element.partition(".")
    if not name or re.search(r"[\"=@]", element):
        raise Refused(f"{element!r} names no object", "Name it as class.name")
    if kind not in (*CLASSES, *RECORDERS, "circuit"):
        message = f"there is no class {kind!r} among those that are read"
        raise Refused(message, "Correct the name of the class, or replace it by elements that openpoint reads")
    return element


def properties(element: str, given: Parameters, data_name: DataName) -> list[tuple[str, str]]:
    """(property in full, value for the engine) of an object; what only writes traces is left out.

    Raises:
        Refused: a property that is not read, or a value that cannot be one.
    """
    kind = element.partition(".")[0]
    kind = "vsource" if kind == "circuit" else kind
    found = []
    for word, name, value in _in_full(CLASSES[kind], given, f"a {kind} has no property"):
        if word.startswith("-"):
            raise Refused(f"{name!r} of a {kind} is not read: it would load program code, or open or write a file")
        if name == "action" and kind in ACTIONS and not ACTIONS[kind].startswith(content(value).lower() or "-"):
            raise Refused("an action of this object would write a file or change the circuit")
        if not name.startswith("bus") and _ENDLESS.search(content(value)):
            raise Refused(f"{content(value)!r} is not a finite number", "Give a finite number")
        if not word.startswith("~"):
            found.append((name, data_name(content(value)) if name in DATA_FILES else _value(value, data_name)))
    return found


def options(given: Parameters) -> list[tuple[str, str]]:
    """(option in full, value for the engine) of `Set` and `Solve`; what only reports or draws is left out.

    Raises:
        Refused: an option that does not describe a circuit.
    """
    if any(not name for name, _ in given):
        raise Refused("a value has no name", "Write name=value")
    found = []
    for word, name, value in _in_full(OPTIONS, given, "there is no option"):
        if word.startswith("-"):
            raise Refused(f"the option {name!r} is not set: it does not describe the circuit")
        if not word.startswith("~"):
            found.append((name, _value(value)))
    return found


def _in_full(words: tuple[str, ...], given: Parameters, unknown: str) -> Iterator[tuple[str, str, str]]:
    """(word of the list with its mark, name in full, value); a value without a name is that of the next property."""
    places = _places(words, tuple(short for short, _ in given))
    for (short, value), place in zip(given, places, strict=False):
        if place is None:
            raise Refused(f"{unknown} {short!r}" if short else "there are more values than properties", "Correct it")
        yield words[place], words[place].lstrip("-~"), value


@lru_cache(4096)
def _places(words: tuple[str, ...], names: tuple[str, ...]) -> tuple[int | None, ...]:
    """The places of words in a list, as of values one after the other; None, and then no more, where there is none."""
    found: list[int | None] = []
    following = 0
    for name in names:
        place = full(words, name) if name else following
        if place is None or place >= len(words):
            return (*found, None)
        found.append(place)
        following = place + 1
    return tuple(found)


def _value(value: str, data_name: DataName | None = None) -> str:
    """A value as the engine gets it.

    Raises:
        Refused: a file where none may be, `=` or a variable without a value inside.
    """
    if _SAFE.fullmatch(value):  # no quotation mark, = or variable
        return value
    inside = content(value)
    if unset := _UNSET.search(inside):
        raise Refused(f"the variable {unset.group()} has no value", "Give it one before, by var @name=value")
    if "=" in inside:
        file = _IN_FILE.fullmatch(inside)
        if file is None or data_name is None:
            raise Refused(f"= stands within a value: {inside[:40]}", "Write one value, or (file=name) alone")
        return f"(file={data_name(content(file.group(1)))}{' '.join(['', *file.group(2).replace(',', ' ').split()])})"
    return value if inside is not value else f'"{value}"'


def written(verb: str, element: str, pairs: Sequence[tuple[str, str]]) -> str:
    """A statement about an object, or `Set`, for the engine."""
    if verb == "edit" and element.startswith("circuit."):
        element = "vsource.source"
    target = [f'"{element}"'] if element else []
    return " ".join([verb, *target, *(f"{name}={value}" for name, value in pairs)])


def plain(verb: str, given: Parameters) -> str:
    """A command with few values, or none, for the engine.

    Raises:
        Refused: values that it does not take.
    """
    found = [(name, _value(value)) for _, name, value in _in_full(PLAIN[verb], given, f"{verb} takes no")]
    return " ".join([verb, *(value if name == "what" else f"{name}={value}" for name, value in found)])


def terminal(verb: str, element: str, given: Parameters) -> str:
    """`open`, `close`, `enable` or `disable` for the engine.

    Raises:
        Refused: more than an object and, of the first two, the numbers of a terminal and a conductor.
    """
    words = ("term", "cond") if verb in ("open", "close") else ()
    found = [content(value) for _, _, value in _in_full(words, given, f"{verb} takes no")]
    if not all(number.isascii() and number.isdecimal() for number in found):
        raise Refused(f"{verb} takes numbers of a terminal and a conductor", "Write numbers")
    return " ".join([verb, f'"{element}"', *found])


def pattern_of(value: str) -> str:
    """`class.pattern` of `BatchEdit`.

    Raises:
        Refused: a class that is not read, or signs that patterns do without.
    """
    element = element_of(value)
    if not _PATTERN.fullmatch(element.partition(".")[2]):
        raise Refused(f"{element!r} is no plain pattern", "Name the objects one by one")
    return element


def continued(verb: str) -> bool:
    """Whether a statement goes on with an object, so that nothing is left of it where that was refused."""
    return verb in CONTINUING or verb == "property"
