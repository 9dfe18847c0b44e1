"""Prints the table of src/data/bpe/characters.cpp: characters that PCRE2 10.42 (Unicode 14) does not know.

    python tools/dev/newer_characters.py > table.txt

Asks the regular expressions of PyPI's `tokenizers` for the general category of every code point that Unicode 14, which is
what Python 3.11's unicodedata holds, left unassigned. Needs Python 3.11 and tests/peers/requirements.txt.
"""

import sys
import unicodedata

from tokenizers import Regex, normalizers

# What stands in for a character of a category: an older one whose UTF-8 has 3 or 4 bytes. For punctuation one that is
# younger than Unicode 8, see kNoPunctuation in src/data/bpe/steps_json.cpp.
STAND_INS = {
    "Lu": (0x1E00, 0x10400), "Ll": (0x1E01, 0x10428), "Lm": (0x1D2C, 0x16B40), "Lo": (0xA500, 0x10280),
    "Mn": (0x1AB0, 0x101FD), "Mc": (0x1B04, 0x11000), "Nd": (0x1B50, 0x104A0), "Nl": (0x2160, 0x10140),
    "No": (0x2460, 0x10107), "Po": (0x2E43, 0x11C41), "Pd": (0x2E5D, 0x10EAD), "Ps": (0x2E55, None),
    "Pe": (0x2E56, None), "Sm": (0x2200, 0x1D6C1), "Sc": (0x20A0, 0x11FDD), "Sk": (0x1FBD, 0x1F3FB),
    "So": (0x2300, 0x1F600), "Cf": (0x200B, 0xE0001),
}
IDEOGRAPH = 0x20000


def stand_in(code, category):
    if code >= 0x20000 and category == "Lo":
        return IDEOGRAPH
    return STAND_INS[category][code >= 0x10000]


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"needs Unicode 14.0.0, this Python has {unicodedata.unidata_version}")
    unknown = [c for c in range(0x800, 0x110000) if unicodedata.category(chr(c)) == "Cn"]
    text = "".join(map(chr, unknown))
    stands = {0x180E: 0x200B}  # no white space since Unicode 6.3, but PCRE2 still takes it for one
    for category in STAND_INS:
        left = set(normalizers.Replace(Regex(rf"\p{{{category}}}"), "").normalize_str(text))
        for code in unknown:
            if chr(code) not in left:
                stands[code] = stand_in(code, category)
    ranges = []
    for code in sorted(stands):
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == stands[code]:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, stands[code]])
    for first in range(0, len(ranges), 3):
        row = ranges[first : first + 3]
        print("    " + " ".join(f"{{0x{a:X}, 0x{b:X}, 0x{s:X}}}," for a, b, s in row))
    print(f"{len(stands)} characters in {len(ranges)} ranges", file=sys.stderr)


main()
