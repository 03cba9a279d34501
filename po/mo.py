"""Reads what msgfmt wrote: the GNU MO format, as GNU gettext's manual has it ("The Format of GNU MO Files")."""
import struct

# The magic number in either byte order.
ORDERS = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}


def read(path):
    """A dictionary: msgid to translation, both str; of a text with plural forms the first msgid, and a list of the forms.
    The header's msgid is ""."""
    octets = path.read_bytes()
    order = ORDERS.get(octets[:4])
    if not order:
        raise ValueError(f"{path}: no MO file")
    count, msgids_at, texts_at = struct.unpack_from(f"{order}3I", octets, 8)

    def string(table_at, number):
        length, at = struct.unpack_from(f"{order}2I", octets, table_at + 8 * number)
        return octets[at:at + length].decode("utf-8")

    texts = {}
    for number in range(count):
        msgid, text = string(msgids_at, number), string(texts_at, number)
        texts[msgid.split("\0")[0]] = text.split("\0") if "\0" in msgid else text
    return texts


def header(texts, field):
    """The value of a field of the catalogue's header."""
    for line in texts[""].splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise ValueError(f"no {field} in the header")
