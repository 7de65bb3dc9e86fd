/* SPDX-License-Identifier: ISC */
/*
 * A fork bomb: it and all its children fork for as long as they live. For a container with a limit
 * on its processes, and nowhere else: it does nothing unless it is process 1 of its namespace.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	if (getpid() != 1) {
		fprintf(stderr, "bomb: not in a container\n");
		return 1;
	}
	for (;;) {
		(void)fork();
	}
}
