"""In a private network (private_net.py): what a server started with the
given lines answers to PING from loopback and from another address.

protected.py {larder|oracle} line...
Prints two raw replies, one a line, as Python literals.
"""

import sys

from support import server as servers
from support.private_net import ADDRESS
from support.resp import Closed, Connection


def ask(host, port):
    with Connection(port, host=host) as connection:
        try:
            connection.send(b"PING\r\n")
            return connection.read_reply()
        except (Closed, ConnectionResetError):
            return b"closed"


def main():
    make = {"larder": servers.larder, "oracle": servers.oracle}[sys.argv[1]]
    server = make(sys.argv[2:])
    try:
        server.start()
        print(repr(ask("127.0.0.1", server.port)))
        print(repr(ask(ADDRESS, server.port)))
    finally:
        server.finish()


if __name__ == "__main__":
    main()
