# SPDX-License-Identifier: MIT
"""Authorities and certificates for tests, made by openssl in a folder that goes with the test."""
import pathlib
import subprocess

CONFIG = """[req]
distinguished_name = dn
[dn]
[ca]
default_ca = it
[it]
database = {folder}/index
default_md = sha256
default_crl_days = 30
"""


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder, self.name = pathlib.Path(folder), name
        self.config = self.folder / f"{name}.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder), encoding="ascii")
        (self.folder / "index").write_text("", encoding="ascii")
        self.cert, self.key = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert,
                      "-addext", "basicConstraints=critical,CA:TRUE")

    def _openssl(self, *args):
        subprocess.run(["openssl", *args, "-config", str(self.config)] if args[0] in ("req", "ca") else ["openssl", *args],
                       check=True, capture_output=True)

    def issue(self, name, alternative=None):
        """A certificate and its key: paths."""
        cert, key, request, more = (str(self.folder / f"{name}.{end}") for end in ("pem", "key", "csr", "ext"))
        pathlib.Path(more).write_text(f"subjectAltName={alternative}\n" if alternative else "", encoding="ascii")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days",
                      "30", "-extfile", more, "-out", cert)
        return cert, key

    def revoke(self, *certs):
        """The list of what was revoked so far: a path."""
        out = str(self.folder / f"{self.name}.crl")
        for cert in certs:
            self._openssl("ca", "-revoke", cert, "-keyfile", self.key, "-cert", self.cert)
        self._openssl("ca", "-gencrl", "-keyfile", self.key, "-cert", self.cert, "-out", out)
        return out
