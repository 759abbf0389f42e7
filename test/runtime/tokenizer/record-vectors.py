#!/usr/bin/env python3
"""Write vectors.txt: what Hugging Face's `tokenizers` makes of hard texts.

    python3 record-vectors.py > vectors.txt

One case a line, fields separated by tabs:
name, options, maximum length, text and pair in hexadecimal, ids, type ids.
Options are letters: c clean text, h Chinese characters, a strip accents,
A strip accents left to lower case, l lower case; an empty field is "-".
The vocabulary is vocab.txt beside this file, its special tokens are added.
"""
import os

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import BertProcessing

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Name, text, and pair where there is one. Bytes are decoded with replacement.
TEXTS = [
    ("empty", "", None),
    ("empty pair", "", ""),
    ("blank", " \t\r\n ", None),
    ("words", "Hello, the unaffable world!", None),
    ("pair", "the world", "hello the world"),
    ("pair, empty second", "the world", ""),
    ("longest match", "unaffableness thethe", None),
    ("no piece", "the xyzzy~q world", None),
    ("ascii punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", None),
    ("general punctuation", "the\u2014world \u00a1hello\u00bf \u2018a\u2019",
     None),
    ("symbols are no punctuation", "the\u20acworld \u00d7 \u00a9", None),
    ("accents composed", "h\u00e9llo w\u00f6rld \u00c9", None),
    ("accents decomposed", "he\u0301llo wo\u0308rld E\u0301", None),
    ("marks reordered", "a\u0301\u0316\u0334b a\u0316\u0301", None),
    ("mark alone", "\u0301", None),
    ("mark after space", "the \u0301world", None),
    ("mark at special token", "[MASK]\u0301a", None),
    ("vedic marks", "\u0915\u094d\u0937\u093f \u0915\u093c", None),
    ("marks of recent Unicode", "a\u1ac1b \u08d3a", None),
    ("cjk", "\u4e2d\u6587the\u4e2d", None),
    ("cjk extension a", "a\u3400b\u4dbfc", None),
    ("cjk extension b", "a\U00020000b\U0002a6dfc", None),
    ("cjk extensions c to e", "a\U0002a700b\U0002b740c\U0002b920d", None),
    ("cjk extension gap", "a\U0002b820b\U0002ceb0c\U00030000d", None),
    ("cjk compatibility", "a\uf900b\U0002f800c", None),
    ("cjk with mark", "\u4e2d\u0301a", None),
    ("kana", "\u304b\u3099 \u304c \u30ab\u3099", None),
    ("hangul", "\uac01 \u1100\u1161\u11a8 \uac00", None),
    ("turkish dotted I", "\u0130 \u0130a I\u0307 \u0131", None),
    ("final sigma", "\u039f\u03a3 \u03a3 \u03c3\u03c2", None),
    ("sharp s", "\u00df \u1e9e ss", None),
    ("kelvin, angstrom", "\u212a \u212b", None),
    ("greek question mark", "the\u037eworld", None),
    ("ligature", "\ufb01 fi", None),
    ("fullwidth", "\uff21\uff42 \uff01", None),
    ("emoji", "\U0001f600the \U0001f600", None),
    ("emoji family", "\U0001f469\u200d\U0001f469\u200d\U0001f467", None),
    ("emoji flag, tone", "\U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd", None),
    ("keycap", "1\ufe0f\u20e3", None),
    ("control", "th\x00e w\x01or\x1fld\x7f \x80the\x9f", None),
    ("vertical tab, form feed", "the\x0bworld\x0cthe\x85world", None),
    ("format", "th\u00ade wo\u200brld \ufeffthe\u2060", None),
    ("bidirectional", "\u202ethe\u202c \u0627\u061c", None),
    ("private use", "th\ue000e \U000f0000the", None),
    ("unassigned", "th\u0378e \U000e0080", None),
    ("noncharacter", "th\uffffe \ufdd0", None),
    ("spaces", "the\u00a0world\u2003the\u3000world\u1680a\u202fb\u205fc",
     None),
    ("separators", "the\u2028world\u2029the", None),
    ("replacement", "th\ufffde", None),
    ("99 characters", "a" * 99, None),
    ("100 characters", "a" * 100, None),
    ("101 characters", "the " + "a" * 101 + " the", None),
    ("100 two-byte characters", "\u00e5" * 100, None),
    ("101 after decomposition", "\uac00" * 50 + "\uac01", None),
    ("100 with marks", "a\u0301" * 100, None),
    ("101 with marks", "a\u0301" * 101, None),
    ("200 marks", "the" + "\u0301\u0316" * 100 + "world", None),
    ("special tokens", "[CLS] the [MASK] world [SEP]", None),
    ("special tokens in words", "the[MASK]world[SEP][SEP]", None),
    ("lower-case special token", "[mask] [Mask]", None),
    ("broken special token", "[MASK [MASK]] [ MASK]", None),
    ("special token in pair", "the [SEP] a", "[MASK] world"),
    ("unknown special token", "[UNK] [PAD]", None),
    ("continuing prefix", "##a ## #", None),
    ("stray continuation", b"th\x80e wo\xbfrld", None),
    ("stray start", b"th\xe4e \xf0the", None),
    ("truncated at the end", b"the \xe4\xb8", None),
    ("truncated before a letter", b"\xe4\xb8a \xf0\x9f\x98b", None),
    ("truncated before a token", b"\xe4[MASK]\xf0\x9f", None),
    ("overlong", b"a\xc0\xafb \xe0\x80\xafc \xf0\x80\x80\xafd", None),
    ("surrogate", b"a\xed\xa0\x80b \xed\xb0\x80", None),
    ("beyond U+10FFFF", b"a\xf4\x90\x80\x80b \xf5a \xff\xfeb", None),
    ("Latin-1", b"h\xe9llo w\xf6rld", None),
]
LONG = "the world hello the world"
TRUNCATED = [
    ("cut", LONG, None, 5), ("cut to nothing", LONG, None, 2),
    ("fits exactly", LONG, None, 7), ("cut in a word", "unaffable", None, 4),
    ("pair fits exactly", "the", "a world", 6),
    ("pair, second longer", "the", LONG, 6),
    ("pair, first longer", LONG, "the", 6),
    ("pair, both longer, even", LONG, LONG, 7),
    ("pair, both longer, odd", LONG, LONG, 8),
    ("pair, odd, first longest", LONG + " the", LONG, 8),
    ("pair, odd, second longest", LONG, LONG + " the", 8),
    ("pair, to nothing", LONG, LONG, 3),
    ("pair, to one", LONG, LONG, 4),
    ("pair, shorter keeps all", "the world", LONG, 8),
]


def tokenizer(options):
    with open(os.path.join(HERE, "vocab.txt"), encoding="utf-8") as f:
        vocab = {line.rstrip("\n"): i for i, line in enumerate(f)}
    result = Tokenizer(WordPiece(vocab, unk_token="[UNK]",
                                 max_input_chars_per_word=100))
    result.add_special_tokens([AddedToken(t, special=True, normalized=False)
                               for t in SPECIAL])
    accents = None if "A" in options else "a" in options
    result.normalizer = normalizers.BertNormalizer(
        clean_text="c" in options, handle_chinese_chars="h" in options,
        strip_accents=accents, lowercase="l" in options)
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.post_processor = BertProcessing(("[SEP]", vocab["[SEP]"]),
                                           ("[CLS]", vocab["[CLS]"]))
    return result


def field(text):
    if text is None:
        return "-"
    raw = text if isinstance(text, bytes) else text.encode()
    return raw.hex() or "empty"


def decoded(text):
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def record(name, options, length, text, pair):
    oracle = tokenizer(options)
    if length:
        oracle.enable_truncation(length)
    encoding = oracle.encode(decoded(text), decoded(pair))
    print("\t".join([name, options or "-", str(length), field(text),
                     field(pair), " ".join(map(str, encoding.ids)),
                     " ".join(map(str, encoding.type_ids))]))


def main():
    for options in ("chAl", "ch", "chal", "chl", "cha", "cAl", "hAl", ""):
        for name, text, pair in TEXTS:
            record(name, options, 0, text, pair)
    for name, text, pair, length in TRUNCATED:
        record(name, "chAl", length, text, pair)


if __name__ == "__main__":
    main()
