"""Reads TensorBoard event files with TensorBoard's own reader and checks that scalar tags are there.

    python tests/peers/check_tensorboard.py EVENTS_DIR TAG[=COUNT] ...

Prints every scalar tag found. Each TAG must exist with at least one step, or with exactly COUNT steps where that is
given; steps must increase and values must be finite. Needs tests/peers/requirements.txt.
"""

import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(arguments):
    if len(arguments) < 2 or arguments[0].startswith("-"):
        sys.exit("usage: check_tensorboard.py EVENTS_DIR TAG[=COUNT] ...")
    folder, wanted = pathlib.Path(arguments[0]), arguments[1:]
    if not list(folder.glob("events.out.tfevents.*")):
        sys.exit(f"{folder} holds no events.out.tfevents file.")

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0 keeps every step
    accumulator.Reload()
    scalars = {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}
    for tag, events in sorted(scalars.items()):
        print(f"{tag}: {len(events)} steps, {events[0].step} to {events[-1].step}, last value {events[-1].value:g}")

    for item in wanted:
        tag, equals, count = item.rpartition("=")
        if not (equals and count.isdigit()):
            tag, count = item, None
        events = scalars.get(tag)
        if not events:
            sys.exit(f"The tag {tag} is missing; found {', '.join(sorted(scalars)) or 'no scalars at all'}.")
        if count is not None and len(events) != int(count):
            sys.exit(f"The tag {tag} has {len(events)} steps instead of {count}.")
        steps = [event.step for event in events]
        if any(later <= earlier for earlier, later in zip(steps, steps[1:])):
            sys.exit(f"The steps of the tag {tag} do not increase.")
        if not all(math.isfinite(event.value) for event in events):
            sys.exit(f"The tag {tag} has a value that is not finite.")
    print(f"ok: {len(wanted)} tags checked")


if __name__ == "__main__":
    main(sys.argv[1:])
