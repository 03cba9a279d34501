"""Real clients, as they are: one row each. client.py says what a row has to have."""
from .curl import Curl
from .fetchmail import Fetchmail
from .horde import Horde
from .imapflow import Imapflow
from .mbsync import Mbsync
from .mutt import Mutt, Neomutt
from .offlineimap import OfflineImap
from .python_imaplib import Imaplib

CLIENTS = (Imaplib, Mbsync, OfflineImap, Fetchmail, Mutt, Neomutt, Curl, Imapflow, Horde)
