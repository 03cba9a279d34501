"""conf-page.py OUTLINE configuration.md: writes imapstated.conf(5) to standard output.

The words are those of docs/configuration.md. Which options there are, what they take and their defaults come from the
schema, by way of docs/outline.c. An option that only one of the two knows is an error."""
import pathlib
import re
import sys
import textwrap

LINK = re.compile(r"\[([^]]*)\]\(([^)#]*)(?:#[^)]*)?\)")

HEAD = """\
.Dd November 30, 2026
.Dt IMAPSTATED.CONF 5
.Os
.Sh NAME
.Nm imapstated.conf
.Nd configuration of imapstated
.Sh DESCRIPTION
"""
TAIL = """\
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/imapstate/imapstated.conf
What the unit and the package start the daemon with.
.El
.Sh SEE ALSO
.Xr imapstatectl 1 ,
.Xr imapstated 8
"""


def told(link):
    """Of a link to another page its name stays: in brackets, unless it stands in some already."""
    text, page = link.group(1), link.group(2)
    if not page:
        return text
    is_in_brackets = link.string[:link.start()].endswith("(") and link.string[link.end():].startswith(")")
    return f"{text}: {page}" if is_in_brackets else f"{text} ({page})"


def escaped(text):
    return text.replace("\\", "\\e").replace('"', "\\(dq")


def roff(text):
    """A paragraph; every sentence begins a line, as mdoc(7) wants it."""
    parts = LINK.sub(told, " ".join(text.split())).split("`")
    text = "".join(escaped(part) if i % 2 == 0 else rf"\fB{escaped(part)}\fP" for i, part in enumerate(parts))
    sentences = re.sub(r"(?<=[.?:]) (?=[A-Z0-9]|\\f)", "\n", text).split("\n")
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)]
    return [rf"\&{line}" if line.startswith((".", "'")) else line for line in lines]


def rows(table):
    """(names, default, meaning) of each row of a table that begins "| option | default | meaning |"."""
    for line in table[2:]:
        names, default, meaning = line.strip("| ").split(" | ", 2)
        yield re.findall(r"`([^`]+)`", names), default, meaning


def facts(known, section, name, default):
    """The schema's default counts; where it has none, words may say what comes in its place ("the host")."""
    told_by_schema, values = known.pop((section, name))
    if default != told_by_schema and told_by_schema not in ('""', "{}"):
        raise ValueError(f"{name}: its default is {told_by_schema}, not {default}")
    if default.startswith("required"):
        return f"{values}; {default}."
    return f"{values}; default: {default}."


def item(known, section, names, default, meaning):
    told_by_schema = {facts(known, section, name, default) for name in names}
    if len(told_by_schema) > 1:
        raise ValueError(f"{names} stand in one row, and differ")
    meaning = meaning[0].upper() + meaning[1:]
    return [".It Ic " + " , ".join(names), *roff(meaning if meaning.endswith(".") else meaning + "."),
            ".br", *roff(f"({told_by_schema.pop()})")]


def block(known, section, lines):
    """What stands between two empty lines."""
    if lines[0].startswith("| "):
        items = [line for row in rows(lines) for line in item(known, section, *row)]
        return [".Bl -tag -width Ds", *items, ".El"]
    if lines[0].startswith("    "):
        return [".Bd -literal -offset indent", *(escaped(line[4:]) for line in lines), ".Ed"]
    return [".Pp", *roff(" ".join(lines))]


def page(outline, markdown):
    known = {}
    for line in outline.splitlines():
        section, name, default, values = line.split("\t")
        known[section, name] = default, values
    out, section = [], None
    for chunk in re.split(r"\n\n+", markdown.strip())[1:]:
        if chunk.startswith("## "):
            section = chunk[3:]
            title = section if section[0].isupper() else section.removesuffix(" { ... }")
            out += [".Sh " + escaped(title).upper() if not any(key[0] == section for key in known)
                    else ".Ss " + escaped(title)]
        else:
            out += block(known, section, chunk.split("\n"))
    if known:
        raise ValueError(f"not in configuration.md: {sorted(known)}")
    text = HEAD + "\n".join(out) + "\n" + TAIL
    return re.sub(r"(\.S[hs] .*\n)\.Pp\n", r"\1", text)


if __name__ == "__main__":
    sys.stdout.write(page(*(pathlib.Path(name).read_text(encoding="utf-8") for name in sys.argv[1:3])))
