#!/usr/bin/env python3
"""Write UnicodeDifferences.inc: where Hugging Face's tables are not utf8proc's.

    python3 record-unicode.py > UnicodeDifferences.inc

The Rust crates behind `tokenizers` carry tables of several Unicode versions
(categories and decompositions of about Unicode 9, lower case of the compiler's
version); utf8proc has one. A vocabulary index must not depend on which table is
newer, so every code point is asked of both and the differences are recorded.
Run it again after an upgrade of either. Needs PyPI `tokenizers` and
libutf8proc.so.
"""
import ctypes
import ctypes.util

import tokenizers
from tokenizers import normalizers, pre_tokenizers

CN, MN, PC, PO, CC, CF, CS, CO = 0, 6, 12, 18, 26, 27, 28, 29


class Utf8proc:
    def __init__(self):
        lib = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
        lib.utf8proc_version.restype = ctypes.c_char_p
        lib.utf8proc_unicode_version.restype = ctypes.c_char_p
        lib.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_uint16)
        self.lib = lib
        self.version = "%s (Unicode %s)" % (
            lib.utf8proc_version().decode(),
            lib.utf8proc_unicode_version().decode())

    def category(self, c):
        return self.lib.utf8proc_category(c)

    def combining_class(self, c):
        return self.lib.utf8proc_get_property(c)[1]

    def lower(self, c):
        return self.lib.utf8proc_tolower(c)

    def decompose(self, c):
        out, last = (ctypes.c_int32 * 32)(), ctypes.c_int(0)
        n = self.lib.utf8proc_decompose_char(c, out, 32, 1 << 4,
                                             ctypes.byref(last))
        return [out[i] for i in range(n)]


def bert(**on):
    options = dict(clean_text=False, handle_chinese_chars=False,
                   strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **on}).normalize_str


def merge(points, same):
    """Runs of adjacent code points whose values agree."""
    runs = []
    for c, value in points:
        if runs and runs[-1][1] == c - 1 and same(runs[-1], value):
            runs[-1][1] = c
        else:
            runs.append([c, c, value])
    return runs


def main():
    utf8 = Utf8proc()
    clean, strip, lower = (bert(clean_text=True), bert(strip_accents=True),
                           bert(lowercase=True))
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    flags, lowers = [], []
    for c in range(0x80, 0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        s, found = chr(c), []
        category = utf8.category(c)
        # Unassigned code points count as text for both; see isOther().
        dropped = clean(s) == ""
        if dropped != (category in (CC, CF, CO) or c == 0xFFFD):
            assert not dropped
            found.append("NotOther")
        decomposed = [ord(x) for x in nfd(s)]
        if decomposed != utf8.decompose(c):
            assert decomposed == [c]
            found.append("NotDecomposed")
        if decomposed == [c]:
            stripped = strip(s) == ""
            if stripped != (category == MN):
                found.append("IsMark" if stripped else "NotMark")
            if utf8.combining_class(c) and c != 0x334:
                # A starter keeps U+0334 (class 1) from passing U+0301 (230).
                if nfd("a\u0301" + s + "\u0334")[-1] == "\u0334":
                    found.append("Starter")
        punctuation = len(split("a" + s + "b")) == 3
        if punctuation != (PC <= category <= PO):
            found.append("IsPunctuation" if punctuation else "NotPunctuation")
        if found:
            flags.append((c, " | ".join(found)))
        low = [ord(x) for x in lower(s)]
        if c != 0x130 and low != [utf8.lower(c)]:
            assert len(low) == 1
            lowers.append((c, low[0] - c))
    same = lambda run, value: run[2] == value
    print("// Made by record-unicode.py from tokenizers %s and\n// utf8proc %s."
          % (tokenizers.__version__, utf8.version))
    print("// Do not edit.\n")
    print("static const Difference differences[] = {")
    for first, last, value in merge(flags, same):
        print("    {0x%04X, 0x%04X, %s}," % (first, last, value))
    print("};\n\nstatic const LowerDifference lowerDifferences[] = {")
    for first, last, value in merge(lowers, same):
        print("    {0x%04X, 0x%04X, %d}," % (first, last, value))
    print("};")


if __name__ == "__main__":
    main()
