"""Makes the fixtures of tests/data/tokenizer_json_test.cpp: small tokenizers and the ids that PyPI's `tokenizers` gives.

    python tests/data/tokenizer_json/make_fixtures.py

Writes texts.json, STYLE.json (a tokenizer.json) and STYLE.ids.json (the ids of each text) beside itself. Needs
tests/peers/requirements.txt.
"""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "peers"))

import json_tokenizers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

STYLES = ["gpt2", "gpt2_prefix", "olmoe", "llama3", "qwen2", "o200k", "deepseek3", "odd", "kimi", "merged"]
VOCAB_SIZE = 600
EDGES = [
    "",
    " ",
    "a",
    "\n",
    " \n\n  \n",
    "it's I'LL 'ſ ''s",
    "abcd abc ab abcabcd",
    "x [LEFT] y  [RIGHT]  z \t[BOTH]\n w word words sword word",
    "[RIGHT][LEFT] [BOTH] [BOTH]",
    "Café Cafe\u0301 caf\u00e9",
    "<|im_start|>user\n<tool_call>{}</tool_call><|im_end|><|im_end",
    "<|begin_of_text|><|begin_of_text|>",
    "1 12 123 1234 12345 ½²Ⅷ ١٢٣",
    "q\u0307\u0323 \u1e9b\u0323 \u0344 가\u11a8 \u2126 \u0d3b\u08db",
    "\u180e \u200b\u2028\u0085\u00a0\u3000x",
    "\U0002ebf0\U00031350 \u1c89 \U0001fae8 \U0001f6dc",
    "汉字 漢字かなカナ、。한글 ไทย",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "a-b-c--d foo food aaaaaa XYZ 1234567!?.",
    " " * 50 + "\t" * 9 + "\r\n" * 7 + "x",
]


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    texts = [*EDGES, json_tokenizers.prose(3, 1200), json_tokenizers.noise(4, 800)]
    write("texts.json", texts)
    for style in STYLES:
        described = json_tokenizers.train(style, [json_tokenizers.prose(7, 20_000)], VOCAB_SIZE)
        described["decoder"] = None
        if random.Random(style).random() < 0.5:
            described = json_tokenizers.with_string_merges(described)
        tokenizer = Tokenizer.from_str(json.dumps(described))
        write(f"{style}.json", described)
        write(f"{style}.ids.json", [tokenizer.encode(text, add_special_tokens=False).ids for text in texts])


main()
