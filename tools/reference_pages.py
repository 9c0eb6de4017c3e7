"""Writes docs/reference from the public names, their signatures and their docstrings.

Run: python -m tools.reference_pages docs/reference
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import griffe

import otel_ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PAGES", "main", "package", "public_names", "render"]


class Page(NamedTuple):
    """A page of the reference.

    Attributes:
        file: Its name in docs/reference.
        modules: The modules whose public names it describes; the first one is its title.
        about: What they are for.
    """

    file: str
    modules: tuple[str, ...]
    about: str


PAGES: Final = (
    Page("otel_ext.md", ("otel_ext",), "What a program needs on the first day."),
    Page(
        "context.md",
        ("otel_ext.context", "otel_ext.context.error_context"),
        "Spans by hand, and keeping the context. [The guide](../context.md) shows them together.",
    ),
    Page("events.md", ("otel_ext.events",), "The event bus."),
    Page(
        "structured.md",
        ("otel_ext.structured",),
        "Spans for programs that have a flat trace, and for pipelines. [The guide]"
        "(../how-to/migrate-a-flat-trace-logger.md) shows how to start.",
    ),
    Page(
        "analysis.md",
        ("otel_ext.analysis",),
        "Trees, critical paths and statistics of recorded traces. [The guide]"
        "(../how-to/look-at-traces.md) has a command for each.",
    ),
    Page("views.md", ("otel_ext.views",), "Reports."),
    Page(
        "services.md",
        ("otel_ext.services", "otel_ext.services.telemetry"),
        "Agents, services, settings and supervised work of a program that runs long. [The guide]"
        "(../how-to/an-agent-platform.md) shows them together.",
    ),
    Page("flags.md", ("otel_ext.flags",), "Feature flags, staged by trace."),
    Page("monitor.md", ("otel_ext.monitor",), "Alerts and sampling while a program runs."),
    Page(
        "store.md",
        ("otel_ext.store",),
        "What was recorded, found again in files and stores. [The command]"
        "(../commands.md#otel-ext-events-what-has-happened) asks the same.",
    ),
    Page(
        "search.md", ("otel_ext.search",), "Searches in traces, as in the terminal and the viewer."
    ),
)

_HEAD: Final = (
    "<!-- Made by `python -m tools.reference_pages docs/reference`; change docstrings. -->"
)
_ROOT: Final = Path(otel_ext.__file__).parents[1]
_PRIVATE: Final = re.compile(r"\b_[A-Z]\w*")
_LITERAL: Final = re.compile(r"-?[\d._]+|'.*'|\".*\"|None|True|False|\(\)|\[\]|\{\}")


@cache
def package() -> griffe.GriffeLoader:
    """Return a loader that has read the source of `otel_ext`."""
    loader = griffe.GriffeLoader(search_paths=[_ROOT], allow_inspection=False)
    loader.load("otel_ext")
    return loader


def render() -> dict[str, str]:
    """Return the pages of the reference by the names of their files."""
    loader = package()
    pages = {page.file: _render_page(page, loader) for page in PAGES}
    rows = "\n".join(f"| [{page.modules[0]}]({page.file}) | {page.about} |" for page in PAGES)
    index = f"# Reference\n\n{_HEAD}\n\n| import from | |\n|---|---|\n{rows}\n"
    return {"README.md": index, **pages}


def public_names(module: str) -> list[str]:
    """Return the public names of a module, without dunder names."""
    return [name for name in importlib.import_module(module).__all__ if name[:2] != "__"]


def _home(name: str) -> Page:
    """Return the page that describes a name: that of a package goes before `otel_ext`."""
    return next(
        page
        for page in (*PAGES[1:], PAGES[0])
        if any(name in public_names(module) for module in page.modules)
    )


def _render_page(page: Page, loader: griffe.GriffeLoader) -> str:
    title, *others = page.modules
    parts = [f"# `{title}`\n\n{_HEAD}\n\n{page.about}"]
    elsewhere: dict[str, Page] = {}
    for name in public_names(title):
        home = _home(name)
        if home is page:
            parts += _describe(_find(loader, title, name), name, "##")
        else:
            elsewhere[name] = home
    for module in others:
        found = cast("griffe.Module", loader.modules_collection[module])
        parts.append(f"## The module `{module}`\n\n{_text(found)}")
        for name in public_names(module):
            if name not in public_names(title):
                short = module.rpartition(".")[2]
                parts += _describe(_find(loader, module, name), f"{short}.{name}", "###")
    if elsewhere:
        rows = "\n".join(
            f"- [`{name}`]({home.file}#{name.lower()})" for name, home in elsewhere.items()
        )
        parts.append(f"## Described on other pages\n\n{rows}")
    return "\n\n".join(parts) + "\n"


def _find(loader: griffe.GriffeLoader, module: str, name: str) -> griffe.Object:
    found = cast("griffe.Object | griffe.Alias", loader.modules_collection[f"{module}.{name}"])
    return found.final_target if isinstance(found, griffe.Alias) else found


def _text(found: griffe.Object) -> str:
    return found.docstring.value.strip() if found.docstring else ""


def _describe(found: griffe.Object, name: str, level: str) -> Iterator[str]:
    """Yield the parts of the description of one name, and of the members of a class."""
    yield f"{level} `{name}`"
    yield "```py\n" + "\n".join(_signatures(found)) + "\n```"
    yield from _sections(found)
    if isinstance(found, griffe.Class):
        for member in found.members.values():
            is_shown = not member.name.startswith("_") and member.docstring is not None
            if is_shown and not isinstance(member, griffe.Alias) and not _is_field(member):
                yield from _describe(member, f"{name}.{member.name}", level + "#")


def _is_property(found: griffe.Object) -> bool:
    return "property" in found.labels


def _is_field(found: griffe.Object) -> bool:
    return isinstance(found, griffe.Attribute) and not _is_property(found)


def _signatures(found: griffe.Object) -> Iterator[str]:
    """Yield a signature, or one for each overload."""
    if isinstance(found, griffe.Class):
        kinds = {section.kind for section in _parsed(found)}
        if any(str(base) == "NamedTuple" for base in found.bases):
            yield f"class {found.name}{_parameters(_fields(found), found)}"
        elif griffe.DocstringSectionKind.parameters in kinds:
            parameters = [one for one in found.parameters if one.name != "self"]
            yield f"class {found.name}{_parameters(parameters, found)}"
        else:  # other code makes its objects
            yield f"class {found.name}"
    elif isinstance(found, griffe.Function):
        word = "async def" if "async" in found.labels else "def"
        for one in found.overloads or [found]:
            parameters = [p for p in one.parameters if p.name not in {"self", "cls"}]
            result = _public(str(one.returns), found)
            yield f"{word} {found.name}{_parameters(parameters, found)} -> {result}"
    elif isinstance(found, griffe.Attribute) and _is_property(found):
        yield f"{found.name}: {_public(str(found.annotation), found)}"
    elif isinstance(found, griffe.Attribute):
        yield f"{found.name} = {_quoted(str(found.value))}"


def _fields(found: griffe.Class) -> Iterator[griffe.Parameter]:
    for member in found.members.values():
        if isinstance(member, griffe.Attribute) and not _is_property(member):
            yield griffe.Parameter(
                member.name,
                annotation=member.annotation,
                kind=griffe.ParameterKind.positional_or_keyword,
                default=member.value,
            )


def _parameters(parameters: Iterable[griffe.Parameter], found: griffe.Object) -> str:
    """Return parameters as in Python; a long list has a line for each."""
    words: list[str] = []
    kinds = griffe.ParameterKind
    before: griffe.ParameterKind | None = None
    for one in parameters:
        if before is kinds.positional_only and one.kind is not before:
            words.append("/")
        if one.kind is kinds.keyword_only and before not in {
            kinds.keyword_only,
            kinds.var_positional,
        }:
            words.append("*")
        star = "*" if one.kind is kinds.var_positional else ""
        star = "**" if one.kind is kinds.var_keyword else star
        text = f"{star}{one.name}"
        if one.annotation is not None:
            text += f": {_public(str(one.annotation), found)}"
        if one.default is not None and not star:
            text += f" = {_default(one, found)}"
        words.append(text)
        before = one.kind
    if before is kinds.positional_only:
        words.append("/")
    line = f"({', '.join(words)})"
    if len(line) <= 70:  # noqa: PLR2004 - what fits beside the name
        return line
    return "(\n" + "".join(f"    {word},\n" for word in words) + ")"


def _public(annotation: str, found: griffe.Object) -> str:
    """Return an annotation with the values of private aliases instead of their names."""

    def value_of(match: re.Match[str]) -> str:
        alias = found.module.members.get(match[0])
        value = str(getattr(alias, "value", None) or match[0])
        return _public(value.strip("'\""), found) if value != match[0] else value

    return _PRIVATE.sub(value_of, annotation)


def _default(parameter: griffe.Parameter, found: griffe.Object) -> str:
    """Return a default as it is written; the value of a constant instead of its name."""
    text = str(parameter.default)
    if _LITERAL.fullmatch(text):
        return _quoted(text)
    owner: object = importlib.import_module(found.module.path)
    for part in found.path.removeprefix(f"{found.module.path}.").split("."):
        owner = getattr(owner, part)
    value: object = inspect.signature(owner).parameters[parameter.name].default  # type: ignore[arg-type]
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return _quoted(repr(value)) if isinstance(value, (float, str)) else "..."


def _quoted(text: str) -> str:
    """Return Python text with the quotes of this project."""
    return text if '"' in text else text.replace("'", '"')


def _parsed(found: griffe.Object) -> list[griffe.DocstringSection]:
    return found.docstring.parse("google", warnings=False) if found.docstring else []


def _sections(found: griffe.Object) -> Iterator[str]:
    """Yield the sections of a docstring in Markdown."""
    for section in _parsed(found):
        if isinstance(section, griffe.DocstringSectionText):
            yield from _prose(section.value)
        elif isinstance(
            section, (griffe.DocstringSectionParameters, griffe.DocstringSectionAttributes)
        ):
            title = "Attributes" if section.kind.value == "attributes" else "Arguments"
            items = (f"- `{one.name}`: {_line(one.description)}" for one in section.value)
            yield f"{title}:\n\n" + "\n".join(items)
        elif isinstance(section, griffe.DocstringSectionReturns):
            yield "Returns: " + " ".join(_line(one.description) for one in section.value)
        elif isinstance(section, griffe.DocstringSectionRaises):
            items = (f"- `{one.annotation}`: {_line(one.description)}" for one in section.value)
            yield "Raises:\n\n" + "\n".join(items)


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text, those with a prompt as code."""
    for paragraph in re.split(r"\n\n+", text.strip()):
        yield f"```pycon\n{paragraph}\n```" if paragraph.startswith(">>> ") else paragraph


def _line(text: str) -> str:
    return " ".join(text.split())


def main(arguments: list[str]) -> int:
    """Write the pages to the folder that the argument names."""
    folder = Path(arguments[0] if arguments else "docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in render().items():
        (folder / name).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
