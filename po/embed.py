"""embed.py OUTPUT en.mo LANGUAGE.mo...: the catalogues as C, for src/imap/catalogue.c. en.mo holds every text there is.

A translation that could be taken for more than human text in a line of IMAP is refused here, so that none gets into the
program: nothing that ends the line, no "[" where a response code would begin, no "{" where a literal could."""
import pathlib
import re
import sys

import mo


def forms(text):
    return text if isinstance(text, list) else [text]


def complaint(text):
    for form in forms(text):
        if not form:
            return "is empty"
        if form.startswith("["):
            return "begins like a response code"
        if re.search(r"[\x00-\x1f\x7f{}]", form):
            return "holds a control character or a brace"
    return None


def c_string(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def c_text(text):
    """Forms follow one another, each with its NUL: the last one's is the literal's own."""
    return ' "\\0" '.join(c_string(form) for form in forms(text)) if text else "NULL"


def plural(texts):
    """Of "nplurals=2; plural=n != 1;" the two values. The second is C by definition; this makes sure of it."""
    match = re.fullmatch(r"nplurals=(\d+); plural=([n0-9\s()?:!=<>&|%+*/-]+);?", mo.header(texts, "Plural-Forms"))
    if not match:
        raise ValueError("Plural-Forms cannot be read")
    return match.group(1), match.group(2)


def catalogue(name, texts, msgids):
    count, expression = plural(texts)
    lines = [f"static const char *const catalogue_{name}[] = {{"]
    lines += [f"    {c_text(texts.get(msgid))}," for msgid in msgids]
    lines += ["};", f"static unsigned long catalogue_form_{name}(unsigned long n)", "{", f"    return {expression};", "}"]
    missing = sum(msgid not in texts for msgid in msgids)
    row = f'    {{ "{name.upper().replace("_", "-")}", catalogue_{name}, catalogue_form_{name}, {count}, {missing} }},'
    return lines, row


def main(output, english, *others):
    msgids = sorted((msgid for msgid in mo.read(pathlib.Path(english)) if msgid), key=lambda msgid: msgid.encode())
    lines, rows = ["static const char *const catalogue_msgids[] = {"], []
    lines += [f"    {c_string(msgid)}," for msgid in msgids] + ["};"]
    for path in map(pathlib.Path, others):
        texts = mo.read(path)
        for msgid in msgids:
            if msgid in texts and (words := complaint(texts[msgid])):
                raise ValueError(f'{path.stem}.po: the translation of "{msgid}" {words}')
        more, row = catalogue(path.stem, texts, msgids)
        lines += more
        rows.append(row)
    lines += ["#define CATALOGUE_ROWS \\"] + [row + " \\" for row in rows] + [""]
    pathlib.Path(output).write_text("\n".join(lines) + "\n", encoding="utf-8")


try:
    main(*sys.argv[1:])
except (OSError, ValueError) as error:
    sys.exit(f"embed.py: {error}")
