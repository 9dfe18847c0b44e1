"""Loads a SentencePiece model with the sentencepiece package and checks that a text survives encode and decode.

    python tests/peers/check_sentencepiece.py TOKENIZER.model TEXT

TEXT is a UTF-8 file. The whole file goes through at once, then each of its lines; the decoded text must be the same
byte for byte. Needs tests/peers/requirements.txt.
"""

import pathlib
import sys

import sentencepiece


def first_difference(text, decoded):
    """The position at which two texts part, with what stands there."""
    position = next((i for i, (a, b) in enumerate(zip(text, decoded)) if a != b), min(len(text), len(decoded)))
    window = slice(max(0, position - 10), position + 20)
    return f"at character {position}: {text[window]!r} became {decoded[window]!r}"


def main(arguments):
    if len(arguments) != 2 or arguments[0].startswith("-"):
        sys.exit("usage: check_sentencepiece.py TOKENIZER.model TEXT")
    model, text_path = arguments
    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=model)
    except (OSError, RuntimeError) as error:
        sys.exit(f"sentencepiece cannot load {model}: {error}.")
    try:
        text = pathlib.Path(text_path).read_bytes().decode("utf-8")  # read_text would translate line ends
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"{text_path} cannot be read: {error}.")
    if not text:
        sys.exit(f"{text_path} is empty.")

    ids = processor.encode(text)
    if max(ids) >= processor.vocab_size():
        sys.exit(f"{model} gives the id {max(ids)}, its vocabulary has {processor.vocab_size()} pieces.")
    unknown = ids.count(processor.unk_id())
    if unknown:
        sys.exit(f"{unknown} of {len(ids)} tokens of {text_path} are unknown to {model}.")
    for number, part in enumerate([text, *text.splitlines()]):
        decoded = processor.decode(processor.encode(part))
        if decoded != part:
            where = f"line {number} of {text_path}" if number else text_path
            sys.exit(f"{where} does not come back, {first_difference(part, decoded)}.")
    size = len(text.encode("utf-8"))
    print(f"ok: {processor.vocab_size()} pieces, {size} bytes in {len(ids)} tokens, {size / len(ids):.2f} bytes each")


if __name__ == "__main__":
    main(sys.argv[1:])
