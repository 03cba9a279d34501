"""The texts of the gateway's catalogues, as msgfmt has compiled them."""
import gettext

from .gateway import BUILD


def translate(language, msgid):
    """The text in a language ("DE"); it must have one that is another than the English."""
    with open(BUILD / "po" / f"{language.lower()}.mo", "rb") as file:
        text = gettext.GNUTranslations(file).gettext(msgid)
    assert text != msgid, f"{language} has no translation of {msgid!r}"
    return text.encode()
