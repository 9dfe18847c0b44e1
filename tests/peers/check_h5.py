"""Opens a checkpoint shard with h5py, lists its datasets and checks that every number in them is finite.

    python tests/peers/check_h5.py SHARD.h5

h5py reads a bf16 dataset (a 16-bit HDF5 float type) as f32. Needs tests/peers/requirements.txt.
"""

import sys

import h5py
import numpy


def type_name(dataset):
    """The stored type, with the layout of the float types that numpy has no name for."""
    stored = dataset.id.get_type()
    name = f"{stored.get_size() * 8}-bit {dataset.dtype}"
    if isinstance(stored, h5py.h5t.TypeFloatID):
        _, _, exponent, _, mantissa = stored.get_fields()
        name = {(8, 7): "bf16", (5, 10): "f16", (8, 23): "f32", (11, 52): "f64"}.get((exponent, mantissa), name)
    return name


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: check_h5.py SHARD.h5")
    path = arguments[0]
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        sys.exit(f"h5py cannot open {path}: {error}.")

    datasets = []
    with file:
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        if not datasets:
            sys.exit(f"{path} holds no dataset.")
        for name in sorted(datasets):
            dataset = file[name]
            print(f"{name}: {type_name(dataset)} {list(dataset.shape)}")
            if dataset.size and numpy.issubdtype(dataset.dtype, numpy.number):
                if not numpy.isfinite(dataset[()]).all():
                    sys.exit(f"The dataset {name} of {path} holds a number that is not finite.")
    print(f"ok: {len(datasets)} datasets")


if __name__ == "__main__":
    main(sys.argv[1:])
