# SPDX-License-Identifier: MIT
"""Encrypted links, with a mosquitto that asks for certificates; and what is said of each way to get them wrong.

    test_tls.py HOST_PROGRAM [CASE...]
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Rig, free_port, run_cases, until


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Pki:
    """An authority, a server that it calls localhost, a client; and another authority that nobody trusts."""

    def __init__(self, directory):
        self.dir = directory
        for name in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", self.file(name + ".key"), "-out", self.file(name + ".pem"))
        self.issue("server", "subjectAltName=DNS:localhost")
        self.issue("client", "extendedKeyUsage=clientAuth")
        self.issue("expired", "extendedKeyUsage=clientAuth", days="-1")

    def file(self, name):
        return os.path.join(self.dir, name)

    def issue(self, name, extension, days="2"):
        with open(self.file("ext"), "w", encoding="ascii") as f:
            f.write(extension + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", self.file(name + ".key"), "-out", self.file("csr"))
        openssl("x509", "-req", "-in", self.file("csr"), "-CA", self.file("ca.pem"), "-CAkey", self.file("ca.key"),
                "-CAcreateserial", "-days", days, "-extfile", self.file("ext"), "-out", self.file(name + ".pem"))


class TlsRig(Rig):
    def __init__(self, program, tls, host="localhost", client_certificates=False):
        super().__init__(program)
        self.broker.stop()
        pki, self.tls_port = Pki(self.dir), free_port()
        with open(self.broker.conf, "a", encoding="ascii") as f:
            f.write(f"listener {self.tls_port} 127.0.0.1\ncafile {pki.file('ca.pem')}\n"
                    f"certfile {pki.file('server.pem')}\nkeyfile {pki.file('server.key')}\n"
                    f"require_certificate {'true' if client_certificates else 'false'}\n")
        for name in ("ca.key", "server.key", "client.key"):
            os.chmod(pki.file(name), 0o644)
        os.chmod(self.dir, 0o755)
        self.broker.start()
        fields = ", ".join(f"{key}: {pki.file(value)}" for key, value in tls.items())
        self.options = (f"address: mqtts://{host}:{self.tls_port}\nconnect_timeout: 2s\n"
                        f"rules: [{{out: 'plant/#'}}]\ntls: {{{fields}}}\n")


def drains(rig):
    h = rig.begin()
    h.tell("add 2000 200")
    rig.expect(2000)


def says(*words):
    def case(rig):
        h = rig.begin()
        until("a reason", lambda: h.said("state down"))
        reason = h.said("state down")[0]
        assert all(w in reason for w in words), reason
        print(f"    {reason[len('state down '):]}")
    case.__name__ = "says_" + "_".join(words).replace(" ", "_").replace("/", "_")
    return case


def with_name(case, name):
    def named(rig):
        case(rig)
    named.__name__ = name
    return named


CASES = {
    with_name(drains, "tls_drains"): {"tls": {"ca": "ca.pem"}},
    with_name(drains, "mtls_drains"):
        {"tls": {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}, "client_certificates": True},
    says("tls: certificate verify failed; next try"): {"tls": {"ca": "other.pem"}},
    says("key:", "does not belong to the certificate"): {"tls": {"ca": "ca.pem", "cert": "client.pem",
                                                                 "key": "server.key"}},
    says("cert:", "has expired"): {"tls": {"ca": "ca.pem", "cert": "expired.pem", "key": "expired.key"}},
    says("ca:", "no certificate in it"): {"tls": {"ca": "ca.key"}},
    says("ca:", "No such file"): {"tls": {"ca": "missing.pem"}},
    says("not for the name"): {"tls": {"ca": "ca.pem"}, "host": "127.0.0.1"},
    says("client certificate"): {"tls": {"ca": "ca.pem"}, "client_certificates": True},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, TlsRig))
