"""Rules for every module: layers, size, private names, effects of imports."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from tests import tree
from tests.programs import python, succeed
from tests.tree import Module, imports_of, modules, nodes_of

# Who may import whom, the lower parts first. Every part may import itself and FOR_ALL.
FOR_ALL: Final = frozenset({"_accel", "errors", "lazy_names", "protocols"})
_ROWS: Final = {
    "errors": "",
    "lazy_names": "",
    "readable": "",
    "terminal": "",
    "settings": "",
    "_accel": "_speed settings",
    "record": "",
    "protocols": "record",
    "runtime": "record",
    "inflight": "record runtime settings",
    "journal": "record runtime settings",
    "redaction": "record runtime settings",
    "processors": "inflight record redaction runtime terminal",
    "exporters": "inflight journal readable record redaction runtime settings terminal",
    "observe": "journal readable record runtime",
    "events": "inflight record runtime settings",
    "context": "inflight journal record runtime settings",
    "structured": "analysis context record runtime settings",
    "flags": "config events inflight record runtime",
    "services": "config context events inflight journal record redaction runtime settings",
    "monitor": "events inflight readable record runtime settings",
    "analysis": "journal observe record runtime",
    "search": "analysis record settings",
    "store": "analysis journal observe record runtime search",
    "feed": "journal store",
    "formats": "analysis exporters observe record runtime",
    "views": "analysis exporters formats observe readable record runtime terminal",
    "server": "analysis exporters feed formats journal observe readable record runtime search"
    " settings store terminal views",
    "mcp": "analysis feed journal observe readable record redaction runtime search server settings"
    " terminal views",
    "instrumentors": "runtime",
    "config": "exporters inflight journal redaction settings setup",
    "setup": "config context exporters instrumentors journal processors record redaction runtime"
    " settings terminal",
    "pipeline": "config exporters instrumentors journal processors record redaction runtime setup",
    "zero_code": "config instrumentors pipeline runtime settings setup",
    "environment_exporter": "exporters pipeline redaction runtime setup zero_code",
    "environment_variables": "config zero_code",
    "testing": "processors record services",
    "cli": "analysis config exporters feed flags formats instrumentors journal mcp observe readable"
    " record runtime search server settings setup store terminal views zero_code",
    "__init__": "config context events inflight pipeline runtime setup structured",
    "__main__": "cli",
}
LAYERS: Final = {part: frozenset(row.split()) for part, row in _ROWS.items()}

# It reads the source, and hardly calls anything of it.
pytestmark = pytest.mark.usefixtures("untraced")

TESTS: Final = Path(__file__).parent
LONGEST: Final = 400
# Code that runs inside the program's own logging calls.
NO_LOGGING: Final = ("record", "runtime", "inflight", "journal", "redaction", "exporters")
NO_LOGGING_MODULES: Final = ("otel_ext.processors.lifecycle",)
# The only module that uses private attributes of a span.
CAPTURE: Final = "otel_ext.record.capture"
# Underscored but public: documented by the language or the standard library.
PUBLIC: Final = frozenset(
    {
        "_asdict",
        "_current_frames",
        "_exit",
        "_fields",
        "_getframe",
        "_is_gil_enabled",
        "_make",
        "_replace",
    }
)


def target_of(name: str) -> str | None:
    """Return the part of the package that has an imported module; None if it is not ours."""
    parts = name.split(".")
    if parts[0] != "otel_ext":
        return None
    return parts[1] if len(parts) > 1 else "otel_ext"


def test_every_part_is_in_the_table_of_layers() -> None:
    """A package or top-level module needs a row, which decides what it may import; no others."""
    assert {module.part for module in modules()} == LAYERS.keys()


def test_imports_flow_one_way() -> None:
    """No module imports from a layer above its own, not for types nor inside a function."""
    wrong: list[str] = []
    for module in modules():
        allowed = LAYERS[module.part] | FOR_ALL | {module.part}
        if module.part == "errors":
            allowed -= FOR_ALL - {"errors"}
        wrong += [
            f"{module.location(line)} imports {name}"
            for name, line in imports_of(module)
            if (target := target_of(name)) is not None and target not in allowed
        ]
    assert not wrong, "\n".join(wrong)


def test_declarations_import_nothing_else() -> None:
    """A `settings` module imports no other code of its part, and `config` only such modules."""
    wrong: list[str] = []
    for module in modules():
        declares = module.part == "settings" or module.name.endswith(".settings")
        if not declares and module.part != "config":
            continue
        allowed = {"settings", "errors"} if declares else {"settings", "errors", "config"}
        for name, line in imports_of(module):
            is_lazy = name == "otel_ext.redaction.patterns"  # only to parse a pattern
            is_settings = not declares and name.endswith(".settings")
            if target_of(name) not in allowed | {None} and not (is_lazy or is_settings):
                wrong.append(f"{module.location(line)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_imports_have_no_circle() -> None:
    """No module imports itself by way of others, not for types nor inside a function."""
    names = {module.name.removesuffix(".__init__") for module in modules()} - {"otel_ext"}
    graph = {
        name: {target for target, _ in imports_of(module) if target in names and target != name}
        for module in modules()
        if (name := module.name.removesuffix(".__init__")) in names
    }
    for name in [name for name in names if any(one.startswith(f"{name}.") for one in names)]:
        graph[name] = set()  # a package only re-exports
    TopologicalSorter(graph).prepare()


def test_no_module_is_too_long() -> None:
    """Modules and test modules have at most 400 lines."""
    texts = [(module.path, module.text) for module in modules()]
    texts += [
        (f"tests/{path.relative_to(TESTS)}", path.read_text(encoding="utf-8"))
        for path in tree.python_files(TESTS)
    ]
    sizes = [(name, len(text.splitlines())) for name, text in texts]
    too_long = [f"{name}: {size} lines" for name, size in sizes if size > LONGEST]
    assert not too_long, "\n".join(too_long)


def test_reading_a_journal_needs_no_writer() -> None:
    """`journal/read` imports neither recovery, which changes files, nor the writers."""
    wrong = [
        f"{module.location(line)} imports {name}"
        for module in modules()
        if module.name.startswith("otel_ext.journal.read.")
        for name, line in imports_of(module)
        if name.startswith(("otel_ext.journal.recovery", "otel_ext.journal.write"))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_relative_imports() -> None:
    """Every import has the full module name, since tools see some files under two paths."""
    wrong = [
        module.location(node.lineno)
        for module in modules()
        for node in nodes_of(module)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong, "\n".join(wrong)


def allowed_in_init(node: ast.stmt) -> bool:
    """Return whether a statement only re-exports."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            # A lazy __getattr__ needs its table of names.
            return name == "__all__" or name.startswith("_")
        case ast.FunctionDef(name="__getattr__" | "__dir__"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            # A bare annotation declares a lazy name for type checkers.
            names = (ast.Import, ast.ImportFrom, ast.AnnAssign)
            return all(isinstance(inner, names) for inner in node.body)
        case _:
            return False


def test_init_files_only_re_export() -> None:
    """A package's `__init__` has only a docstring, imports, names and lazy access."""
    wrong = [
        module.location(node.lineno)
        for module in modules()
        if module.name.endswith(".__init__")
        for node in module.tree.body
        if not allowed_in_init(node)
    ]
    assert not wrong, "\n".join(wrong)


def test_code_inside_log_calls_does_not_log() -> None:
    """Code that runs inside the program's log calls never imports `logging`: it would recurse."""
    wrong = [
        f"{module.location(line)} imports {name}"
        for module in modules()
        if module.part in NO_LOGGING or module.name in NO_LOGGING_MODULES
        for name, line in imports_of(module)
        if name.split(".")[0] == "logging"
    ]
    assert not wrong, "\n".join(wrong)


@cache
def own_privates(module: Module) -> frozenset[str]:
    """Return the underscored names that a module defines, in any scope."""
    found: set[str] = set()
    for node in nodes_of(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                found |= {str(slot) for slot in ast.literal_eval(value)}
            case _:
                pass
    return frozenset(found)


@cache
def all_privates() -> frozenset[str]:
    """Return the underscored names that any module defines."""
    return frozenset[str]().union(*map(own_privates, modules()))


def is_private(name: str) -> bool:
    """Return whether a name is underscored, and neither dunder nor documented as public."""
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def foreign_privates(module: Module) -> list[str]:
    """Return the locations where a module uses private names that it does not define."""
    own = own_privates(module)
    ours = all_privates()
    found: list[str] = []
    for node in nodes_of(module):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in ours:
                continue  # inherited from a class of ours
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                found.append(f"{module.location(node.lineno)} uses .{name}")
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"),
                args=[_, ast.Constant(value=str() as name), *_],
            ) if is_private(name) and name not in own:
                found.append(f"{module.location(node.lineno)} uses .{name}")
            case _:
                pass
    return found


def test_privates_of_others_are_used_in_one_module() -> None:
    """Only the capture module uses underscored attributes that it does not define."""
    wrong = [
        location
        for module in modules()
        if module.name != CAPTURE
        for location in foreign_privates(module)
    ]
    assert not wrong, "\n".join(wrong)


def private_imports(module: Module) -> list[str]:
    """Return where a module imports underscored parts of OpenTelemetry."""
    found: list[str] = []
    for node in nodes_of(module):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            private = [part for part in parts[1:] if is_private(part)]
            if parts[0] == "opentelemetry" and private:
                found.append(f"{module.location(getattr(node, 'lineno', 0))} imports {name}")
    return found


def test_private_modules_of_the_sdk_are_imported_in_one_module() -> None:
    """Underscored modules and names of OpenTelemetry are imported by the capture module only."""
    wrong = [
        location
        for module in modules()
        if module.name != CAPTURE
        for location in private_imports(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_stock_exporters_are_not_imported() -> None:
    """Records are encoded and sent by our own code, which needs only `opentelemetry.proto`."""
    wrong = [
        f"{module.location(line)} imports {name}"
        for module in modules()
        for name, line in imports_of(module)
        if name.startswith("opentelemetry.exporter")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_test_says_what_it_checks() -> None:
    """Each test function has a docstring that states the behaviour."""
    wrong: list[str] = []
    for path in tree.python_files(TESTS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    if name.startswith("test_") and not ast.get_docstring(node):
                        wrong.append(f"{path.name}:{node.lineno} {name}")
                case _:
                    pass
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(120)
def test_importing_has_no_side_effects() -> None:
    """Importing a module starts nothing, opens no file for writing and registers nothing."""
    # The lower layers first, so that an effect is reported for the module that has it.
    order = list(LAYERS)
    names = [
        module.name.removesuffix(".__init__")
        for module in sorted(modules(), key=lambda module: order.index(module.part))
        if not module.name.endswith("__main__")
    ]
    probe = TESTS / "import_probe.py"
    effects: list[str] = succeed(python("-B", probe, *names), TESTS).document
    assert not effects, "\n".join(effects)
