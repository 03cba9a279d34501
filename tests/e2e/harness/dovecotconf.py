"""What a private Dovecot is told, for each generation of its settings: 2.3 and 2.4."""
import functools
import pathlib
import subprocess

from .unpacked import RELEASE

_EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "docs" / "examples"

# The end of both. unlimited: how a generation says that an imap process serves session after session.
_SERVICES = """\
namespace inbox {{
  inbox = yes
  separator = /
}}
protocol imap {{
  imap_metadata = yes
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
  inet_listener imap_proxied {{
    port = {proxied_port}
    haproxy = yes
  }}
}}
service imap {{
  {unlimited}
  process_min_avail = 2
}}
service auth {{
  client_limit = 2000
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""

# Private ports, users and folders on top of what operators are told to set.
_CONFIG_23 = """
!include {example}
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
auth_verbose = yes
auth_debug = yes
listen = 127.0.0.1
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1
mail_uid = {mail_user}
mail_gid = {mail_group}
mail_home = {folder}/home/%u
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
mail_fsync = never
mail_attribute_dict = file:%h/attributes
mailbox_list_index = yes
disable_plaintext_auth = no
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{{session}}>
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_username_chars =
auth_username_format = %u
auth_master_user_separator = *
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
passdb {{
  driver = passwd-file
  args = {folder}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = {folder}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = home={folder}/home/%u allow_all_users=yes
}}
"""

_NAMESPACES_23 = """
namespace other {
  type = shared
  separator = /
  prefix = Other Users/%%u/
  location = maildir:%%h/Maildir:INDEXPVT=~/shared/%%u
  list = no
}
namespace public {
  type = public
  separator = /
  prefix = Public Folders/
  location = maildir:{folder}/public
  list = no
}
"""

_OAUTH2_23 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""

_CONFIG_24 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
{example}
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
auth_verbose = yes
log_debug = category=auth
listen = 127.0.0.1
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1
mail_uid = {mail_user}
mail_gid = {mail_group}
mail_home = {folder}/home/%{{user}}
mail_driver = maildir
mail_path = ~/Maildir
mail_max_userip_connections = 0
mail_fsync = never
mailbox_list_index = yes
auth_allow_cleartext = yes
login_log_format_elements = user=<%{{user}}> method=%{{mechanism}} rip=%{{remote_ip}} lip=%{{local_ip}} mpid=%{{mail_pid}} %{{secured}} session=<%{{session}}>
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_username_chars =
auth_username_format = %{{user}}
auth_master_user_separator = *
ssl = yes
ssl_server_cert_file = {certificate}
ssl_server_key_file = {key}
mail_attribute {{
  dict file {{
    path = %{{home}}/attributes
  }}
}}
passdb masters {{
  driver = passwd-file
  passwd_file_path = {folder}/masters
  master = yes
  result_success = continue
}}
passdb users {{
  driver = passwd-file
  mechanisms_filter = plain login cram-md5 scram-sha-1 scram-sha-256
  passwd_file_path = {folder}/users
}}
passdb tokens {{
  driver = oauth2
  mechanisms_filter = xoauth2 oauthbearer
}}
oauth2 {{
  introspection_mode = local
  username_attribute = sub
  oauth2_local_validation {{
    dict fs {{
      fs posix {{
        prefix = {folder}/keys/
      }}
    }}
  }}
}}
userdb users {{
  driver = static
  static_allow_all_users = yes
  fields {{
    home = {folder}/home/%{{user}}
  }}
}}
"""

_NAMESPACES_24 = """
namespace other {
  type = shared
  separator = /
  prefix = Other Users/$user/
  mail_path = %{{owner_home}}/Maildir
  mail_index_private_path = ~/shared/%{{owner_user}}
  list = no
}
namespace public {
  type = public
  separator = /
  prefix = Public Folders/
  mail_path = {folder}/public
  list = no
}
""".replace("{{", "{").replace("}}", "}")


@functools.cache
def is_24():
    """Of what the tests start: in the root of another release, or on this machine."""
    if RELEASE:
        return True
    version = subprocess.run(("dovecot", "--version"), capture_output=True, text=True, check=True).stdout
    return not version.startswith("2.3")


def namespaces():
    """Those of the draft's example, for more_config."""
    return _NAMESPACES_24 if is_24() else _NAMESPACES_23


def files(folder, more, **values):
    """{name: text} of dovecot.conf and what it refers to. values: of the names in the templates; more is added as it is."""
    values["folder"], more = folder, more.replace("{folder}", str(folder))
    if is_24():
        # An include must be readable where the server runs, which may be another root.
        values |= {"example": (_EXAMPLES / "dovecot-2.4.conf").read_text(), "unlimited": "restart_request_count = unlimited"}
        return {"dovecot.conf": (_CONFIG_24 + _SERVICES).format(**values) + more}
    values |= {"example": _EXAMPLES / "dovecot.conf", "unlimited": "service_count = 0"}
    return {"oauth2.conf": _OAUTH2_23.format(folder=folder), "dovecot.conf": (_CONFIG_23 + _SERVICES).format(**values) + more}
