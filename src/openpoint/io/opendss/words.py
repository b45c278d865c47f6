"""The words of OpenDSS that a circuit file may use: commands, options of `Set`, and properties of each class.

Whatever is not in these lists is refused. Options and properties stand in the order of the engine (0.14.5), since a
value without a name belongs to the property after the last one, and an abbreviation to the first that begins with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

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


@lru_cache(4096)
def full(words: tuple[str, ...], name: str) -> int | None:
    """The place of a word in a list of `OPTIONS` or `CLASSES`: that word itself, else the first it may be short for."""
    plain = [word.lstrip("-~") for word in words]
    if name in plain:
        return plain.index(name)
    return next((place for place, word in enumerate(plain) if word.startswith(name)), None)
