"""What must not leave a machine in a bug report: names, addresses, keys. Each is replaced by a word such as <host-1>, the same one each time.

What counts as what is decided by its form (an address, a key), by what stands before it (`token=`, a folder of homes) and by what this machine
knows of itself (its user, its name, its folders). A name that is also a word of socbench's own ("max", "orin") is replaced only where it can be
nothing else than a name: in a home, before an @, in a URL. An address is one where no letter and no digit touches it. Numbers and hashes stay.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import ipaddress
import os
import platform
import pwd
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import cache
from harness.spec import Zoo

CLASSES = ("user", "host", "home", "folder", "ip", "mac", "serial", "email", "secret", "key")
PLACEHOLDER = re.compile(rf"<(?:{'|'.join(CLASSES)})-\d+>")
NOBODY = frozenset(CLASSES) | {
    *("root", "users", "admin", "nobody", "guest", "runner", "build", "test", "tmp", "default", "shared", "none", "unknown", "true", "false"),
    *("localhost", "address", "hostname", "name", "ubuntu", "debian", "linaro", "khadas", "orangepi", "firefly", "toradex", "torizon"),
}
"""Names that name nobody: accounts that every such board has."""
PUBLIC = (
    *("github.com", "githubusercontent.com", "huggingface.co", "python.org", "kernel.org", "debian.org", "ubuntu.com", "openssh.com"),
    *(
        "nvidia.com",
        "qualcomm.com",
        "nxp.com",
        "rock-chips.com",
        "huawei.com",
        "hiascend.com",
        "arm.com",
        "onnxruntime.ai",
        "mlcommons.org",
        "doi.org",
    ),
)
"""Whose addresses say nothing of who reaches them."""
HIDDEN = (
    r"(?:pass(?:wd|word|phrase)|secret|token(?!s)|api[ _-]?key|access[ _-]?key|private[ _-]?key|credentials?|authorization|cookie|session[ _-]?id)"
)
SERIAL = r"(?:serial(?:[ _-]?(?:no|num|number))?|uuid|boot[ _-]?id|machine[ _-]?id|imei|asset[ _-]?tag)"
VALUE = r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"'<>]+)"
ALONE = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"

PRIVATE_KEY = re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
SSH_KEY = re.compile(
    r"(?<![0-9A-Za-z])((?:sk-)?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-[\w-]+)(?:@openssh\.com)?)\s+AAAA[A-Za-z0-9+/=]+(?:[ \t]+[^\n\"']*)?"
)
FINGERPRINT = re.compile(r"(?<![0-9A-Za-z])SHA256:[A-Za-z0-9+/]{43}=?")
TOKEN = re.compile(
    r"(?<![0-9A-Za-z])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{12,}|pypi-[\w-]{16,}|npm_[A-Za-z0-9]{20,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,})"
)
URL = re.compile(r"(?<![0-9A-Za-z])([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"'<>]+)")
NAMED_SECRET = re.compile(
    rf"(?i)((?<![\w.-])[\w.-]*{HIDDEN}[\w-]*[\"']?(?:\s*[=:]\s*)(?:(?:bearer|basic)\s+)?){VALUE}|((?<![\w-])--[\w-]*{HIDDEN}[\w-]*[ =]){VALUE}"
)
NAMED_KEY = re.compile(rf"((?<![A-Z0-9_])[A-Z_][A-Z0-9_]*_KEY(?:_ID)?=){VALUE}")
NAMED_SERIAL = re.compile(rf"(?i)((?<![\w.-])[\w.-]*{SERIAL}[\"']?\s*[=:]\s*){VALUE}")
UUID = re.compile(rf"{ALONE[0]}[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}{ALONE[1]}")
METER = re.compile(r"(?i)(?<![0-9A-Z])(shelly[\w-]*-)([0-9A-F]{6,12})(?![0-9A-Z])")
AT = re.compile(r"(?<!\w)([A-Za-z_][\w.+-]{0,63})@([A-Za-z0-9][\w.-]*[A-Za-z0-9]|[A-Za-z0-9])")
NO_HOST = re.compile(r"(?=[a-f.]*\d)[0-9a-f]+(?:\.\w+)?|GLIBC.*|CXXABI.*")
"""What follows an @ and is no host: a unit of the device tree (npu@fdab0000), a symbol's version."""
HOMES = re.compile(
    r"((?:/|\\)(?:home|Users)(?:/|\\)|(?<![\w.-])/(?:run/)?media/|(?<![0-9A-Za-z])~(?=[\w.-]+/))([A-Za-z_][^/\\\s\"'`:;,<>()\[\]{}|]*)"
)
MAC = re.compile(rf"{ALONE[0]}[0-9A-Fa-f]{{2}}([:-])(?:[0-9A-Fa-f]{{2}}\1){{4,6}}[0-9A-Fa-f]{{2}}{ALONE[1]}")
IPV4 = re.compile(r"(?<![0-9A-Za-z])(?<!\d\.)(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z])(?!\.\d)")
VERSION_BEFORE = re.compile(r"(?i)\bver(?:sion)?\.?[ :=]*$")
COLONS = re.compile(r"[0-9A-Fa-f:.]{2,}(?:%\w+)?")
IPV6_PARTS = 17
"""Eight groups, what is between them, and the name of an interface."""
DOMAIN = re.compile(
    r"(?i)(?<![0-9a-z])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}"
    r"(?:local|lan|internal|intranet|corp|localdomain|home\.arpa|com|org|net|edu|gov|de|uk|eu|fr|ch|nl|jp|cn|kr|tw)(?![0-9a-z(])(?![.-][0-9a-z])"
)
PEER = re.compile(
    r"(?i)((?<![a-z])hostname[ :=]+|(?<![a-z])to host |(?<![a-z])(?:by|to|from) (?=[\w.-]+ (?:\[\S+\] )?port \d))([A-Za-z0-9][\w.-]*\w)"
)
NAMES_SECRET, NAMES_SERIAL = re.compile(rf"(?i)(?<![a-z]){HIDDEN}(?![a-z])"), re.compile(rf"(?i)(?<![a-z])(?:{SERIAL}|mac)(?![a-z])")
NAMES_HOST, NAMES_USER = re.compile(r"(?i)(?:host|node)(?:[ _-]?name)?"), re.compile(r"(?i)user(?:[ _-]?name)?|login|owner|author")
NAMES_VERSION = re.compile(r"(?i)version|release|kernel|driver|firmware|l4t")
VERSION = re.compile(r"v?\d+(?:\.\d+){2,}(?![\d.:@/])")
SMALL = re.compile(r"-?\d{1,6}(?:\.\d+)?")
LONGEST_NUMBER = 9_999
"""A number above this may be a serial number, where its key says so."""


class Redaction:
    """Replaces, counts what it replaced by class (`counts`), and replaces the same by the same."""

    def __init__(
        self, users: tuple[str, ...] = (), hosts: tuple[str, ...] = (), secrets: tuple[str, ...] = (), folders: dict[str, str] | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._seen: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()
        self._known: dict[str, str] = {}
        self._words: re.Pattern[str] | None = None
        self._secrets = sorted({one for one in secrets if one}, key=len, reverse=True)
        kept = {path.rstrip("/"): kind for path, kind in (folders or {}).items() if path.count("/") > 1 and not path.startswith("/usr/")}
        self._folders = [(re.compile(rf"{re.escape(path)}(?![\w.-])"), kept[path]) for path in sorted(kept, key=len, reverse=True)]
        for kind, names in (("user", users), ("host", hosts)):
            for name in names:
                self.learn(kind, name)

    @classmethod
    def here(cls, name: str = "") -> Redaction:
        """One that knows this machine and its user, and `name`: what a board is called, or user@host."""
        users, hosts = set(), {platform.node(), platform.node().partition(".")[0]}
        folders = {str(path): "folder" for path in (Path.cwd(), cache.root(), Zoo().roots[0], Path(sys.prefix), Path(__file__).parents[2])}
        with contextlib.suppress(KeyError, OSError):
            users.add(getpass.getuser())
        with contextlib.suppress(KeyError):
            entry = pwd.getpwuid(os.getuid())
            users |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
            folders[entry.pw_dir] = "home"
        if "://" not in name:
            user, _, host = name.rpartition("@")
            users.add(user)
            hosts |= {host, host.partition(".")[0]}
        hidden = {value for key, value in os.environ.items() if re.search(rf"(?i){HIDDEN}|_KEY$", key) and len(value) >= len("8 letters")}
        with contextlib.suppress(OSError):
            hidden.add(Path("/etc/machine-id").read_text(encoding="ascii").strip())
        folders[os.environ.get("HOME", "")] = "home"
        return cls(tuple(sorted(users)), tuple(sorted(hosts)), tuple(hidden), folders)

    def learn(self, kind: str, name: str) -> None:
        """Replace `name` wherever it stands from now on, unless it is a word of socbench's own, too short, or an address."""
        name = name.strip()
        if len(name) < len("abc") or _common(name) or _address(name) or name.lower() in self._known or PLACEHOLDER.search(name):
            return
        self._known[name.lower()] = kind
        self._words = re.compile("|".join(_word(one) for one in sorted(self._known, key=len, reverse=True)), re.IGNORECASE)

    def value(self, value: Any, key: str = "") -> Any:
        """A JSON value with everything in it replaced, keys too; `key` is what it stands under."""
        if isinstance(value, str):
            return self._keyed(value, key)
        if isinstance(value, dict):
            return {self.text(name): self.value(one, name) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return list(value) if all(one is None or type(one) in (int, float) for one in value) else [self.value(one, key) for one in value]
        if type(value) is int and value > LONGEST_NUMBER and NAMES_SERIAL.search(key):
            return self._put("serial", str(value))
        return value

    def _keyed(self, value: str, key: str) -> str:
        """A text of which its key may say what it is."""
        if value and not PLACEHOLDER.fullmatch(value):
            for kind, names in (
                ("secret", NAMES_SECRET.search),
                ("serial", NAMES_SERIAL.search),
                ("host", NAMES_HOST.fullmatch),
                ("user", NAMES_USER.fullmatch),
            ):
                if names(key) and not (kind in ("host", "user") and _common(value)) and not SMALL.fullmatch(value):
                    return self._named(kind, value)
        if NAMES_VERSION.search(key) and (found := VERSION.match(value)):  # 10.3.0.30 is an address elsewhere
            return found.group() + self.text(value[found.end() :])
        return self.text(value)

    def text(self, text: str) -> str:
        """A text with everything in it replaced."""
        text = PRIVATE_KEY.sub(lambda found: self._put("key", found.group()), text)
        for hidden in self._secrets:
            text = re.sub(re.escape(hidden), lambda found: self._put("secret", found.group()), text)
        text = URL.sub(self._url, text)
        text = SSH_KEY.sub(lambda found: f"{found[1]} {self._put('key', found.group())}", text)
        text = FINGERPRINT.sub(lambda found: self._put("key", found.group()), text)
        text = TOKEN.sub(lambda found: self._put("secret", found.group()), text)
        text = NAMED_SECRET.sub(lambda found: self._assigned("secret", found[1] or found[3], found[2] or found[4]), text)
        text = NAMED_KEY.sub(lambda found: self._assigned("secret", found[1], found[2]), text)
        text = NAMED_SERIAL.sub(lambda found: self._assigned("serial", found[1], found[2]), text)
        text = UUID.sub(lambda found: self._put("serial", found.group()), text)
        text = METER.sub(lambda found: found[1] + self._put("serial", found[2]), text)
        text = AT.sub(self._at, text)
        for pattern, kind in self._folders:
            text = pattern.sub(lambda found, kind=kind: found.group() if HOMES.fullmatch(found.group()) else self._put(kind, found.group()), text)  # type: ignore[misc]
        text = HOMES.sub(lambda found: found[1] + self._named("user", found[2]), text)
        text = MAC.sub(lambda found: self._put("mac", found.group()), text)
        text = COLONS.sub(self._ipv6, text)
        text = IPV4.sub(self._ipv4, text)
        text = PEER.sub(lambda found: found[1] + self._host(found[2]), text)
        text = DOMAIN.sub(lambda found: found.group() if found.group().startswith(("self.", "cls.", "torch.")) else self._host(found.group()), text)
        if self._words:
            text = self._words.sub(lambda found: self._put(self._known.get(found.group().lower(), "user"), found.group()), text)
        return text

    def _put(self, kind: str, original: str) -> str:
        """The word that stands for `original`, and count it."""
        if PLACEHOLDER.fullmatch(original):
            return original
        self.counts[kind] += 1
        seen = (kind, original)
        if seen not in self._seen:
            self._numbers[kind] += 1
            self._seen[seen] = f"<{kind}-{self._numbers[kind]}>"
        return self._seen[seen]

    def _named(self, kind: str, name: str) -> str:
        """A user or a host that stands where such names stand: from now on it is known."""
        if kind == "host":
            return self._host(name)
        if kind == "user":
            if name.lower() in NOBODY:
                return name
            self.learn(kind, name)
        return self._put(kind, name)

    def _assigned(self, kind: str, before: str, value: str) -> str:
        """`value`, which `before` says is a secret: quotes stay, so do small numbers and what is no serial number."""
        quote = value[0] if value[0] in "\"'" else ""
        inner = value.strip(quote) if quote else value
        if not inner or SMALL.fullmatch(inner) or (kind == "serial" and not any(one.isdigit() for one in inner)):
            return before + value
        return f"{before}{quote}{self._put(kind, inner)}{quote}"

    def _host(self, name: str) -> str:
        address = _address(name)
        if address:
            return name if address.is_loopback or address.is_unspecified else self._put("ip", name)
        if name.lower() in NOBODY or any(f".{name.lower()}".endswith(f".{one}") for one in PUBLIC):
            return name
        self.learn("host", name)
        return self._put("host", name)

    def _at(self, found: re.Match[str]) -> str:
        """user@host or a mail address."""
        user, host = found.groups()
        if NO_HOST.fullmatch(host):
            return found.group()
        if "." in host and not _address(host):
            return self._put("email", found.group())
        return f"{self._named('user', user)}@{self._host(host)}"

    def _ipv4(self, found: re.Match[str]) -> str:
        """Four numbers after the word "version" are no address."""
        before = found.string[max(0, found.start() - 12) : found.start()]
        return found.group() if VERSION_BEFORE.search(before) else self._host(found.group())

    def _ipv6(self, found: re.Match[str]) -> str:
        """A run of hex digits and colons, with the addresses in it replaced; a letter that touches it makes a word of its first or last group."""
        run, text = found.group(), found.string
        if run.count(":") < len("::"):
            return run
        parts = re.split(r"(:+|%)", run)
        first = 1 if found.start() and text[found.start() - 1].isalnum() else 0
        last = len(parts) - (1 if found.end() < len(text) and text[found.end()].isalnum() else 0)
        return "".join([*parts[:first], *self._addresses(parts[first:last]), *parts[last:]])

    def _addresses(self, parts: list[str]) -> Iterator[str]:
        """Groups and what is between them; from left to right the longest addresses are replaced."""
        at = 0
        while at < len(parts):
            for length in range(min(len(parts) - at, IPV6_PARTS), 1, -1):
                piece = "".join(parts[at : at + length])
                bare = piece.strip(".")  # the end of a sentence
                if bare.count(":") > 1 and bare != "::" and _address(bare):
                    yield piece.replace(bare, self._host(bare))
                    break
            else:
                length = 1
                yield parts[at]
            at += length

    def _url(self, whole: re.Match[str]) -> str:
        """scheme://user:password@host:port/path?name=value: what it reaches and with what is replaced, what it asks for stays."""
        scheme, rest = whole.groups()
        tail = rest[len(rest.rstrip(",.;!)")) :]  # of the sentence
        rest = rest[: len(rest) - len(tail)]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" not in authority and "@" in rest and re.search(r":(?!\d+$)", authority):  # a slash in the password
            authority = rest[: rest.rindex("@")] + re.split(r"[/?#]", rest[rest.rindex("@") :], maxsplit=1)[0]
        rest = rest[len(authority) :]
        login, at, place = authority.rpartition("@")
        user, colon, password = login.partition(":")
        if at:
            user = self._named("user", user) if colon and user else self._put("secret", user)
            password = self._put("secret", password) if password else ""
        host, port = place, ""
        if found := re.match(r"\[[^\]]*\]?|[^:]*", place):
            host, port = found.group(), place[found.end() :]
        bare = host.strip("[]")
        known = self._host(bare) if bare else ""
        path, mark, query = [*re.split(r"([?#])", rest, maxsplit=1), "", ""][:3]
        if known != bare:
            path = re.sub(r"[A-Za-z0-9_-]{16,}", lambda one: self._put("secret", one.group()) if re.search(r"\d", one.group()) else one.group(), path)
            query = re.sub(
                r"([^&#=]*=)?([^&#]+)", lambda one: (one[1] or "") + (one[2] if SMALL.fullmatch(one[2]) else self._put("secret", one[2])), query
            )
        brackets = ("[", "]") if host.startswith("[") else ("", "")
        return f"{scheme}://{user}{colon}{password}{at}{brackets[0]}{known}{brackets[1]}{port}{path}{mark}{query}{tail}"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _word(name: str) -> str:
    """A pattern for `name` where no letter touches its first or last letter, and no digit its first or last digit."""
    edges = [r"[^\W\d_]" if one.isalpha() else r"\d" if one.isdigit() else r"(?!)" for one in (name[0], name[-1])]
    return f"(?<!{edges[0]}){re.escape(name)}(?!{edges[1]})"


@functools.cache
def _common(name: str) -> bool:
    """Whether `name` is a word that socbench says itself, or an account that is everywhere."""
    return name.lower() in NOBODY or bool(re.search(_word(name.lower()), _vocabulary()))


@functools.cache
def _vocabulary() -> str:
    """Everything that the protocol, the record and the targets can say."""
    here = Path(__file__)
    folder = Zoo().roots[0] / "targets"
    files = [
        here.with_name("agent.py"),
        here.with_name("dialogue.py"),
        here.parents[1] / "record.py",
        *sorted(folder.rglob("*.toml")),
        *sorted(folder.rglob("*.py")),
    ]
    return "\n".join(file.read_text(encoding="utf-8").lower() for file in files)
