#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make the kernels that the virtual machine boots available, by their names.

Stock kernels come from Debian's packages, see stock.py; the test kernels are
built from Debian's linux-source package, see testkernel.py.
"""

import argparse

import arch
import common
import stock
import testkernel
from common import Fatal

FIELDS = ("name", "release", "image", "headers", "modules", "compiler",
          "make", "within")


def get(text):
    """Return the kernel of that name, fetched or built when needed."""
    name = arch.parse(text)
    if stock.is_stock(name):
        return stock.get_stock(name)
    if name.flavour in testkernel.flavours():
        return testkernel.get(name)
    raise Fatal(f"unknown kernel '{text}'; known: "
                + " ".join([*common.STOCK, *testkernel.flavours()])
                + ", and with -" + " or -".join(
                    a for a in arch.TABLE if a != arch.NATIVE.name))


def main():
    """Command line: make a kernel available and say where it is."""
    parser = argparse.ArgumentParser(
        description="Bring kernels into the cache and say where they are.",
        epilog="Pin a series with KHEAP_KERNEL_6_12=6.12.115+deb12 or "
               "KHEAP_KERNEL_6_1=6.1.0-55.")
    parser.add_argument("name", nargs="+",
                        help="6.12, 6.1, 6.12-rt, 6.1-rt, newest, test, "
                             "kcsan, kmsan, with -arm64, -arm64-16k, "
                             "-arm64-64k or -s390x; or source (the "
                             "linux-source tree)")
    parser.add_argument("--field", metavar="F", choices=FIELDS,
                        help="print only this: %(choices)s")
    args = parser.parse_args()
    for name in args.name:
        if name == "source":
            print(stock.source_tree())
            continue
        kernel = get(name)
        if args.field:
            print(kernel.field(args.field))
        else:
            for key in FIELDS:
                print(f"{key + ':':10} {kernel.field(key)}".rstrip())
    return 0


if __name__ == "__main__":
    common.main_wrapper(main)
