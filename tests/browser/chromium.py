"""`python -m tests.browser.chromium`: says whether there is one, and installs Debian's where we may."""

import os
import shutil
import subprocess
import sys

INSTALL = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]


def path() -> str:
    """Where it is: $CHROMIUM, else Debian's; empty if there is none."""
    return os.environ.get("CHROMIUM", "") or shutil.which("chromium") or ""


def install() -> None:
    quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)  # type: ignore[call-overload]
    subprocess.run(INSTALL, check=True, **quiet)  # type: ignore[call-overload]


def main() -> int:
    if not path() and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stderr.write("Installing Chromium…\n")
        install()
    if not path():
        sys.stderr.write("There is no Chromium: apt install chromium, or CHROMIUM=/path/to/one.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
