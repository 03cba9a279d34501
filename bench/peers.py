"""The servers that the benchmarks measure: private copies, on loopback, each with its files in one folder.

All proxies get one worker, one thread, no access log, and stand before the same Dovecot.
"""

import contextlib
import ctypes
import datetime
import email.utils
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import time

BENCH = pathlib.Path(__file__).resolve().parent
PASSWORD = "bench"
BIG_OCTETS = 20_000_000
SMALL_MESSAGES = 20
START_LIMIT_S = 20
STOP_LIMIT_S = 10
PR_SET_PDEATHSIG = 1
CPU_CLOCK_OF_PROCESS = 2  # as in clock_getcpuclockid(3): nanoseconds, where /proc/PID/stat has ticks
CPU_TRIES = 50
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """What the operator reads; the benchmark goes on without the peer if it can."""


def port_free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program_find(name, hint):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Failure(f"{name} is missing: apt-get install {hint}")
    return path


def child_begin():
    """In the child: many descriptors, no Ctrl-C from the terminal, and no life without us."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def process_children(pid):
    """Their children too. A thread that ends meanwhile is passed over."""
    pids = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                    pids += [int(child)] + process_children(int(child))
    return pids


def text_tail(path, lines=5):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def process_cpu_s(pid):
    """Its own, and that of its children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime((~pid << 3) | CPU_CLOCK_OF_PROCESS) + (int(fields[13]) + int(fields[14])) / TICKS_PER_S


class Peer:
    """A program in the foreground, with a port without TLS and one with it; both are None where it has none."""

    name = "peer"
    hint = ""
    address = "127.0.0.1"  # where it listens

    def __init__(self, folder, dovecot=None):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.dovecot = dovecot
        self.ports = {"clear": port_free(), "tls": port_free()}
        self.process = None
        self.log = self.folder / "log"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=child_begin)
        for port in self.ports.values():
            if port:
                self.wait_for(port)

    def wait_for(self, port):
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at its start:\n{text_tail(self.log)}")
            try:
                socket.create_connection((self.address, port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failure(f"{self.name} does not listen on port {port} after {START_LIMIT_S} s:\n{text_tail(self.log)}")

    def pids(self):
        return [self.process.pid] + process_children(self.process.pid)

    def cpu_s(self):
        """User and system time that all its processes have taken, those that have ended too. One that ends between two
        looks would be missing, so it is tried again."""
        for _ in range(CPU_TRIES):
            with contextlib.suppress(OSError):
                return sum(process_cpu_s(pid) for pid in self.pids())
        raise Failure(f"{self.name}: its processes come and go too fast to be counted")

    def rss_octets(self):
        """Resident memory of all its processes."""
        sum_kib = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    sum_kib += int(line.split()[1])
        return sum_kib * 1024

    def stop(self):
        if not self.process:
            return
        for stop_signal in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(stop_signal)
            try:
                self.process.wait(STOP_LIMIT_S)
                break
            except subprocess.TimeoutExpired:
                continue
        self.process = None


class Certificate:
    """One self-signed P-256 certificate for all."""

    key_options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")

    def __init__(self, folder):
        self.cert, self.key, self.both = (folder / name for name in ("cert.pem", "key.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", *self.key_options, "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", self.key, "-out", self.cert],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.both.write_text(self.cert.read_text() + self.key.read_text())


def message_text(number, octets):
    """A message with CRLF line ends, as Dovecot keeps it when it need not convert."""
    date = email.utils.format_datetime(datetime.datetime(2026, 11, 1, 12, number % 60, tzinfo=datetime.timezone.utc))
    head = (f"From: Ann Example <ann@example.org>\r\nTo: Bench <bench@example.org>\r\nSubject: Minutes, part {number}\r\n"
            f"Date: {date}\r\nMessage-ID: <{number}.minutes@example.org>\r\n\r\n")
    line = "Not one octet of this line is looked at by anything between the two ends......\r\n"
    body = octets - len(head)
    return (head + line * (body // len(line) + 1))[:octets - 2] + "\r\n"


def mail_deliver(folder, number, octets):
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    size = len(octets)
    (folder / "cur" / f"17935344{number:02}.M{number}P1.bench,S={size},W={size}:2,S").write_bytes(octets)


class Dovecot(Peer):
    """The server behind all, which must not be what limits: processes are kept, many sessions share one, nothing is
    synced to disk."""

    name = "dovecot"
    hint = "dovecot-imapd"
    users = ("bench",)
    imap_service = """
  service_count = 0
  process_min_avail = 2
  process_limit = 16
  client_limit = 1000"""

    def __init__(self, folder, certificate):
        super().__init__(folder)
        if os.geteuid() != 0:
            raise Failure("Dovecot wants to be started by root: run this as root")
        for user in self.users:
            mail = self.folder / "mail" / user / "Maildir"
            for number in range(1, SMALL_MESSAGES + 1):
                mail_deliver(mail, number, message_text(number, 3000).encode())
            if self.big_message:
                mail_deliver(mail / ".big", 99, self.big_message())
        nobody = pwd.getpwnam("nobody")
        for path in [self.folder / "mail", *(self.folder / "mail").rglob("*")]:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.conf = self.write("dovecot.conf", f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.log}
listen = {self.address}
protocols = imap
ssl = yes
ssl_cert = <{certificate.cert}
ssl_key = <{certificate.key}
disable_plaintext_auth = no
first_valid_gid = 1
last_valid_uid = 0
mail_location = maildir:~/Maildir
mail_fsync = never
mail_max_userip_connections = 100000
default_vsz_limit = 4G
passdb {{
  {self.passdb()}
}}
userdb {{
  driver = static
  args = uid={nobody.pw_uid} gid={nobody.pw_gid} home={self.folder}/mail/%u
}}
service anvil {{
  client_limit = 16000
}}
service auth {{
  client_limit = 16000
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 8000
  inet_listener imap {{
    port = {self.ports["clear"]}
  }}
  inet_listener imaps {{
    port = {self.ports["tls"]}
    ssl = yes
  }}
}}
service imap {{{self.imap_service}
}}
""")

    def big_message(self):
        return message_text(99, BIG_OCTETS).encode()

    def passdb(self):
        return f"driver = static\n  args = password={PASSWORD}"

    def command(self):
        return [program_find("dovecot", self.hint), "-F", "-c", self.conf]

    def version(self):
        return subprocess.run([program_find("dovecot", self.hint), "--version"], capture_output=True, text=True,
                              check=True).stdout.split()[0]


class Haproxy(Peer):
    name = "haproxy"
    hint = "haproxy"
    option = ""

    def __init__(self, folder, dovecot, certificate):
        super().__init__(folder, dovecot)
        self.conf = self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    {self.option}
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend clear
    bind 127.0.0.1:{self.ports["clear"]}
    default_backend dovecot
frontend tls
    bind 127.0.0.1:{self.ports["tls"]} ssl crt {certificate.both}
    default_backend dovecot
backend dovecot
    server dovecot 127.0.0.1:{dovecot.ports["clear"]}
""")

    def command(self):
        return [program_find("haproxy", self.hint), "-db", "-f", self.conf]

    def version(self):
        return subprocess.run([program_find("haproxy", self.hint), "-v"], capture_output=True, text=True,
                              check=True).stdout.split()[2]


class HaproxySplice(Haproxy):
    """splice(2) moves octets from socket to socket without showing them to the process; only without TLS."""

    name = "haproxy-splice"
    option = "option splice-auto"


class NginxAuth(Peer):
    """Nginx's mail proxy asks over HTTP where a user's server is. A second nginx answers at once, so that it neither
    slows the page nor counts as the proxy's CPU time."""

    name = "nginx-auth"
    hint = "nginx"

    def __init__(self, folder, dovecot):
        super().__init__(folder, dovecot)
        self.ports["tls"] = None
        self.conf = self.write("nginx.conf", f"""
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.log} warn;
events {{ worker_connections 8000; }}
http {{
    access_log off;
    keepalive_timeout 0;
    {nginx_temp_paths(self.folder)}
    server {{
        listen 127.0.0.1:{self.ports["clear"]};
        location / {{
            add_header Auth-Status OK;
            add_header Auth-Server 127.0.0.1;
            add_header Auth-Port {dovecot.ports["clear"]};
            return 200 "";
        }}
    }}
}}
""")

    def command(self):
        return [program_find("nginx", self.hint), "-e", self.log, "-c", self.conf]


def nginx_temp_paths(folder):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


class Nginx(Peer):
    name = "nginx"
    hint = "nginx libnginx-mod-mail"
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_mail_module.so")

    def __init__(self, folder, dovecot, certificate):
        super().__init__(folder, dovecot)
        if not self.module.exists():
            raise Failure(f"{self.module} is missing: apt-get install {self.hint}")
        self.auth = NginxAuth(folder, dovecot)
        self.conf = self.write("nginx.conf", f"""
load_module {self.module};
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.log} warn;
events {{ worker_connections 8000; }}
mail {{
    server_name localhost;
    auth_http 127.0.0.1:{self.auth.ports["clear"]}/auth;
    imap_capabilities IMAP4rev1 UIDPLUS;
    imap_auth plain;
    timeout 1h;
    proxy_timeout 1h;
    ssl_certificate {certificate.cert};
    ssl_certificate_key {certificate.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{self.ports["clear"]};
        protocol imap;
        proxy on;
    }}
    server {{
        listen 127.0.0.1:{self.ports["tls"]} ssl;
        protocol imap;
        proxy on;
    }}
}}
""")

    def command(self):
        return [program_find("nginx", self.hint), "-e", self.log, "-c", self.conf]

    def start(self):
        self.auth.start()
        super().start()

    def stop(self):
        super().stop()
        self.auth.stop()

    def version(self):
        return subprocess.run([program_find("nginx", self.hint), "-v"], capture_output=True, text=True,
                              check=True).stderr.split("/")[-1].strip()


class Imapproxy(Peer):
    """Clear on both sides. It logs to syslog only, and runs as another user than root."""

    name = "imapproxy"
    hint = "imapproxy"

    def __init__(self, folder, dovecot, certificate):
        super().__init__(folder, dovecot)
        self.ports["tls"] = None
        self.stat = self.write("stat", "")
        self.conf = self.write("imapproxy.conf", f"""
server_hostname {dovecot.address}
server_port {dovecot.ports["clear"]}
listen_address {self.address}
listen_port {self.ports["clear"]}
connect_retries 1
connect_delay 1
cache_size 3072
cache_expiration_time 300
proc_username nobody
proc_groupname nogroup
stat_filename {self.stat}
protocol_log_filename {self.folder}/protocol
syslog_facility LOG_MAIL
syslog_prioritymask LOG_WARNING
send_tcp_keepalives no
enable_select_cache no
foreground_mode yes
force_tls no
enable_admin_commands no
""")
        nobody = pwd.getpwnam("nobody")
        for path in (self.folder, self.stat):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def command(self):
        return [program_find("imapproxyd", self.hint), "-f", self.conf, "-p", self.folder / "pid"]

    def version(self):
        """imapproxyd itself does not tell."""
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "imapproxy"], capture_output=True, text=True,
                              check=False).stdout or "unknown"


class Imapstated(Peer):
    name = "imapstated"
    build_variable = "IMAPSTATE_BUILD"
    workers = 1
    settings = "park { per_user = 0 }"  # a connection for each client, as the other peers have
    listener_settings = ""
    upstream_settings = ""
    upstream_way = "clear"

    def __init__(self, folder, dovecot, certificate):
        super().__init__(folder, dovecot)
        self.build = pathlib.Path(os.environ.get(self.build_variable) or BENCH.parent / "build").resolve()
        self.program = self.build / "src" / "daemon" / "imapstated"
        if not self.program.exists():
            raise Failure("src/daemon/imapstated is missing in the build directory: meson setup build && "
                          f"ninja -C build, or set {self.build_variable}")
        self.conf = self.write("imapstated.conf", f"""
workers = {self.workers}
log_level = "warning"
max_clients = 20000
max_unauthenticated_per_address = 0
{self.settings}
listener "clear" {{
  address = "{self.address}:{self.ports["clear"]}"
  tls = "none"
  {self.listener_settings}
}}
listener "tls" {{
  address = "{self.address}:{self.ports["tls"]}"
  tls = "implicit"
  tls_cert_file = "{certificate.cert}"
  tls_key_file = "{certificate.key}"
  {self.listener_settings}
}}
upstream "dovecot" {{
  address = "{dovecot.address}:{dovecot.ports[self.upstream_way]}"
  tls = "{"none" if self.upstream_way == "clear" else "implicit"}"
  tls_name = "localhost"
  tls_ca_file = "{certificate.cert}"
  {self.upstream_settings}
}}
""")

    def command(self):
        return [self.program, "-c", self.conf]

    def build_options(self):
        """How it was compiled; a debug build's numbers say nothing."""
        try:
            options = json.loads((self.build / "meson-info" / "intro-buildoptions.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {option["name"]: option["value"] for option in options}

    def build_warning(self):
        options = self.build_options()
        if options.get("optimization") in ("0", "g") or options.get("b_sanitize", "none") not in ("none", []):
            return (f"imapstated is built with optimization={options['optimization']}, "
                    f"b_sanitize={options['b_sanitize']}: its numbers mean nothing")
        return None

    def version(self):
        git = subprocess.run(["git", "-C", BENCH, "describe", "--always", "--dirty"], capture_output=True, text=True)
        options = self.build_options()
        return f"{git.stdout.strip() or 'unknown'} ({options.get('buildtype', 'unknown build')})"


class ImapstatedBefore(Imapstated):
    """Another build, to tell what a change has brought: both are measured by turns in one run."""
    name = "imapstated-before"
    build_variable = "IMAPSTATE_BEFORE"
