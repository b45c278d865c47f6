function mpc = small
%SMALL  A feeder made up for the tests
%   Two voltage levels, a tie, a generator, a shunt.

%% version and base
mpc.version = '2';
mpc.baseMVA = 30/3;   % a scalar with arithmetic

%{
a block comment: mpc.bus = [ nonsense
%}
%	bus_i	type	Pd	Qd	Gs	Bs	area	Vm	Va	baseKV	zone	Vmax	Vmin
mpc.bus = [ %% Pd and Qd in kW and kvar
	1	3	0	0	0	0	1	1	0	20	1	1	1;
	2	1	400	120	0	0	1	1	0	20	1	1.1	0.9	% no semicolon
	3, 1, 2*(150 + 50), -30, 0, 0.06, 1, 1, 0, 60/3, 1, 1.1, 0.9;
	5	1	-25	-5	0.01	-0.02	1	1	0	20	1	0	0;
	9	1	1e2	...
		50	0	0	1	1	0	0.4	1	1.1	0.9;
];

%	bus	Pg	Qg	Qmax	Qmin	Vg	mBase	status	Pmax	Pmin
mpc.gen = [
	1	0	0	Inf	-Inf	1.02	100	1	10	0;
	2	0.05	0	0.02	-0.02	1	100	1	0.1	0;
	3	0.04	0.01	0	0	1	100	1	0.04	0.04;
	3	1	1	0	0	1	100	0	0.04	0.04;
];

%	fbus	tbus	r	x	b	rateA	rateB	rateC	ratio	angle	status	angmin	angmax
mpc.branch = [  %% ohms
	1	2	0.5	0.4	0	6	0	0	0	0	1	-360	360;
	2	3	0.25	0.2	0	0	0	0	0	0	1	-360	360;
	1	5	0.75	0.6	1.6e-3	0	0	0	0	0	1	-360	360;
	5	3	1.0	.8	0	0	0	0	0	0	0	-360	360;
	3	9	0.4	1.6	0	0.4	0	0	0.975	0	1	-360	360;
];
mpc.gencost = [ 2 0 0 3 0 20 0 ];
mpc.bus_name = { 'one'; 'it''s'; 'three'; 'five'; 'nine' };

[PQ, PV, REF, NONE, BUS_I, BUS_TYPE, PD, QD, GS, BS, BUS_AREA, VM, ...
    VA, BASE_KV, ZONE, VMAX, VMIN, LAM_P, LAM_Q, MU_VMAX, MU_VMIN] = idx_bus;
[F_BUS, T_BUS, BR_R, BR_X, BR_B, RATE_A, RATE_B, RATE_C, ...
    TAP, SHIFT, BR_STATUS, PF, QF, PT, QT, MU_SF, MU_ST, ...
    ANGMIN, ANGMAX, MU_ANGMIN, MU_ANGMAX] = idx_brch;
Vbase = mpc.bus(1, BASE_KV) * 1e3;      %% in Volts
Sbase = mpc.baseMVA * 1e6;              %% in VA
mpc.branch(:, [BR_R BR_X]) = mpc.branch(:, [BR_R BR_X]) / (Vbase^2 / Sbase);
mpc.bus(:, [PD, QD]) = mpc.bus(:, [PD, QD]) / 1e3;
