"""Checks a Megatron-LM indexed dataset, PREFIX.bin with PREFIX.idx, against a second writer of the index.

    python tests/peers/check_megatron_index.py PREFIX

The index is parsed, then written anew from nothing but the sequence lengths, the document ends and the token type; the
result must be the same file byte for byte. The pointers must follow from the lengths and PREFIX.bin must have exactly
the size that the lengths add up to. Written from the layout alone:

    offset  bytes  content (little-endian, unaligned)
    0       9      "MMIDIDX\\0\\0"
    9       8      u64 version, 1
    17      1      u8 token type: 1 uint8, 2 int8, 3 int16, 4 int32, 5 int64, 6 float64, 7 float32, 8 uint16
    18      8      u64 number of sequences S
    26      8      u64 number of document boundaries D, one more than there are documents
    34      4 S    i32 tokens in each sequence
    ...     8 S    i64 byte offset of each sequence in PREFIX.bin
    ...     8 D    i64 sequence at which each document ends; the first is 0, the last S
    ...     S      i8 mode of each sequence, in multimodal datasets only
"""

import pathlib
import struct
import sys

MAGIC = b"MMIDIDX\x00\x00"
TOKEN_TYPES = {
    1: ("uint8", 1), 2: ("int8", 1), 3: ("int16", 2), 4: ("int32", 4),
    5: ("int64", 8), 6: ("float64", 8), 7: ("float32", 4), 8: ("uint16", 2),
}


def read_index(data, path):
    """The contents of an index file: token type, lengths, pointers, document ends, modes (None if there are none)."""
    if data[:9] != MAGIC:
        sys.exit(f"{path} does not start with MMIDIDX.")
    if len(data) < 34:
        sys.exit(f"{path} ends within its header.")
    version, code, sequences, boundaries = struct.unpack_from("<QBQQ", data, 9)
    if version != 1:
        sys.exit(f"{path} has version {version} instead of 1.")
    if code not in TOKEN_TYPES:
        sys.exit(f"{path} has the unknown token type {code}.")
    plain_size = 34 + 12 * sequences + 8 * boundaries
    if len(data) not in (plain_size, plain_size + sequences):
        sys.exit(f"{path} has {len(data)} bytes; {sequences} sequences and {boundaries} boundaries take {plain_size}.")
    lengths = struct.unpack_from(f"<{sequences}i", data, 34)
    pointers = struct.unpack_from(f"<{sequences}q", data, 34 + 4 * sequences)
    ends = struct.unpack_from(f"<{boundaries}q", data, 34 + 12 * sequences)
    modes = struct.unpack_from(f"<{sequences}b", data, plain_size) if len(data) > plain_size else None
    return code, lengths, pointers, ends, modes


def write_index(code, lengths, ends, modes):
    """The bytes of an index file; the pointers are the running sum of the lengths."""
    size = TOKEN_TYPES[code][1]
    out = bytearray(MAGIC)
    out += struct.pack("<Q", 1)
    out += struct.pack("<B", code)
    out += struct.pack("<Q", len(lengths))
    out += struct.pack("<Q", len(ends))
    for length in lengths:
        out += struct.pack("<i", length)
    offset = 0
    for length in lengths:
        out += struct.pack("<q", offset)
        offset += length * size
    for end in ends:
        out += struct.pack("<q", end)
    for mode in modes or ():
        out += struct.pack("<b", mode)
    return bytes(out)


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: check_megatron_index.py PREFIX")
    index_path, bin_path = pathlib.Path(arguments[0] + ".idx"), pathlib.Path(arguments[0] + ".bin")
    for path in (index_path, bin_path):
        if not path.is_file():
            sys.exit(f"There is no file {path}.")
    data = index_path.read_bytes()
    code, lengths, pointers, ends, modes = read_index(data, index_path)
    type_name, size = TOKEN_TYPES[code]

    if any(length < 0 for length in lengths):
        sys.exit(f"{index_path} has a sequence of negative length.")
    offset = 0
    for number, (length, pointer) in enumerate(zip(lengths, pointers)):
        if pointer != offset:
            sys.exit(f"Sequence {number} of {index_path} points to byte {pointer} instead of {offset}.")
        offset += length * size
    if bin_path.stat().st_size != offset:
        sys.exit(f"{bin_path} has {bin_path.stat().st_size} bytes, its index describes {offset}.")
    if not ends or ends[0] != 0 or ends[-1] != len(lengths):
        sys.exit(f"The document boundaries of {index_path} do not run from 0 to {len(lengths)}.")
    if any(later < earlier for earlier, later in zip(ends, ends[1:])):
        sys.exit(f"The document boundaries of {index_path} go backwards.")
    rebuilt = write_index(code, lengths, ends, modes)
    if rebuilt != data:
        position = next((i for i, (a, b) in enumerate(zip(rebuilt, data)) if a != b), min(len(rebuilt), len(data)))
        sys.exit(f"{index_path} differs from the rebuilt index at byte {position}.")
    print(f"ok: {len(ends) - 1} documents, {len(lengths)} sequences, {sum(lengths)} tokens of type {type_name}")


if __name__ == "__main__":
    main(sys.argv[1:])
