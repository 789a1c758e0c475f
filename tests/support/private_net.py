"""Runs a Python file in a network of its own, where 10.9.9.9 is this machine:

    private_net.py script.py arguments...

So that a server can be reached from an address that is not loopback without
listening on any real interface. Ends with status 77 where that is forbidden.
"""

import ctypes
import fcntl
import os
import runpy
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR = 0x8913, 0x8914, 0x8916
IFF_UP = 1
ADDRESS = "10.9.9.9"


def set_up_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack(
            "16sH14s", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS,
                    struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))
        address = struct.pack(
            "16sHH4s8s", b"lo:1", socket.AF_INET, 0,
            socket.inet_aton(ADDRESS), b"")
        fcntl.ioctl(control, SIOCSIFADDR, address)


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET | (CLONE_NEWUSER if os.getuid() else 0)
    if libc.unshare(flags) != 0:
        print("unshare:", os.strerror(ctypes.get_errno()))
        sys.exit(77)
    try:
        set_up_loopback()
    except OSError as error:
        print("loopback:", error)
        sys.exit(77)
    sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
