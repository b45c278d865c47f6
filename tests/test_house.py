"""The rules of the house: who imports whom, what is public, how fast the command answers, how long a module is."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import networkx as nx
import pytest
from typer.main import get_command

import openpoint
from openpoint.cli.app import Commands, app
from openpoint.errors import pip_command
from openpoint.options import Question, options_of, request_schema
from openpoint.studies.catalog import STUDIES, Study
from tests import processor_time
from tests.processor_time import listed, slow

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openpoint"

# A room imports only from rooms after its own.
ROOMS = (
    "cli",
    "web",
    "studies",
    "report",
    "results",
    "scenarios",
    "search",
    "enclosure",
    "formulations",
    "verify",
    "powerflow",
    "network",
    "io",
    "grid",
    "twostage",
    "solvers",
    "compiled",
    "columns",
    "graph",
    "names",
    "arrays",
    "options",
    "arguments",
    "version",
    "atomic",
    "inputs",
    "errors",
)
PUBLIC = [
    "Benders",
    "BranchExchange",
    "CVaR",
    "Cluster",
    "ColumnAndConstraint",
    "Day",
    "Disasters",
    "Enumeration",
    "Expectation",
    "ExtensiveForm",
    "Futures",
    "GivenExecutor",
    "Grid",
    "GridLike",
    "Growth",
    "HardenCosts",
    "Horizon",
    "InputError",
    "Limits",
    "Moments",
    "OpenpointError",
    "OptionError",
    "PartitionCosts",
    "ProbabilityBox",
    "Problem",
    "Processes",
    "Regret",
    "Reliability",
    "Snapshot",
    "Termination",
    "TopologySearch",
    "TotalVariation",
    "Wasserstein",
    "WorstCase",
    "Year",
    "__version__",
    "balanced_equivalent",
    "canvas",
    "cases",
    "compare",
    "dispatch",
    "dispatch_day",
    "dispatch_front",
    "enclose",
    "grow",
    "harden",
    "partition",
    "partition_steps",
    "plan_answer",
    "read",
    "read_day",
    "read_disasters",
    "read_futures",
    "read_horizon",
    "read_reliability",
    "read_shapes",
    "read_year",
    "reconfigure",
    "reconfigure_fleet",
    "reconfigure_front",
    "reconfigure_futures",
    "reconfigure_seasons",
    "reconfigure_secure",
    "reconfigure_year",
    "run_powerflow",
    "sample_partition",
    "secure",
    "simulate_period",
    "storms",
    "switch_plan",
    "verify_certificate",
    "verify_phases",
    "verify_set",
    "write",
    "write_back",
    "write_disasters",
    "write_futures",
]
MODULES = sorted(SOURCE.rglob("*.py"))
ANSWER = """\
import sys, contextlib
sys.argv = "openpoint {}".split()
from openpoint.cli import main
with contextlib.suppress(SystemExit): main()"""
LONGEST = 600
LONGEST_REFERENCE = 1850
"""Of the reference checker, which is one file so that it can be read without any other."""
LONGEST_FUNCTION = 80


def dotted(path: Path) -> str:
    """`grid/schemas.py` -> `grid.schemas`; a package is called by its folder."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a module; several tests walk through all modules."""
    return tuple(ast.walk(parsed(path)))


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, module below `openpoint`) of every import of the own package, in functions and for type checkers, too."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    package = ["openpoint", *path.relative_to(SOURCE).parent.parts]
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.startswith("openpoint."):
                target = name.removeprefix("openpoint.")
                yield node.lineno, target if target in NAMES else target.rpartition(".")[0]


NAMES = {dotted(path) for path in MODULES}


def test_every_room_is_known() -> None:
    found = {dotted(path).split(".")[0] for path in MODULES} - {"", "__main__"}
    assert found <= set(ROOMS)


def test_imports_go_down_only() -> None:
    wrong = []
    for path in MODULES:
        module = dotted(path)
        room = module.split(".")[0]
        if room not in ROOMS:  # openpoint itself offers names of every room
            continue
        for line, target in imports(path):
            other = target.split(".")[0]
            if other in ROOMS and ROOMS.index(other) < ROOMS.index(room):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("depth", range(1, 7))
def test_no_circles(depth: int) -> None:
    """Neither of files nor, at any depth, of folders."""
    graph = nx.DiGraph()
    for path in MODULES:
        here = folder_of(dotted(path), depth)
        graph.add_edges_from(
            (here, there) for _, target in imports(path) if (there := folder_of(target, depth)) != here
        )
    graph.remove_nodes_from([""])  # the face of the package offers names of every room
    assert not [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]


def folder_of(module: str, depth: int) -> str:
    """The first parts of a module's name, as many as `depth` says."""
    return ".".join(module.split(".")[:depth])


COMMON = ("accepted", "study", "shared")
"""Modules of what all studies share."""


def test_a_study_knows_no_other_but_its_options_and_model() -> None:
    wrong = []
    for path in (SOURCE / "studies").rglob("*.py"):
        here = dotted(path).split(".")
        for line, target in imports(path):
            there = target.split(".")
            if (here[1], there[1:2]) == ("compare", ["catalog"]):  # it asks any study, by its name
                continue
            other = there[0] == "studies" and there[1:2] != here[1:2] and there[1] not in COMMON
            if other and there[2:3] not in (["options"], ["model"]):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_studies_holds_folders_and_the_catalogue() -> None:
    assert {path.stem for path in (SOURCE / "studies").glob("*.py")} == {"__init__", "catalog", *COMMON}


def test_nobody_but_commands_the_server_and_the_comparison_know_the_catalogue() -> None:
    known = {dotted(path) for path in MODULES for _, target in imports(path) if target == "studies.catalog"}
    assert {module.rpartition(".")[0] for module in known} <= {"cli", "web", "web.pages", "studies.compare"}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.result)
def test_what_a_study_names_is_there(study: Study) -> None:
    assert study.answer.shape is study.shape
    assert study.answer.place == study.place
    assert callable(importlib.import_module(f"{study.place}.report").page)
    assert all(map(callable, importlib.import_module(f"{study.place}.report").PICTURES.values()))


@pytest.mark.parametrize("room", ["twostage", "solvers"])
def test_a_method_knows_numbers_and_never_a_bus(room: str) -> None:
    known = {
        target.split(".")[0] for path in MODULES if dotted(path).split(".")[0] == room for _, target in imports(path)
    }
    assert known <= {"twostage", "solvers", "compiled", "arrays", "errors"}


def test_the_checker_shares_no_code_with_the_search() -> None:
    known = {
        target.split(".")[0]
        for path in MODULES
        if dotted(path).split(".")[0] == "verify"
        for _, target in imports(path)
    }
    assert known == {"verify", "network", "grid", "compiled", "arrays", "arguments", "errors"}


def test_public_names_are_these() -> None:
    assert openpoint.__all__ == PUBLIC
    assert sorted(openpoint.__all__) == dir(openpoint)


def test_type_checkers_read_the_same_public_names() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    read = {alias.name: node.module for node in block.body for alias in getattr(node, "names", ())}
    assert read == vars(openpoint)["_PLACES"]


def test_every_public_name_can_be_had() -> None:
    assert all(getattr(openpoint, name) is not None for name in PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reconfigurate'"):
        _ = openpoint.reconfigurate  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_else() -> None:
    heavy = imported_by("import openpoint")
    assert {name for name in heavy if name.startswith("openpoint.")} == {"openpoint.version"}
    assert not heavy & {"polars", "numpy", "typer", "cvxpy"}


@pytest.mark.parametrize(
    ("arguments", "most"), [("--help", 25), ("--version", 8), ("reconfigure --help", 40), ("harden --help", 40)]
)
def test_the_command_answers_with_few_modules(arguments: str, most: int) -> None:
    """What a command imports before it answers decides how fast it does, on whatever machine."""
    found = {name for name in imported_by(ANSWER.format(arguments)) if name.partition(".")[0] == "openpoint"}
    assert 0 < len(found) <= most, sorted(found)


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by(ANSWER.format("reconfigure --help")) & {
        "polars",
        "numpy",
        "scipy",
        "rich",
        "cvxpy",
        "numba",
        "openpoint.io",
    }


def test_a_search_for_one_demand_imports_what_it_needs() -> None:
    run = "import openpoint; openpoint.reconfigure('baran33')"
    found = imported_by(run)
    if "numba" in found:  # the first run on a machine compiles
        found = imported_by(run)
    assert not found & {
        "numba",
        "cvxpy",
        "scipy.optimize",
        "matplotlib",
        "pandas",
        "highspy",
        "clarabel",
        "pyscipopt",
    }
    assert len([name for name in found if name.partition(".")[0] == "openpoint"]) <= 180


def test_looking_at_grids_imports_no_solver_and_no_compiler() -> None:
    assert not imported_by(ANSWER.format("cases")) & {
        "cvxpy",
        "highspy",
        "clarabel",
        "numba",
        "scipy.stats",
        "openpoint.studies",
    }


def test_the_list_of_commands_opens_no_study() -> None:
    assert {name for name in imported_by(ANSWER.format("--help")) if name.startswith("openpoint.studies.")} == {
        "openpoint.studies.catalog"
    }


def test_a_command_has_at_most_thirty_options() -> None:
    """Files of results and how it runs included."""
    group = get_command(app)
    assert isinstance(group, Commands)
    counts = {
        name: sum(each.param_type_name == "option" for each in group.load(name).params) for name in group.sentences()
    }
    assert max(counts.values()) <= 30, counts


def test_studies_are_run_in_one_place() -> None:
    """`openpoint.cli.study` makes every command of a study and runs it; in Python that is `studies.study.function`.

    Who else asks a study is another one, on its way: a fleet, a front.
    """
    called = {
        dotted(path)
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute) and node.attr == "prepare" and dotted(path).split(".")[0] == "cli"
    }
    assert called == {"cli.study"}
    wrong = [study.name for study in STUDIES if not issubclass(study.question, Question)]
    assert not wrong


def test_options_are_declared_once() -> None:
    """No option of a study is written for the command line by hand, and each has its sentence."""
    for study in STUDIES:
        told = options_of(study.question)
        assert all(each.sentence.endswith((".", "]")) for each in told.values()), study.name
        assert set(request_schema(study.name, study.question)["properties"]) == {"study", "grid", *told}


def test_the_list_of_commands_has_the_first_sentence_of_their_help() -> None:
    group = get_command(app)
    assert isinstance(group, Commands)
    for name, sentence in group.sentences().items():
        assert group.load(name).help.partition("\n\n")[0] == sentence.partition("\n\n")[0]
    listed = [study.name for study in STUDIES]
    assert len(listed) == len(set(listed))


def test_a_module_can_be_read_in_one_sitting() -> None:
    long = {dotted(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    most = {"verify.reference": LONGEST_REFERENCE}
    assert {module: length for module, length in long.items() if length > most.get(module, LONGEST)} == {}


def test_a_function_fits_on_a_screen_or_two() -> None:
    long = [
        f"{dotted(path)}.{node.name}: {length} lines"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_nobody_asks_an_object_what_it_is() -> None:
    asked = [
        f"{dotted(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Name) and node.id == "hasattr"
    ]
    assert not asked


def test_only_the_writer_writes_files() -> None:
    """`openpoint.atomic` writes what is written, so that an old file survives whatever fails.

    Others make the content in memory, in a `buffer`. A certificate gathers its lines in a file of its own.
    """
    wrong = [
        f"{dotted(path)}:{node.lineno} {ast.unparse(node)}"
        for path in MODULES
        if dotted(path) != "atomic"
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and writes(node)
    ]
    assert wrong == [line for line in wrong if line.startswith("search.certificate:") and "self.body" in line]
    assert len(wrong) == 1


def writes(node: ast.Call) -> bool:
    """Whether a call writes, copies or renames a file."""
    name, on = called(node), ast.unparse(node.func).rpartition(".")[0]
    arguments = [*node.args, *(each.value for each in node.keywords)]
    texts = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if name in ("open", "GzipFile", "ZipFile", "fdopen"):
        return any(re.fullmatch("[rwaxbt+U]{1,4}", text) and set(text) & set("wax+") for text in texts)
    if name in ("write_csv", "write_parquet", "savefig", "savez", "Workbook"):
        return bool(node.args) and ast.unparse(node.args[0]) != "buffer"
    if name in ("rename", "replace", "link", "symlink"):
        return on == "os"
    return (name in {"write_text", "write_bytes"} and bool(on)) or on == "shutil" or name in OTHER_WRITERS


OTHER_WRITERS = {
    "write_excel",
    "to_excel_file",
    "write_ipc",
    "write_ndjson",
    "sink_csv",
    "sink_parquet",
    "tofile",
    "dump",
}
"""Functions of libraries that write a file themselves."""


def test_no_class_derives_from_a_concrete_one() -> None:
    """Classes are abstract or final: what is constructed anywhere in the package has no subclass in it.

    A record may be extended by fields (a study finds its own variables again in a stage), but nothing is overridden.
    Errors are a family by nature.
    """
    trees = {path: parsed(path) for path in MODULES}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    constructed = {called(node) for node in nodes if isinstance(node, ast.Call)}
    wrong = []
    for name, node in classes.items():
        for base in ancestors(node, classes):
            if base.name not in constructed or "Exception" in bases(classes, base):
                continue
            overridden = defined(node) & defined(base)
            if overridden or not is_record(classes, node):
                wrong.append(f"{name} derives from {base.name}, which is constructed ({', '.join(overridden)})")
    assert not wrong, "\n".join(wrong)


def called(node: ast.Call) -> str:
    """The name of what is called: `Stage`, of `program.Stage` too."""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def bases(classes: dict[str, ast.ClassDef], node: ast.ClassDef) -> set[str]:
    """Names of all classes that a class derives from, those of other packages included."""
    direct = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return direct.union(*(bases(classes, classes[base]) for base in direct if base in classes and base != node.name))


def ancestors(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """The classes of the package that a class derives from."""
    return [classes[base] for base in sorted(bases(classes, node)) if base in classes]


def defined(node: ast.ClassDef) -> set[str]:
    """Methods of a class."""
    return {each.name for each in node.body if isinstance(each, ast.FunctionDef)}


def is_record(classes: dict[str, ast.ClassDef], node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass, as every result is."""
    is_result = bases(classes, node) & {"Result", "Answer"}
    return bool(is_result) or any("dataclass" in ast.unparse(each) for each in node.decorator_list)


def test_docstrings_describe_parameters_and_fields_that_exist() -> None:
    wrong = [
        f"{dotted(path)}.{node.name} describes {name!r}, which it does not have"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        for name in described(ast.get_docstring(node) or "")
        if name not in offered(node)
    ]
    assert not wrong, "\n".join(wrong)


def described(docstring: str) -> list[str]:
    """Names in the sections `Args:` and `Attributes:` of a docstring, several in one line included."""
    sections = re.findall(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", f"{docstring}\n", flags=re.MULTILINE)
    found = [
        names
        for section in sections
        for names in re.findall(r"(?:^    |(?<=\. ))(\*{0,2}[a-z_]\w*(?:, \*{0,2}[a-z_]\w*)*): ", section, re.MULTILINE)
    ]
    return [name.strip(" *") for names in found for name in names.split(",")]


def offered(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Parameters of a function; of a class its own names, the arguments of its constructor, and what it inherits."""
    if isinstance(node, ast.FunctionDef):
        return {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store):
            names.add(part.id if isinstance(part, ast.Name) else part.attr)
        elif isinstance(part, ast.FunctionDef):
            names |= {part.name} | (offered(part) if part.name == "__init__" else set())
    parents = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return names.union(
        *(offered(each) for name in parents for each in classes_by_name().get(name, ()) if each is not node)
    )


@cache
def classes_by_name() -> dict[str, list[ast.ClassDef]]:
    """The classes of the package by their names."""
    found: dict[str, list[ast.ClassDef]] = {}
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def test_the_page_for_contributors_names_every_make_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    commands = re.findall(r'@echo "(make \w+) ', makefile)
    assert {"make demo", "make test", "make check", "make bench", "make docs"} <= set(commands)
    assert not [command for command in commands if f"`{command}`" not in page]


def test_the_list_of_slow_tests_is_not_stale() -> None:
    gone = []
    for name in listed():
        file, _, test = name.partition("[")[0].rpartition("::")
        path = ROOT / file
        if not path.exists() or f"def {test}(" not in path.read_text(encoding="utf-8"):
            gone.append(name)
    assert len(gone) <= len(listed()) / 5, "these are gone; write the list anew with make slow:\n" + "\n".join(gone)


def test_slow_is_what_takes_long_alone_or_again() -> None:
    alone, again, file = processor_time.ALONE_S, processor_time.AGAIN_S, processor_time.FILE_S
    seconds = {"a.py::x": 2.0 * alone, "a.py::y[1]": 0.9 * alone, "a.py::y[2]": 0.9 * alone, "a.py::z": 0.5 * again}
    seconds |= {"b.py::u": 0.9 * file, "b.py::v": 2.0 * file, "c.py::w[1]": 0.5 * again, "c.py::w[2]": 0.9 * again}
    assert slow(seconds) == ["a.py::x", "a.py::y[2]", "b.py::v"]
    assert slow({"c.py::w": 1.1 * file}) == ["c.py::w"]


def test_every_extra_is_installed_by_the_names_of_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is installed, and where pyproject.toml is newer than that by what a build of it would say."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = pyproject["project"]["optional-dependencies"]
    installed = set(metadata.metadata("openpoint").get_all("Provides-Extra") or [])
    built = [f"{package}; extra == '{extra}'" for extra in extras for package in extras[extra]]
    for known in (installed & set(extras), set(extras)):
        for extra in known:
            command = pip_command.__wrapped__(extra)
            assert command.startswith("pip install '")
            assert all(re.split("[<>=]", package)[0] in command for package in extras[extra])
        monkeypatch.setattr(metadata, "requires", lambda _: built)


def test_nothing_is_offered_under_a_name_that_no_index_has() -> None:
    places = [*MODULES, ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert not [str(path) for path in places if "openpoint[" in path.read_text(encoding="utf-8")]


def test_the_lock_names_no_host() -> None:
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^--", lock, flags=re.MULTILINE)


def imported_by(code: str) -> set[str]:
    """Modules imported by a fresh interpreter that runs the code."""
    probe = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stderr.split())
