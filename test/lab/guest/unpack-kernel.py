#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""unpack-kernel.py VMLINUZ VMLINUX

Takes the ELF file out of a bzImage, compressed by zstd or xz, so that it is
unpacked once, natively, instead of for every guest by emulation.  The field
offsets are those of the kernel's Documentation/arch/x86/boot.rst.
"""

import struct
import subprocess
import sys

image = open(sys.argv[1], "rb").read()
setup_sectors = image[0x1F1] or 4
offset, length = struct.unpack_from("<II", image, 0x248)
start = (setup_sectors + 1) * 512 + offset
# The last four bytes of the payload are the unpacked size.
packed = image[start:start + length - 4]
unpack = "zstd" if packed.startswith(b"\x28\xb5\x2f\xfd") else "xz"
with open(sys.argv[2], "wb") as output:
    subprocess.run([unpack, "-dcq"], input=packed, stdout=output, check=True)
