# SPDX-License-Identifier: MIT
"""Encrypted links, with a mosquitto that asks for certificates; and what is said of each way to get them wrong.

    test_tls.py HOST_PROGRAM [CASE...]
"""
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Rig, free_port, run_cases, until


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Pki:
    """An authority, a server that it calls localhost, a client; and another authority that nobody trusts. They are made
    once, and copied for each case."""
    made = None

    def __init__(self, directory):
        self.dir = directory
        if not Pki.made:
            Pki.made = tempfile.TemporaryDirectory(prefix="weir-pki-")
            self.make(Pki.made.name)
        shutil.copytree(Pki.made.name, directory, dirs_exist_ok=True)

    def make(self, directory):
        mine, self.dir = self.dir, directory
        for name in ("ca", "other"):
            self.sign_itself(name)
        self.sign_itself("lone", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE")
        self.issue("server", "subjectAltName=DNS:localhost")
        self.issue("client", "extendedKeyUsage=clientAuth")
        self.issue("expired", "extendedKeyUsage=clientAuth", days="-1")
        self.dir = mine

    def sign_itself(self, name, *more):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.file(name + ".key"), "-out", self.file(name + ".pem"), *more)

    def pin(self, name):
        """As openssl has it, not as weir has."""
        key = subprocess.run(["openssl", "x509", "-in", self.file(name + ".pem"), "-pubkey", "-noout"], check=True,
                             capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True,
                             capture_output=True).stdout
        return "sha256/" + base64.b64encode(hashlib.sha256(der).digest()).decode()

    def file(self, name):
        return os.path.join(self.dir, name)

    def issue(self, name, extension, days="2", new_key=True):
        if new_key:
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.file(name + ".key"))
        with open(self.file("ext"), "w", encoding="ascii") as f:
            f.write(extension + "\n")
        openssl("req", "-new", "-key", self.file(name + ".key"), "-subj", f"/CN={name}", "-out", self.file("csr"))
        openssl("x509", "-req", "-in", self.file("csr"), "-CA", self.file("ca.pem"), "-CAkey", self.file("ca.key"),
                "-CAcreateserial", "-days", days, "-extfile", self.file("ext"), "-out", self.file(name + ".pem"))


class TlsRig(Rig):
    def __init__(self, program, tls, host="localhost", client_certificates=False, server="server", pins=(), more=""):
        self.files = tempfile.TemporaryDirectory(prefix="weir-tls-")
        self.pki = pki = Pki(self.files.name)
        self.tls_port = free_port()
        for end in ("pem", "key"):
            shutil.copy(pki.file(f"{server}.{end}"), pki.file(f"served.{end}"))
        for name in ("ca.key", "server.key", "served.key", "client.key"):
            os.chmod(pki.file(name), 0o644)
        os.chmod(self.files.name, 0o755)
        super().__init__(program, broker_conf=f"listener {self.tls_port} 127.0.0.1\ncafile {pki.file('ca.pem')}\n"
                         f"certfile {pki.file('served.pem')}\nkeyfile {pki.file('served.key')}\n"
                         f"require_certificate {'true' if client_certificates else 'false'}\n")
        os.chmod(self.dir, 0o755)
        self.address = f"mqtts://{host}:{self.tls_port}"
        self.trust(tls, pins, more)

    def end(self):
        super().end()
        self.files.cleanup()

    def trust(self, files, pins, more=""):
        """What the next bridge believes."""
        fields = [f"{key}: {self.pki.file(value)}" for key, value in files.items()]
        if more:
            fields.append(more)
        if pins:
            fields.append(f"pin: [{', '.join(self.pki.pin(name) for name in pins)}]")
        self.options = (f"address: {self.address}\nconnect_timeout: 2s\n"
                        f"rules: [{{out: 'plant/#'}}]\ntls: {{{', '.join(fields)}}}\n")

    def serve(self, name):
        """The server comes back with another certificate and its key."""
        self.broker.stop()
        for end in ("pem", "key"):
            shutil.copy(self.pki.file(f"{name}.{end}"), self.pki.file(f"served.{end}"))
            os.chmod(self.pki.file(f"served.{end}"), 0o644)
        self.broker.start()


def drains(rig):
    h = rig.begin()
    h.tell("add 300 200")
    rig.expect(300)


def says(*words):
    def case(rig):
        h = rig.begin()
        until("a reason", lambda: h.said("state down"))
        reason = h.said("state down")[0]
        assert all(w in reason for w in words), reason
        print(f"    {reason[len('state down '):]}")
    case.__name__ = "says_" + re.sub(r"\W+", "_", "_".join(words))
    return case


def refused_by_name_of_the_key(rig):
    h = rig.begin()
    until("a reason", lambda: h.said("state down"))
    reason = h.said("state down")[0]
    assert f"key is not in tls.pin: {rig.pki.pin('server')}; next try" in reason, reason


def a_changed_key_is_refused_until_the_new_one_is_listed(rig):
    h = rig.begin()
    h.tell("add 100 200")
    rig.expect(100)
    rig.serve("lone")
    until("its key is named", lambda: any(rig.pki.pin("lone") in l for l in h.said("state down")))
    assert h.ups() == 1
    h.stop()
    rig.trust({}, ("server", "lone"))
    h = rig.begin()
    h.tell("add 100 200")
    until("both hundreds", lambda: h.acked() == 200)


def a_renewed_certificate_with_the_same_key_is_the_same_pin(rig):
    rig.pki.issue("server", "subjectAltName=DNS:elsewhere", new_key=False)
    rig.serve("server")
    drains(rig)


def an_older_tls_than_the_least_is_refused(rig):
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", rig.pki.file("server.pem"),
                               "-key", rig.pki.file("server.key"), "-tls1_2", "-quiet"], stdin=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    try:
        rig.options = rig.options.replace(str(rig.tls_port), str(port))
        h = rig.begin()
        until("the reason", lambda: any("tls: tlsv1 alert protocol version" in l for l in h.said("state down")))
        assert h.ups() == 0
    finally:
        server.kill()
        server.wait()


def with_name(case, name):
    def named(rig):
        case(rig)
    named.__name__ = name
    return named


CASES = {
    with_name(drains, "tls_drains"): {"tls": {"ca": "ca.pem"}},
    with_name(drains, "mtls_drains"):
        {"tls": {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}, "client_certificates": True},
    with_name(drains, "the_servers_own_certificate_as_ca_drains"): {"tls": {"ca": "lone.pem"}, "server": "lone"},
    with_name(drains, "a_listed_key_drains_without_any_ca"): {"tls": {}, "pins": ("other", "server")},
    with_name(drains, "a_listed_key_drains_under_another_name"): {"tls": {}, "pins": ("server",), "host": "127.0.0.1"},
    with_name(drains, "with_ca_the_key_of_the_authority_drains"): {"tls": {"ca": "ca.pem"}, "pins": ("ca",)},
    a_renewed_certificate_with_the_same_key_is_the_same_pin: {"tls": {}, "pins": ("server",)},
    a_changed_key_is_refused_until_the_new_one_is_listed: {"tls": {}, "pins": ("server",)},
    with_name(drains, "without_verify_a_listed_key_drains"):
        {"tls": {"ca": "other.pem"}, "pins": ("server",), "more": "verify: false"},
    with_name(drains, "what_is_not_verified_drains"): {"tls": {"ca": "other.pem"}, "more": "verify: false"},
    with_name(refused_by_name_of_the_key, "without_verify_another_key_is_refused"):
        {"tls": {}, "pins": ("other",), "more": "verify: false"},
    with_name(drains, "tls_1_3_drains"): {"tls": {"ca": "ca.pem"}, "more": "min_version: '1.3'"},
    an_older_tls_than_the_least_is_refused: {"tls": {"ca": "ca.pem"}, "more": "min_version: '1.3'"},
    refused_by_name_of_the_key: {"tls": {}, "pins": ("other",)},
    with_name(refused_by_name_of_the_key, "with_ca_a_key_that_is_not_listed_is_refused"):
        {"tls": {"ca": "ca.pem"}, "pins": ("other",)},
    with_name(refused_by_name_of_the_key, "without_ca_the_key_of_the_authority_vouches_for_nobody"):
        {"tls": {}, "pins": ("ca",)},
    with_name(says("not trusted"), "with_a_listed_key_the_ca_has_to_hold"): {"tls": {"ca": "other.pem"}, "pins": ("server",)},
    with_name(says("and is not for 127.0.0.1"), "with_ca_and_pin_the_name_has_to_hold"):
        {"tls": {"ca": "ca.pem"}, "pins": ("server",), "host": "127.0.0.1"},
    says("tls: the server's certificate is not trusted: self-signed certificate in certificate chain "
         "(tls.ca has to hold who signed it); next try"): {"tls": {"ca": "other.pem"}},
    says("key:", "does not belong to the certificate"): {"tls": {"ca": "ca.pem", "cert": "client.pem",
                                                                 "key": "server.key"}},
    says("cert:", "has expired"): {"tls": {"ca": "ca.pem", "cert": "expired.pem", "key": "expired.key"}},
    says("ca:", "no certificate in it"): {"tls": {"ca": "ca.key"}},
    says("ca:", "No such file"): {"tls": {"ca": "missing.pem"}},
    says("names server, and is not for 127.0.0.1 (look at the address)"): {"tls": {"ca": "ca.pem"}, "host": "127.0.0.1"},
    says("it may want one of ours (tls.cert, tls.key)"): {"tls": {"ca": "ca.pem"}, "client_certificates": True},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, TlsRig))
