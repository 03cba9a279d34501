"""Pages of docs/ that have what a test measures, word for word; --write-docs writes it anew."""


def with_rows(text, head, rows):
    """The page with these rows below the table's head and its ruler, up to the next empty line."""
    before, behind = text.split(head + "\n")
    ruler, _, old = behind.partition("\n")
    return "\n".join([before + head, ruler, *rows]) + "\n" + old[("\n" + old).index("\n\n"):]
