"""GEO commands, compared with redis-server."""

import pytest

from support.resp import Connection
from support.stage import words

PLACES = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"

LINES = """
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
ZRANGE g 0 -1 WITHSCORES
GEOADD g NX XX 1 1 a
GEOADD g NX CH 13.361389 38.2 Palermo 2 2 b
GEOADD g XX CH 13.361389 38.3 Palermo
GEOADD g 1 1
GEOADD g NX 1 1
GEOADD g 181 1 a
GEOADD g 1 86 a
GEOADD g x 1 a
GEOADD g 1 x a
GEOADD g CH
GEOADD g incr 1 1 a
GEOADD g nan 1 a
GEOADD g inf 1 a
GEODIST g Palermo Catania
GEODIST g Palermo Catania km
GEODIST g Palermo Catania xx
GEODIST g Palermo none
GEODIST none a b
GEODIST g Palermo Catania km x
GEOHASH g Palermo Catania none
GEOHASH g
GEOHASH none a b
GEOPOS g Palermo none
GEOPOS none a
GEOPOS g
GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH ASC
GEORADIUS g 15 37 200 km COUNT 1
GEORADIUS g 15 37 200 km COUNT 1 ANY
GEORADIUS g 15 37 200 km ANY
GEORADIUS g 15 37 200 km COUNT 0
GEORADIUS g 15 37 200 km COUNT x
GEORADIUS g 15 37 200 km STORE h
GEORADIUS g 15 37 200 km STOREDIST h
ZRANGE h 0 -1 WITHSCORES
GEORADIUS g 15 37 200 km STOREDIST h WITHDIST
GEORADIUS g 15 37 -1 km
GEORADIUS g 15 37 x km
GEORADIUS g 15 37 1 xx
GEORADIUS g 181 37 1 km
GEORADIUS g x 37 1 km
GEORADIUS none x 37 1 km
GEORADIUS none 15 37 1 km
GEORADIUS none 15 37 1 km STORE h
EXISTS h
GEORADIUS_RO g 15 37 200 km STORE h
GEORADIUSBYMEMBER g Palermo 200 km
GEORADIUSBYMEMBER g none 200 km
GEORADIUSBYMEMBER none none 200 km
GEORADIUSBYMEMBER_RO g Palermo 200 km DESC WITHDIST
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
GEOSEARCH g FROMMEMBER Palermo BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH
GEOSEARCH g FROMMEMBER Palermo
GEOSEARCH g BYBOX 1 1 km
GEOSEARCH g FROMMEMBER none BYBOX 1 1 km
GEOSEARCH none FROMMEMBER none BYBOX 1 1 km
GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 1 BYBOX 1 1 km
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km BYBOX 1 1 km
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 km STORE h
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 km STOREDIST
GEOSEARCH g FROMMEMBER Palermo BYBOX -1 1 km
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 x km
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 xx
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1
GEOSEARCHSTORE h g FROMMEMBER Palermo BYBOX 400 400 km STOREDIST
ZRANGE h 0 -1 WITHSCORES
GEOSEARCHSTORE h g FROMMEMBER Palermo BYBOX 400 400 km WITHDIST
GEOSEARCHSTORE h g FROMMEMBER Palermo BYBOX 400 400 km
GEOSEARCHSTORE h none FROMMEMBER Palermo BYBOX 400 400 km
GEOSEARCHSTORE h none FROMLONLAT 1 1 BYBOX 400 400 km
SET s v
GEOADD s 1 1 a
GEODIST s a b
GEOSEARCH s FROMLONLAT 1 1 BYRADIUS x km
GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 km
GEORADIUS s x 1 1 km
GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km COUNT 1 ANY WITHDIST ASC DESC
GEOSEARCH g WITHDIST FROMLONLAT 15 37 ASC BYRADIUS 400 km COUNT 5 ANY
GEORADIUS g 15 37 200 km STORE h WITHCOORD
GEORADIUS g 15 37 200 km STORE
GEORADIUS g 15 37 200 km STORE h STOREDIST i
GEORADIUS g 15 37 200 km BYBOX 1 1 km
GEORADIUS g 15 37 200 km FROMLONLAT 1 1
GEOSEARCH g FROMLONLAT 15 37 BYBOX 1e8 1e8 km ASC
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1e8 km ASC
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS inf km ASC
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS nan km ASC
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 0 km ASC
""".strip().splitlines()


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_answered(both, version):
    if version == 3:
        both.resp3()
    for line in LINES:
        both.same(*words(line))


def test_the_whole_earth(both):
    """All sizes of areas around places near the edges of the cells."""
    places = [(x, y) for x in (-180, -179.99, -90, -0.0001, 0, 45.5, 180)
              for y in (-85.05112878, -84, -66.5, -0.0001, 0, 12.3, 66.5, 85)]
    for number, (x, y) in enumerate(places):
        both.same("GEOADD", "g", x, y, "m%d" % number)
    both.same("ZRANGE", "g", "0", "-1", "WITHSCORES")
    for x, y in places:
        for size in ("0", "0.1", "30", "700", "5000", "20000", "1e9"):
            both.same("GEOSEARCH", "g", "FROMLONLAT", x, y, "BYRADIUS", size,
                      "km", "WITHDIST", "WITHHASH", "WITHCOORD")
            both.same("GEOSEARCH", "g", "FROMLONLAT", x, y, "BYBOX", size, "50",
                      "mi", "ASC")


def test_where_the_keys_are(both):
    for line in [
            "GEORADIUS g 15 37 200 km STORE h STOREDIST i",
            "GEORADIUSBYMEMBER g a 200 km STOREDIST i",
            "GEORADIUS g 15 37 200 km",
            "GEORADIUS STORE STORE 1 200 km",
            "GEORADIUS_RO g 15 37 200 km", "GEOSEARCHSTORE a b c d e f g h"]:
        both.same("COMMAND", "GETKEYSANDFLAGS", *words(line))


def test_rights_to_store(larder):
    """The key that is written is the one that is looked at."""
    with Connection(larder.port) as conn:
        conn.command("FLUSHALL")
        conn.command(*words(PLACES))
        conn.command("ACL", "SETUSER", "geo", "on", "nopass", "+@all", "%R~g",
                     "~mine")
        conn.command("AUTH", "geo", "x")
        search = words("GEORADIUS g 15 37 200 km STORE mine")
        assert conn.command(*search) == b":2\r\n"
        for more in (["STORE", "other"], ["STOREDIST", "other"],
                     ["STORE", "mine", "STORE", "other"],
                     ["COUNT", "1", "STOREDIST", "other"]):
            assert conn.command(*search, *more).startswith(b"-NOPERM"), more
    larder.client().execute_command("ACL", "DELUSER", "geo")


def test_events(stage):
    with stage.same_events():
        stage.play("p: " + PLACES + """
            p: GEOADD g XX CH 13.3 38.1 Palermo
            p: GEORADIUS g 15 37 900 km STORE h
            p: GEOSEARCHSTORE h g FROMMEMBER Palermo BYBOX 1 1 km STOREDIST
            p: GEOSEARCHSTORE h g FROMLONLAT 0 0 BYBOX 1 1 km
            p: GEOSEARCHSTORE h none FROMLONLAT 0 0 BYBOX 1 1 km""")


def test_many_places_on_disk(both):
    """Enough of them for a tree, brought down and up again."""
    for at in range(0, 3000, 100):
        both.same("GEOADD", "g", *[
            word for n in range(at, at + 100)
            for word in (n * 37 % 3600 / 10 - 180, n * 53 % 1700 / 10 - 85,
                         "member:%d" % n)])
    for _ in range(2):
        both.same("GEOSEARCH", "g", "FROMLONLAT", "2.5", "48.8", "BYRADIUS",
                  "900", "km", "WITHDIST", "WITHCOORD")
        both.same("GEOSEARCHSTORE", "h", "g", "FROMMEMBER", "member:77",
                  "BYBOX", "9000", "4000", "km", "STOREDIST")
        both.same("ZRANGE", "h", "0", "-1", "WITHSCORES")
        larder = both.sides[0]
        larder.command("TIER", "DEMOTE", "g", "TO", "DRY")
        assert b"dry" in larder.command("OBJECT", "TIER", "g")
