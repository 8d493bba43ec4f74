"""One number out of an Arrow message's header: how many rows a record batch has, without reading the batch.

The header is a FlatBuffer: a table begins with the distance back to its list of fields, which says where each stands
(flatbuffers.dev, Internals; Arrow's Message.fbs: header is field 2 of Message, length field 0 of RecordBatch).
"""

from struct import error, unpack_from

HEADER, LENGTH = 2, 0


def batch_length(message: bytes) -> int:
    """The rows of the record batch that a message announces. Raises ValueError where it cannot be one."""
    try:
        root = unpack_from("<I", message)[0]
        header = _field(message, root, HEADER)
        batch = header + unpack_from("<I", message, header)[0]
        length = _field(message, batch, LENGTH)
        return int(unpack_from("<q", message, length)[0]) if length else 0
    except error as wrong:
        raise ValueError("the header of a record batch makes no sense") from wrong


def _field(message: bytes, table: int, number: int) -> int:
    """Where a field of a table stands; 0 where it is left out, which means its default."""
    fields = table - unpack_from("<i", message, table)[0]
    place = 4 + 2 * number
    if place >= unpack_from("<H", message, fields)[0]:
        return 0
    offset = unpack_from("<H", message, fields + place)[0]
    return table + int(offset) if offset else 0
