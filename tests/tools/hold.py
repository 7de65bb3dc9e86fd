# SPDX-License-Identifier: ISC
"""hold.py FILE OUTPUT: keep a file open and mapped; on SIGTERM, say what both show by then.

OUTPUT gets "held", and at the end "zeros" or "other" for the descriptor and for the mapping. A
mapping that was cut off would end this process by SIGBUS instead.
"""

import mmap
import os
import signal
import sys

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
fd = os.open(sys.argv[1], os.O_RDONLY)
length = os.fstat(fd).st_size
mapping = mmap.mmap(fd, length, prot=mmap.PROT_READ)
assert any(mapping[:])

with open(sys.argv[2], "w", encoding="ascii", buffering=1) as output:
    print("held", file=output)
    signal.sigwait([signal.SIGTERM])
    for seen in (os.pread(fd, length, 0), mapping[:]):
        print("other" if any(seen) or len(seen) != length else "zeros", file=output)
