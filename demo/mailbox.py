"""Mail for the demonstration: what a small office's mailbox looks like on an ordinary day."""
import email.message
import email.policy
import email.utils
import datetime

ME = "Demo <demo@example.org>"
ANN = "Ann Ålund <ann@example.org>"
BOB = "Bob Carter <bob@example.com>"
LIST = "Sailing club <members@sailing.example.net>"
SHOP = "Bicycle Works <orders@bicycles.example.com>"

_PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
                     "c0f01f00050001ff56c7ae0f0000000049454e44ae426082")

# mailbox, flags, days ago, from, to, subject, text, attachments (name, type, octets)
_MAIL = (
    ("INBOX", "S", 9, ANN, ME, "Minutes of Monday's meeting",
     "Hello,\n\nthe minutes are attached. Please tell me by Thursday if something is missing.\n\nAnn\n",
     [("minutes.txt", "text/plain", b"1. Budget\n2. The leaking roof\n3. Any other business\n")]),
    ("INBOX", "RS", 8, BOB, ME, "Lunch on Friday?",
     "Shall we try the new place at the harbour? 12:30 would suit me.\n\nBob\n", []),
    ("INBOX", "S", 7, SHOP, ME, "Your order 2048-17 has been sent",
     "Thank you for your order.\n\n  1 x chain, 11-speed\n  2 x inner tube 28\"\n\nIt should arrive within three days.\n", []),
    ("INBOX", "S", 6, LIST, "members@sailing.example.net", "[sailing] Autumn regatta: results",
     "1. Windspiel\n2. Fröken Snusk\n3. Dreizehn\n\nPhotographs will follow.\n", []),
    ("INBOX", "FS", 5, ANN, ME, "Draft of the contract",
     "Please look at section 4 again; I have marked it.\n\nAnn\n",
     [("contract.pdf", "application/pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")]),
    ("INBOX", "S", 4, "Nils <nils@example.org>", ME, "Re: server room, Saturday",
     "> Who has the key on Saturday?\n\nI have. I am there from nine.\n", []),
    ("INBOX", "", 3, LIST, "members@sailing.example.net", "[sailing] Photographs",
     "As promised. More on the notice board.\n", [("regatta.png", "image/png", _PNG)]),
    ("INBOX", "", 2, BOB, ME, "Your parcel is with me",
     "The postman left it here. I am at home from six.\n\nBob\n", []),
    ("INBOX", "", 1, "Library <noreply@library.example.net>", ME, "Two books are due on Monday",
     "The Structure and Interpretation of Signals\nA History of Tides\n\nRenew them at the desk or by telephone.\n", []),
    ("INBOX", "", 0, ANN, ME, "Smörgåsbord at ours?",
     "Saturday at seven, and bring whoever is hungry.\n\nAnn\n", []),
    ("Sent", "S", 8, ME, BOB, "Re: Lunch on Friday?", "12:30 it is.\n", []),
    ("Sent", "S", 4, ME, ANN, "Re: Draft of the contract", "Section 4 is fine with me, but see the note on page 2.\n", []),
    ("Drafts", "DS", 1, ME, "nils@example.org", "Backup of the old machine", "Nils, before we switch it off,\n", []),
    ("Archive", "S", 300, SHOP, ME, "Your order 1999-03 has been sent", "Thank you for your order.\n", []),
    ("Archive", "RS", 200, ANN, ME, "Holiday plan", "June works for everybody.\n", []),
)
FOLDERS = ("Sent", "Drafts", "Archive")


def messages():
    """Gives (mailbox, Maildir flags, Unix time, octets) of each, the oldest of a mailbox first."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    for number, (mailbox, flags, days, sender, recipient, subject, text, attachments) in enumerate(_MAIL):
        sent_at = now - datetime.timedelta(days=days, minutes=37 + 11 * number)
        mail = email.message.EmailMessage(policy=email.policy.SMTP)
        mail["Date"] = email.utils.format_datetime(sent_at)
        mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
        mail["Message-ID"] = f"<{sent_at:%Y%m%d%H%M%S}.{number}@{sender.rstrip('>').split('@')[-1]}>"
        mail.set_content(text)
        for name, kind, octets in attachments:
            mail.add_attachment(octets, *kind.split("/"), filename=name)
        yield mailbox, flags, int(sent_at.timestamp()), mail.as_bytes()
