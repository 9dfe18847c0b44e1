"""Tokenizers in the styles of known models, trained on the spot with PyPI's `tokenizers`, and texts to try them on.

Nothing is downloaded: what counts is how a model's tokenizer.json is built (patterns, normaliser, added tokens), not its
vocabulary. Used by check_tokenizer_json.py and by ../data/tokenizer_json/make_fixtures.py.
"""

import json
import pathlib
import random
import sysconfig

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KIMI = (
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
WORDS = r"\w+|[^\w\s]+|\s+"


def byte_level(prefix=False, regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def split(*patterns):
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*steps, byte_level(regex=False)])


def special(*contents):
    return [AddedToken(content, special=True, normalized=False) for content in contents]


def plain(*contents, **options):
    return [AddedToken(content, special=False, **options) for content in contents]


CHAT = special("<|endoftext|>", "<|im_start|>", "<|im_end|>") + plain("<tool_call>", "</tool_call>", normalized=False)
WHITE = special("<|endoftext|>") + plain(*(" " * n for n in range(24, 1, -1)), normalized=True)
ODD = (
    special("<|endoftext|>")
    + plain("[LEFT]", lstrip=True, normalized=False)
    + plain("[RIGHT]", rstrip=True, normalized=False)
    + plain("[BOTH]", lstrip=True, rstrip=True, normalized=True)
    + plain("word", single_word=True, normalized=True)
    + plain("Café", normalized=True)  # written with a combining accent
    + plain("ab", "abcd", "abc", normalized=False)
)

# Those whose speed is measured too.
TIMED = ("gpt2", "llama3", "qwen2")

# name -> (normaliser, pre-tokenizer, added tokens, what the model part and the file have besides)
STYLES = {
    "gpt2": (None, byte_level(), special("<|endoftext|>"), {}),
    "gpt2_prefix": (None, byte_level(prefix=True), special("<|endoftext|>"), {}),
    "olmoe": (normalizers.NFC(), byte_level(), WHITE, {}),
    "llama3": (None, split(LLAMA3), special("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"), {"ignore_merges": True}),
    "qwen2": (normalizers.NFC(), split(QWEN2), CHAT, {}),
    "o200k": (None, split(O200K), special("<|endoftext|>", "<|endofprompt|>"), {}),
    "tekken": (None, split(TEKKEN), special("<s>", "</s>", "[INST]"), {"ignore_merges": True}),
    "deepseek3": (
        normalizers.Sequence([]),
        split(r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3),
        special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        {},
    ),
    "starcoder": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level()]), special("<|endoftext|>"), {}),
    "odd": (normalizers.NFC(), split(QWEN2), ODD, {}),
    "kimi": (None, split(KIMI), special("[BOS]", "[EOS]", "<eos>"), {}),
    "bloom": (None, split(BLOOM), special("<s>", "</s>"), {}),
    "words": (None, split(WORDS), special("</s>"), {}),
    "merged": (
        None,
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split("-", "merged_with_previous"),
                pre_tokenizers.Split(Regex(r"\d"), "merged_with_next"),
                pre_tokenizers.Punctuation("contiguous"),
                pre_tokenizers.Split(Regex(r"(?=(\d{3})+(?!\d))"), "isolated"),
                pre_tokenizers.Split(Regex(r"\bfoo\b|a{2,3}+|[[:upper:]]+$"), "contiguous", invert=True),
                byte_level(prefix=True),
            ]
        ),
        special("</s>"),
        {},
    ),
}


def train(style, texts, vocab_size):
    """A tokenizer as the JSON object of its file."""
    normalizer, pre_tokenizer, added, model = STYLES[style]
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    first = added[0].content
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))]
    )
    tokenizer.decoder = decoders.ByteLevel()
    described = json.loads(tokenizer.to_str())
    described["model"].update(model)
    return described


def with_string_merges(described):
    """The same in the older spelling of merges."""
    model = dict(described["model"])
    model["merges"] = [" ".join(pair) for pair in model["merges"]]
    return {**described, "model": model}


SENTENCES = [
    "The quick brown fox doesn't jump over the lazy dog; it'll sleep, I'VE said so.",
    "Training a mixture of experts costs 1234567 tokens, 3.14159e-10 dollars and ½ a day (²Ⅷ).",
    "我们在北京大学研究大规模语言模型的训练方法，并且发表了三篇论文。",
    "東京都は日本の首都であり、カタカナとひらがなと漢字を使います。",
    "대한민국의 수도는 서울특별시이다. 조합형 한글도 시험한다.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "हिन्दी में संयुक्ताक्षर और मात्राएँ होती हैं।",
    "العربية تُكتب من اليمين إلى اليسار، مع تشكيل.",
    "ภาษาไทยเขียนติดกันโดยไม่มีช่องว่าง",
    "Việt Nam có nhiều dấu; naïve café, Å Å, ﬁ ligature, ſtrange 'ſ 'S.",
    "🙂😂👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 ❤️‍🔥 🫨🪿 and plain ☃.",
    "<|endoftext|> <|im_start|>user <tool_call> [LEFT]  [RIGHT]  x [BOTH] word words abcde abab",
    "\tdef f(x):\r\n\t\treturn {'a': [1, 2, 3]}  # comment\r\n\r\n",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // 100000 times\n\n\n",
]
SPACES = [" ", "  ", "\n", "\n\n", " \n ", "\r\n", "\t", "\u00a0", "\u3000", "\u2003", "\u180e", "\u0085", "", "        "]


def prose(seed, size):
    """Readable text of about `size` bytes in many languages."""
    draw = random.Random(seed)
    parts = []
    total = 0
    while total < size:
        part = draw.choice(SENTENCES) + draw.choice(SPACES)
        parts.append(part)
        total += len(part.encode())
    return "".join(parts)


def code(size):
    """Source text of Python's own library."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    parts = []
    total = 0
    for path in sorted(folder.glob("*.py")):
        part = path.read_text(encoding="utf-8")
        parts.append(part)
        total += len(part.encode())
        if total >= size:
            break
    return "".join(parts)


def noise(seed, size):
    """Characters from everywhere, also unassigned ones, in short runs of one kind."""
    draw = random.Random(seed)
    ranges = [
        (0x20, 0x7F), (0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0xE00), (0xE00, 0x1200), (0x1100, 0x1200),
        (0x1C80, 0x2000), (0x2000, 0x2100), (0x2100, 0x3000), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xA000, 0xD7A4),
        (0xAC00, 0xD7A4), (0xF900, 0x10000), (0x10000, 0x12000), (0x16000, 0x17000), (0x1D000, 0x1F000),
        (0x1F000, 0x1FC00), (0x20000, 0x33000), (0x0, 0x110000),
    ]  # fmt: skip
    text = []
    total = 0
    while total < size:
        low, high = draw.choice(ranges)
        for _ in range(draw.randint(1, 8)):
            character = chr(draw.randrange(low, high))
            if not 0xD800 <= ord(character) < 0xE000:
                text.append(character)
                total += len(character.encode())
        if draw.random() < 0.3:
            text.append(draw.choice(SPACES))
    return "".join(text)


def runs():
    """What makes tokenizers slow or wrong: long runs."""
    units = ["a", " ", "\n", "\t", "ab", "1", "!", "汉", "é", "e\u0301\u0327", "🙂", " a", "\r\n", "'s", "  \n", "-"]
    return "".join(unit * count + "x" for unit in units for count in (2, 3, 7, 100, 5000))


def every_character():
    """Each character once or twice, between letters; of the planes for private use only some."""
    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (c < 0x33500 or c % 256 < 2)]
    return "".join(f"a{chr(c)}1{chr(c)} " for c in codes)


def mixed(seed=1, size=1_000_000):
    """Prose, code, many scripts, emoji, noise and long runs."""
    text = prose(seed, size // 3) + code(size // 4)[: size // 3] + noise(seed, size // 5) + runs()
    return text + prose(seed + 1, max(0, size - len(text.encode())))


def broken(seed=1, size=200_000):
    """Bytes that are mostly UTF-8."""
    draw = random.Random(seed)
    data = bytearray(prose(seed, size).replace("<|", "<").replace("word", "Word").encode())
    for _ in range(len(data) // 40):
        at = draw.randrange(len(data))
        choice = draw.random()
        if choice < 0.4:
            data[at] = draw.randrange(256)
        elif choice < 0.7:
            del data[at : at + draw.randint(1, 3)]
        else:
            data[at:at] = draw.choice([b"\xff", b"\xc0\xaf", b"\xe2\x96", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80\xbf"])
    return bytes(data)
