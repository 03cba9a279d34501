"""Real clients, as they are: one row each. client.py says what a row has to have."""
from .curl import Curl
from .doveadm import Doveadm
from .evolution import Evolution, EvolutionQuick
from .fdm import Fdm
from .fetchmail import Fetchmail
from .gnus import Gnus
from .horde import Horde, HordeCache, HordeState
from .imapflow import Imapflow, ImapflowState
from .mbsync import Mbsync
from .mutt import Mutt, Neomutt
from .offlineimap import OfflineImap
from .python_imaplib import Imaplib, ImaplibEnable, ImaplibState
from .roundcube import Roundcube

CLIENTS = (Imaplib, ImaplibEnable, Mbsync, OfflineImap, Fetchmail, Fdm, Mutt, Neomutt, Evolution, EvolutionQuick, Gnus, Curl,
           Imapflow, Horde, HordeCache, Roundcube, Doveadm)

# With the modules of the tree's clients/: the same work with STATE.
STATE_CLIENTS = (ImaplibState, ImapflowState, HordeState)
