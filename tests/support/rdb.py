"""RDB values put together by hand, for RESTORE."""

import struct


def table():
    """CRC-64, Jones' polynomial, reflected."""
    polynomial = 0x95AC9329AC4BC9B5
    values = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        values.append(byte)
    return values


TABLE = table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def seal(value, version=10):
    """Type and value as DUMP would answer them."""
    body = value + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def string(data):
    if len(data) < 64:
        return bytes([len(data)]) + data
    if len(data) < 16384:
        return bytes([0x40 | len(data) >> 8, len(data) & 255]) + data
    return b"\x80" + struct.pack(">I", len(data)) + data


def little(value, size):
    return value.to_bytes(size, "little", signed=True)


def listpack_item(item):
    if isinstance(item, bytes):
        if len(item) < 64:
            body = bytes([0x80 | len(item)]) + item
        elif len(item) < 4096:
            body = bytes([0xE0 | len(item) >> 8, len(item) & 255]) + item
        else:
            body = b"\xf0" + struct.pack("<I", len(item)) + item
    elif 0 <= item < 128:
        body = bytes([item])
    elif -4096 <= item < 4096:
        body = struct.pack(">H", 0xC000 | item & 0x1FFF)
    else:
        for head, size in ((0xF1, 2), (0xF2, 3), (0xF3, 4), (0xF4, 8)):
            if -(1 << 8 * size - 1) <= item < 1 << 8 * size - 1:
                body = bytes([head]) + little(item, size)
                break
    size, back = len(body), []
    while True:
        back.append(size & 127)
        size >>= 7
        if not size:
            break
    return body + bytes(
        part | (0x80 if at < len(back) - 1 else 0)
        for at, part in enumerate(back))[::-1]


def listpack(items):
    body = b"".join(map(listpack_item, items)) + b"\xff"
    count = min(len(items), 65535)  # which means: count them
    return struct.pack("<IH", len(body) + 6, count) + body


def ziplist_item(item):
    if isinstance(item, bytes):
        if len(item) < 64:
            return bytes([len(item)]) + item
        if len(item) < 16384:
            return bytes([0x40 | len(item) >> 8, len(item) & 255]) + item
        return b"\x80" + struct.pack(">I", len(item)) + item
    if 0 <= item <= 12:
        return bytes([0xF1 + item])
    for head, size in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
        if -(1 << 8 * size - 1) <= item < 1 << 8 * size - 1:
            return bytes([head]) + little(item, size)
    raise ValueError(item)


def ziplist(items):
    body, before, last = b"", 0, 10
    for item in items:
        last = 10 + len(body)
        head = bytes([before]) if before < 254 else b"\xfe" + struct.pack(
            "<I", before)
        entry = head + ziplist_item(item)
        before = len(entry)
        body += entry
    return struct.pack("<IIH", len(body) + 11, last, len(items)) + body + b"\xff"
