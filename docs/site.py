"""What MkDocs does not do by itself for the site of the documentation.

Pages lie at their paths in the repository, rooms get reference pages, equations become MathML with
their code beside them, and notebooks become pages too.
"""

import ast
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "byola_diff"
OUTSIDE_DOCS = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"),
    *("byola_diff/models/shipped_bundles/*/README.md",),
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the reference to the navigation."""
    config.nav.append({"Reference": [{room: f"reference/{room}.md"} for room in reference()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of `docs` at their paths in the repository, those outside, and what is made."""
    kept = [file for file in files if file.src_dir != config.docs_dir]
    for path in sorted([*_files_of_docs(files, config), *_files_outside()]):
        name = path.relative_to(REPOSITORY).as_posix()
        kept.append(File.generated(config, name, abs_src_path=str(path)))
        if path.suffix == ".ipynb":
            page = notebook_page(path)
            kept.append(File.generated(config, f"{name[:-6]}.md", content=page))
    for room, text in reference().items():
        kept.append(File.generated(config, f"reference/{room}.md", content=text))
    return Files(kept)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """A paragraph that is a link to a definition, as [`name`](../path.py), becomes its source."""
    link = r"^\[`([\w.]+)`\]\([./]*(byola_diff/[\w/]+\.py)\)$"
    return re.sub(link, lambda found: source_of(found[1], found[2]), markdown, flags=re.M)


def on_page_content(content: str, **_: object) -> str:
    """Equations, which Arithmatex has marked, become MathML."""
    marked = r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>'

    def mathml(found: re.Match) -> str:
        display = "block" if found[1] == "div" else "inline"
        return convert(html.unescape(found[2]).strip(), display=display)

    return re.sub(marked, mathml, content, flags=re.S)


def reference() -> dict[str, str]:
    """The page of every room that calls names public, in Markdown."""
    pages = {}
    for file in [PACKAGE / "__init__.py", *sorted(PACKAGE.glob("*/__init__.py"))]:
        tree = ast.parse(file.read_text())
        if names := list(dict.fromkeys(public_names(file.parent, tree))):
            entries = "\n\n".join(f"::: {name}" for name in names)
            title = ".".join(file.parent.relative_to(REPOSITORY).parts)
            pages[file.parent.name] = f"# {title}\n\n{ast.get_docstring(tree)}\n\n{entries}\n"
    return pages


def public_names(room: Path, tree: ast.Module) -> Iterator[str]:
    """Full names of what a room imports for others, and of what its docstring names."""
    for node in ast.walk(tree):  # those of the whole package are imported on first use
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    module = ""
    for name in re.findall(r"`([\w.]+)`", ast.get_docstring(tree) or ""):
        head = name.split(".")[0]
        if head == PACKAGE.name:
            yield name
        elif (room / f"{head}.py").is_file() or (room / head / "__init__.py").is_file():
            module = f"{PACKAGE.name}.{room.name}.{head}"
            yield f"{PACKAGE.name}.{room.name}.{name}"
        else:  # of the module that was named before
            yield f"{module}.{name}"


def source_of(name: str, path: str) -> str:
    """A fenced block with the source of `name`, a function, or a method as in `Class.method`."""
    text = (REPOSITORY / path).read_text()
    body = ast.parse(text).body
    for part in name.split("."):
        node = next(each for each in body if getattr(each, "name", None) == part)
        body = getattr(node, "body", [])
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = "\n".join(line[indent:] for line in lines)
    return f'```python title="{path}"\n{code}\n```'


def notebook_page(path: Path) -> str:
    """A notebook in Markdown, with a link to its file."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"[The notebook]({path.name}), to run.")
    return "\n\n".join(parts)


def _files_of_docs(files: Files, config: MkDocsConfig) -> Iterator[Path]:
    for file in files:
        if file.src_dir == config.docs_dir and not file.src_uri.endswith(".py"):
            yield Path(file.abs_src_path or "")


def _files_outside() -> Iterator[Path]:
    for pattern in OUTSIDE_DOCS:
        yield from REPOSITORY.glob(pattern)
