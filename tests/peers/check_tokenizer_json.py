"""Compares moe-data with PyPI's `tokenizers` on tokenizers that it trains itself, in the styles of known models.

    python tests/peers/check_tokenizer_json.py MOE-DATA [STYLE ...]

For each style the ids of a megabyte of mixed text must be equal, and those of every character of Unicode. For bytes that
are no UTF-8, which Python cannot be asked about as a whole, each word must have the ids that the library's BPE gives to its
bytes; words are those of the text with U+FFFD for each broken character. transformers' AutoTokenizer, given the files that
a shard carries, must give these ids too. Prints how fast both are on the same text, by processor time.
Needs tests/peers/requirements.txt.
"""

import array
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json_tokenizers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402


def alphabet():
    """The character of each byte."""
    itself = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in itself]
    return {**{byte: chr(byte) for byte in itself}, **{byte: chr(256 + i) for i, byte in enumerate(rest)}}


ALPHABET = alphabet()


def cpu_seconds():
    """Processor time of this process and of those it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def prepared(program, folder, name, data, threads=2):
    """The ids that moe-data gives to `data`, and how long it took."""
    text = folder / f"{name}.txt"
    text.write_bytes(data)
    start = cpu_seconds()
    command = [program, "prepare", "--input", text, "--tokenizer", folder, "--output", folder / name, "--no-eod"]
    done = subprocess.run([*command, "--threads", str(threads)], capture_output=True, text=True)
    seconds = cpu_seconds() - start
    if done.returncode != 0:
        sys.exit(f"moe-data prepare fails with {done.returncode}: {done.stderr}")
    info = json.loads((folder / f"{name}.json").read_text())
    ids = array.array("H" if info["vocab_size"] < 65500 else "i")
    ids.frombytes((folder / f"{name}.bin").read_bytes())
    return list(ids), seconds


def require_equal(what, ours, theirs, tokenizer):
    if ours == theirs:
        return
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    show = [[tokenizer.id_to_token(i) for i in ids[max(0, at - 4) : at + 6]] for ids in (ours, theirs)]
    sys.exit(f"{what}: token {at} differs: moe-data {show[0]}, tokenizers {show[1]}")


def characters(data):
    """The characters that Python sees in bytes, each with the bytes behind it."""
    at = 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            part = data[at : at + size]
            try:
                yield part.decode(), part
                break
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and at + size < len(data) and size < 4:
                    continue
                part = data[at : at + max(1, error.end - error.start)]
                yield "\ufffd", part
                break
        at += len(part)


def ids_of_bytes(tokenizer, data):
    """What the library's own parts give to bytes: its words, and its BPE on the bytes of each."""
    pieces = list(characters(data))
    text = "".join(character for character, _ in pieces)
    assert text == data.decode(errors="replace")
    ids = []
    for _, (begin, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text):
        word = "".join(ALPHABET[byte] for _, part in pieces[begin:end] for byte in part)
        ids += [token.id for token in tokenizer.model.tokenize(word)]
    return ids


def check(program, style, folder):
    described = json_tokenizers.train(style, [json_tokenizers.prose(9, 300_000), json_tokenizers.code(400_000)], 4000)
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(described, ensure_ascii=False))
    tokenizer = Tokenizer.from_file(str(file))

    text = json_tokenizers.mixed()
    for spelling in (described, json_tokenizers.with_string_merges(described)):
        file.write_text(json.dumps(spelling))
        ours, _ = prepared(program, folder, "mixed", text.encode())
        require_equal(f"{style}, mixed text", ours, tokenizer.encode(text, add_special_tokens=False).ids, tokenizer)

    text = json_tokenizers.every_character()
    ours, _ = prepared(program, folder, "characters", text.encode())
    require_equal(f"{style}, every character", ours, tokenizer.encode(text, add_special_tokens=False).ids, tokenizer)

    note = ""
    if tokenizer.normalizer is None and "prefix_space\": true" not in json.dumps(described["pre_tokenizer"]):
        data = json_tokenizers.broken()
        ours, _ = prepared(program, folder, "broken", data)
        require_equal(f"{style}, broken UTF-8", ours, ids_of_bytes(tokenizer, data), tokenizer)
        note = ", and of broken UTF-8"

    check_files(style, folder, tokenizer)
    if style in json_tokenizers.TIMED:
        note += compare_speed(program, style, folder, tokenizer)
    print(f"ok {style}: equal ids{note}", flush=True)


def check_files(style, folder, tokenizer):
    """What travels with a shard (and in checkpoints) is what transformers loads."""
    carried = folder / "carried"
    carried.mkdir()
    for name, contents in json.loads((folder / "mixed.model").read_text()).items():
        (carried / name).write_text(contents)
    loaded = AutoTokenizer.from_pretrained(carried)
    text = json_tokenizers.prose(8, 20_000) + json_tokenizers.noise(8, 5_000)
    theirs = loaded.encode(text, add_special_tokens=False)
    require_equal(f"{style}, AutoTokenizer", theirs, tokenizer.encode(text, add_special_tokens=False).ids, tokenizer)


def compare_speed(program, style, folder, tokenizer):
    text = json_tokenizers.code(3_000_000) + json_tokenizers.prose(5, 1_000_000)
    start = cpu_seconds()
    theirs = tokenizer.encode(text, add_special_tokens=False).ids
    seconds = cpu_seconds() - start
    ours, our_seconds = prepared(program, folder, "speed", text.encode(), threads=1)
    require_equal(f"{style}, long text", ours, theirs, tokenizer)
    size = len(text.encode()) / 1e6
    return (
        f"; {size:.1f} MB, a second of one core: moe-data prepare {size / our_seconds:.1f} MB, tokenizers "
        f"{size / seconds:.1f} MB, {seconds / our_seconds:.1f} times as fast"
    )


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        sys.exit("usage: check_tokenizer_json.py MOE-DATA [STYLE ...]")
    for style in arguments[1:] or json_tokenizers.STYLES:
        with tempfile.TemporaryDirectory() as folder:
            check(arguments[0], style, pathlib.Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
