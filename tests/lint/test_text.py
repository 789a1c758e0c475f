"""Sizes, words and documents: what can be checked by reading the text."""

import re

import pytest

from support import sources

FUNCTION_MAX_LINES = 60
FILE_MAX_LINES = 600
# A comment above the function, or at the head of the file, that says why.
EXCEPTION = re.compile(r"\bLong: \w+")
DEBT = re.compile(
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
    r"|\bnot (yet )?implement" r"ed\b|\bstub(s|bed)?\b",
    re.IGNORECASE)
CODE = sources.with_suffix(".c", ".h")


def functions(path):
    """(first line number, lines of the body, comment above) of each function.
    clang-format puts a function's braces alone in the first column."""
    lines = sources.lines(path)
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start + 1, number - start + 1, "\n".join(
                lines[max(0, start - 20):start])
            start = None


def test_functions_are_found():
    found = sum(1 for path in CODE for _ in functions(path))
    assert found > 20


@pytest.mark.parametrize("path", CODE, ids=str)
def test_functions_are_short(path):
    long = [
        "%s:%d has %d lines" % (path, number, length)
        for number, length, above in functions(path)
        if length > FUNCTION_MAX_LINES and not EXCEPTION.search(above)
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    "path", sources.with_suffix(".c", ".h", ".py"), ids=str)
def test_files_are_short(path):
    lines = sources.lines(path)
    head = "\n".join(lines[:40])
    assert len(lines) <= FILE_MAX_LINES or EXCEPTION.search(head), (
        "%s has %d lines" % (path, len(lines)))


def code_like():
    """Everything but prose."""
    return [
        path
        for path in sources.tracked()
        if path.suffix in (".c", ".h", ".def", ".py", ".build", ".sh", "")
        and path.name != "LICENSE"
    ]


def test_no_debt_markers():
    found = [
        "%s:%d: %s" % (path, number, line.strip())
        for path in code_like()
        for number, line in enumerate(sources.lines(path), 1)
        if DEBT.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_tabs_and_no_space_at_line_ends():
    found = [
        "%s:%d" % (path, number)
        for path in sources.with_suffix(".c", ".h", ".py", ".def", ".build")
        for number, line in enumerate(sources.lines(path), 1)
        if line.rstrip() != line or "\t" in line
    ]
    assert not found, "\n".join(found)


def folders():
    names = {path.parent for path in sources.tracked()}
    return sorted(
        str(name) for name in names
        if not any(part.startswith(".") for part in name.parts))


@pytest.mark.parametrize("folder", folders())
def test_folder_has_a_readme(folder):
    # Parts of the test suite are described in tests/README.md.
    if folder.startswith("tests/"):
        text = sources.text("tests/README.md")
        assert "`%s/`" % folder.split("/")[1] in text
        return
    readme = sources.ROOT / folder / "README.md"
    assert readme.exists() and len(readme.read_text()) > 200


def test_top_level_is_the_agreed_one():
    top = {path.parts[0] for path in sources.tracked()}
    extra = {
        name for name in top
        if not name.startswith(".") and name not in {
            "meson.build", "meson_options.txt", "server", "protocol", "tiers",
            "tests", "bench", "README.md", "LICENSE"}
    }
    assert not extra


@pytest.mark.parametrize(
    "readme", [p for p in sources.tracked() if p.suffix == ".md"], ids=str)
def test_files_named_in_documents_exist(readme):
    """`folder/file.c` and links in a document point at something."""
    text = sources.text(readme)
    named = set(re.findall(r"`([a-z_.]+(?:/[\w.-]+)+)/?`", text))
    named |= {
        link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        if "://" not in link
    }
    missing = []
    for name in named:
        if name.startswith("build") or "*" in name:
            continue
        near = (sources.ROOT / readme).parent / name
        if not near.exists() and not (sources.ROOT / name).exists():
            missing.append(name)
    assert not missing, "%s names %s" % (readme, sorted(missing))
