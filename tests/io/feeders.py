"""Small OpenDSS circuits of our own: every kind of element that is read, in unusual forms."""

HEAD = """Clear
Set DefaultBaseFrequency=60
New Circuit.Small basekv=69 pu=1.02 angle=15 mvasc3=500 mvasc1=400 bus1=HV
"""
TAIL = """Set VoltageBases=[69 12.47 0.48]
CalcVoltageBases
Solve
"""
SUB = """New Transformer.Sub phases=3 windings=2 xhl=7
~ wdg=1 bus=HV conn=delta kv=69 kva=5000 %r=.5
~ wdg=2 bus=A conn=wye kv=12.47 kva=5000 %r=.5
"""
LINE = "New Line.L1 bus1=A.1.2.3 bus2=B.1.2.3 r1=0.3 x1=0.6 r0=0.9 x0=1.8 c1=10 c0=5 length=2 units=km\n"
LOAD = "New Load.D bus1=B phases=3 kv=12.47 kw=900 kvar=300\n"

# The wires of a four-wire line; OpenDSS eliminates the neutral.
GEOMETRY = """New WireData.W GMRac=0.0244 GMRunits=ft Rac=0.306 Runits=mi NormAmps=530 Diam=0.721 Radunits=in
New LineGeometry.G nconds=4 nphases=3 reduce=y
~ cond=1 wire=W x=-4 h=28 units=ft
~ cond=2 wire=W x=-1.5 h=28 units=ft
~ cond=3 wire=W x=3 h=28 units=ft
~ cond=4 wire=W x=0 h=24 units=ft
New Line.L1 bus1=A.1.2.3 bus2=B.1.2.3 geometry=G length=3 units=mi
"""

# A transformer of three windings, taps off nominal at two of them, loads at both others.
_THREE = """New Transformer.Three phases=3 windings=3 xhl=6 xht=9 xlt=4 buses=[B T Q]
~ conns=[{conns}] {more} kvs=[12.47 .48 .48] kvas=[2000 1500 400] %rs=[.3 .4 .5]
~ %noloadloss=.6 %imag=1.2 taps=[.975 1.03 1]
New Load.T bus1=T.1.2.3 phases=3 conn=delta kv=.48 kw=600 kvar=300
New Load.T2 bus1=T.1.2 phases=1 conn=delta kv=.48 kw=150 kvar=30
New Load.Q bus1=Q phases=3 conn=delta kv=.48 kw=150 kvar=50
New Load.Q2 bus1=Q.2.3 phases=1 conn=delta kv=.48 kw=30 kvar=10
"""


def _three(conns: str, more: str = "") -> str:
    return SUB + LINE + LOAD + _THREE.format(conns=conns, more=more)


FEEDERS = {
    "three windings, wye wye delta": _three("wye wye delta"),
    "three windings, delta wye wye": _three("delta wye wye"),
    "three windings that lead": _three("delta wye delta", "leadlag=lead"),
    "three windings, wye delta wye": _three("wye delta wye"),
    "sequence impedances": SUB + LINE + LOAD,
    "geometry with a neutral": SUB + GEOMETRY + LOAD,
    "matrices in another order of phases": SUB
    + """New Linecode.M nphases=3 units=kft rmatrix=(.1 | .03 .11 | .02 .025 .12) xmatrix=(.2|.08 .21|.07 .06 .22)
New Line.L1 bus1=A.3.1.2 bus2=B.3.1.2 linecode=M length=8 units=kft
New Line.L2 phases=2 bus1=B.3.1 bus2=C.3.1 r1=.4 x1=.5 r0=1 x0=1.5 length=1
New Load.C bus1=C.3 phases=1 kv=7.2 kw=100 pf=.9
"""
    + LOAD,
    "conductors that are grounded or share a phase": SUB
    + LINE
    + """New Line.L2 phases=3 bus1=B.1.2.0 bus2=C.1.2.0 r1=.4 x1=.5 r0=1 x0=1.5 c1=9 c0=4 length=2
New Line.L3 phases=3 bus1=C.2.2.1 bus2=D.2.2.1 r1=.4 x1=.5 r0=1 x0=1.5 length=2
New Load.C bus1=D.1 phases=1 kv=7.2 kw=100 pf=.9
New Load.F bus1=D.2 phases=1 kv=7.2 kw=150 pf=.9
"""
    + LOAD,
    "low voltages, and bases that lines do not join": SUB
    + LINE
    + """New Load.M bus1=B phases=3 kv=12.47 kw=9000 kvar=4000 vminpu=.92 vmaxpu=1.5 model=8 zipv=[.5 0 .5 1 0 0 0]
New Line.L2 phases=1 bus1=B.1 bus2=C.1 r1=9 x1=9 length=1
New Load.P bus1=C.1 phases=1 kv=7.6 kw=1100 pf=.95 vminpu=.95 model=1
New Load.I bus1=B.2 phases=1 kv=6.6 kw=300 pf=.95 vminpu=.95 model=5
New Load.V bus1=B.3 phases=1 kv=7.6 kw=300 pf=.95 vminpu=.95 model=4
""",
    "wye-delta and back": SUB
    + LINE
    + """New Transformer.T phases=3 windings=2 xhl=4 wdg=1 bus=B conn=wye kv=12.47 kva=500 %r=.6
~ wdg=2 bus=C conn=delta kv=.48 kva=500 %r=.4
New Load.C bus1=C phases=3 conn=delta kv=.48 kw=150 kvar=60
New Load.CA bus1=C.3.1 phases=1 conn=delta kv=.48 kw=40 kvar=30 model=2
""",
    "delta-wye that leads": LINE.replace("bus1=A", "bus1=M")
    + SUB
    + """New Transformer.T phases=3 windings=2 xhl=5 leadlag=lead wdg=1 bus=A conn=delta kv=12.47 kva=3000
~ wdg=2 bus=M conn=wye kv=12.47 kva=3000
"""
    + LOAD,
    "step up from wye to delta": SUB
    + """New Transformer.T phases=3 windings=2 xhl=5 wdg=1 bus=C conn=wye kv=.48 kva=800
~ wdg=2 bus=A conn=delta kv=12.47 kva=800
New Load.C bus1=C.1 phases=1 kv=.277 kw=60 kvar=10
""",
    "regulators": SUB
    + LINE
    + "".join(
        f"New Transformer.R{k} phases=1 xhl=1 buses=[B.{k} C.{k}] kvs=[7.2 7.2] kvas=[800 800] %loadloss=.2\n"
        f"New RegControl.R{k} transformer=R{k} winding=2 vreg=12{k} band=2 ptratio=60\n"
        for k in (1, 2, 3)
    )
    + "New Load.C bus1=C phases=3 kv=12.47 kw=900 kvar=500\nNew Load.C1 bus1=C.1 phases=1 kv=7.2 kw=200\n",
    "taps without a changer": SUB.replace("kva=5000 %r=.5\n~", "kva=5000 %r=.5 tap=.9753\n~") + LINE + LOAD,
    "a tap of the first winding": SUB.replace("conn=delta kv=69", "tap=.95 conn=delta kv=69") + LINE + LOAD,
    "open delta": SUB
    + LINE
    + """New Transformer.RA phases=1 xhl=1 buses=(B.1.2 C.1.2) conns='delta delta' kvs='12.47 12.47' kvas='900 900'
New Transformer.RC phases=1 xhl=1 buses=(B.3.2 C.3.2) conns='delta delta' kvs='12.47 12.47' kvas='900 900'
Transformer.RA.Taps=[1 1.05]
Transformer.RC.Taps=[1 1.0375]
New Line.J phases=1 bus1=B.2 bus2=C.2 r1=1e-3 r0=1e-3 x1=0 x0=0 c1=0 c0=0
New Load.CA bus1=C.1.2 phases=1 conn=delta kv=12.47 kw=300 kvar=100
""",
    "load models": SUB
    + LINE
    + "".join(
        f"New Load.M{m} bus1=B.{1 + m % 3} phases=1 kv=7 kw=80 kvar=40 model={m}\n" for m in (1, 2, 3, 4, 5, 6, 7)
    )
    + """New Load.Z bus1=B.1.2 phases=1 conn=delta kv=12.47 kw=90 kvar=50 model=8 zipv=[.2 .3 .5 .1 .6 .3 0]
New Load.V bus1=B.3 phases=1 kv=7.2 kw=60 kvar=20 model=4 cvrwatts=2 cvrvars=0
New Load.two bus1=B.1.3 phases=2 kv=12.47 kw=40 kvar=10
New Load.odd bus1=B.1 phases=1 conn=delta kv=12.47 kw=30 kvar=10 model=2
New Load.back bus1=B phases=3 kv=12.47 kw=-50 kvar=20
""",
    "a multiplier of all loads": SUB
    + LINE
    + LOAD
    + "".join(f"New Load.M{m} bus1=B.{m % 3 + 1} phases=1 kv=7.2 kw=80 kvar=40 model={m}\n" for m in range(1, 8))
    + "New Load.Fixed bus1=B phases=3 kv=12.47 kw=90 status=fixed\nSet LoadMult=.7\n",
    "a fixed impedance above its band": SUB + LINE + "New Load.M7 bus1=B.2 phases=1 kv=6.6 kw=90 kvar=40 model=7\n",
    "a line of another base frequency": SUB
    + "New Line.L1 bus1=A.3.1.2 bus2=B.3.1.2 r1=.3 x1=.6 r0=.9 x0=1.8 c1=100 c0=50 length=2 basefreq=50\n"
    + LOAD
    + "New Load.B1 bus1=B.1 phases=1 kv=7.2 kw=200\n",
    "generators": SUB
    + LINE
    + LOAD
    + """New Generator.G bus1=B phases=3 kv=12.47 kw=200 kvar=50 model=1 vminpu=.5 vmaxpu=1.5
New Generator.G2 bus1=B.2 phases=1 kv=7.2 kw=70 kvar=0 model=1 vminpu=.5 vmaxpu=1.5
New PVSystem.P bus1=B.1 phases=1 kv=7.2 kva=80 pmpp=60 irradiance=.8 vminpu=.5 vmaxpu=1.5
New Storage.S bus1=B phases=3 kv=12.47 kwrated=50 kwhrated=200 state=discharging dispmode=external vminpu=.5 vmaxpu=1.5
""",
    "capacitors": SUB
    + LINE
    + LOAD
    + """New Capacitor.Y bus1=B phases=3 kvar=600 kv=12.47
New Capacitor.One bus1=B.2 phases=1 kvar=50 kv=7
New Capacitor.D bus1=B phases=3 conn=delta kvar=90 kv=12.47
New Capacitor.Between bus1=B.1 bus2=B.3 phases=1 kvar=40 kv=12.47
New Capacitor.Farad bus1=B phases=3 kv=12.47 cuf=[2]
New Capacitor.FaradDelta bus1=B phases=3 conn=delta kv=13 cuf=[.3]
New Capacitor.Steps bus1=B phases=3 numsteps=3 kvar=[30 30 30] states=[1 1 0] kv=12.47
""",
    "magnetising branches": SUB.replace("xhl=7", "xhl=7 %noloadloss=.4 %imag=1.5")
    + LINE
    + LOAD
    + "".join(
        f"New Transformer.R{k} phases=1 xhl=2 buses=[B.{k} C.{k}] kvs=[7.2 7.2] kvas=[800 800] %noloadloss=.5 %imag=3\n"
        f"New RegControl.R{k} transformer=R{k} winding=2 vreg=12{k} band=2 ptratio=60\n"
        for k in (1, 2, 3)
    )
    + """New Transformer.D phases=3 xhl=4 %noloadloss=1 %imag=2 wdg=1 bus=C conn=wye kv=12.47 kva=500 tap=1.05
~ wdg=2 bus=D conn=delta kv=.48 kva=500 tap=1.025
New Load.D2 bus1=D phases=3 conn=delta kv=.48 kw=150 kvar=60
New Transformer.Up phases=3 xhl=4 %noloadloss=.8 %imag=2 wdg=1 bus=F conn=wye kv=.48 kva=300
~ wdg=2 bus=C conn=delta kv=12.47 kva=300
New Load.F bus1=F.2 phases=1 kv=.277 kw=40
""",
    "windings of different kVA": SUB.replace("kv=12.47 kva=5000 %r=.5", "kv=12.47 kva=3000 %r=.9") + LINE + LOAD,
    "a level without a base of its own": SUB
    + LINE
    + LOAD
    + """New Transformer.T phases=3 windings=2 xhl=6 buses=[B T] conns=[wye wye] kvs=[12.47 4.16] kvas=[2000 2000]
New Load.T bus1=T phases=3 kv=4.16 kw=600 kvar=300
New Load.T1 bus1=T.1 phases=1 kv=2.4 kw=100 kvar=30 model=5
""",
    "reactors": SUB
    + LINE
    + LOAD
    + """New Reactor.Ser bus1=B bus2=C r=0 x=1.5
New Reactor.Seq bus1=C.3.1.2 bus2=D.3.1.2 z1=[.1 .3] z0=[.2 .9]
New Reactor.One phases=1 bus1=D.2 bus2=E.2 r=.2 x=.1
New Reactor.Y bus1=C phases=3 kvar=100 kv=12.47
New Reactor.Delta bus1=D phases=3 conn=delta kvar=90 kv=12.47
New Reactor.Phase bus1=E.2 phases=1 kvar=30 kv=7.2
New Reactor.Between bus1=D.1 bus2=D.3 phases=1 kvar=40 kv=12.47
New Reactor.Lossy bus1=D phases=3 parallel=yes r=3000 x=1500
New Load.E bus1=E.2 phases=1 kv=7.2 kw=100 kvar=40
""",
    "loads of any exponent": SUB
    + LINE
    + """New Load.One bus1=B.1 phases=1 kv=7 kw=80 kvar=40 model=4 cvrwatts=.8 cvrvars=3
New Load.Two bus1=B.2.3 phases=1 conn=delta kv=12 kw=60 kvar=-30 model=4 cvrwatts=1.5 cvrvars=4.5
New Load.Three bus1=B phases=3 kv=12.47 kw=600 pf=.9 model=4 cvrwatts=.4 cvrvars=-1
""",
    "two sources apart": SUB
    + LINE
    + LOAD
    + """New Vsource.Second bus1=D basekv=12.47 pu=1.01 angle=5 phases=3 z1=[.1 .4] z0=[.1 .3]
New Line.tie bus1=B bus2=D switch=yes enabled=no
New Load.D2 bus1=D.1 phases=1 kv=7.2 kw=100
""",
}

# Centre-tapped service transformers, on a phase and between two, with triplex lines and loads on either leg and both.
SERVICES = """New XfmrCode.CT25 phases=1 windings=3 kvs=[7.2 .12 .12] kVAs=[25 25 25] %imag=.5 %Rs=[.6 1.2 1.2]
~ %noloadloss=.2 Xhl=2.04 Xht=2.04 Xlt=1.36
New Linecode.Triplex nphases=2 units=kft
~ rmatrix=[.40995 .11809 | .11809 .40995] xmatrix=[.16682 .12759 | .12759 .16682]
~ cmatrix=[3 -2.4 | -2.4 3] NormAmps=156 {156 1.25 *}
New Transformer.T1 XfmrCode=CT25 buses=[B.2 X1.1.0 X1.0.2]
New Line.Tpx1 phases=2 linecode=Triplex bus1=X1.1.2 bus2=S1.1.2 length=.12 units=kft
New Load.Both bus1=S1.1.2 phases=2 kv=.208 kw=12 pf=.97
New Load.Leg1 bus1=S1.1 phases=1 kv=.12 kw=3 kvar=1 model=4 cvrwatts=.8 cvrvars=3
New Load.Leg2 bus1=X1.2 phases=1 kv=.12 kw=2 kvar=.5 model=2
New Transformer.T2 phases=1 windings=3 kvs=[12.47 .12 .12] kVAs=[50 50 50] xhl=2 xht=2 xlt=1.4
~ buses=[B.1.3 X2.1.0 X2.0.2]
New Load.Across bus1=X2.1.2 phases=1 conn=delta kv=.24 kw=20 kvar=8 model=5
New Transformer.T4 phases=1 xhl=3 %noloadloss=1 buses=[B.3.1 X4.3.1] kvs=[12.47 .48] kvas=[90 90]
New Load.Lines bus1=X4.3.1 phases=1 conn=delta kv=.48 kw=30
New Transformer.T3 XfmrCode=CT25 buses=[B.1 X3.1.0 X3.0.2]
New PVSystem.Roof bus1=X3.1.2 phases=2 kv=.208 kva=10 pmpp=8 irradiance=1
New Load.Day bus1=X3.1.2 phases=2 kv=.208 kw=2
"""


def script(body: str) -> str:
    """A whole circuit."""
    return HEAD + body + TAIL
