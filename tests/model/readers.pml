/* SPDX-License-Identifier: ISC */
/*
 * What readers see while a set of two files is rotated (docs/life.md): a reader that pins the
 * directory, one that goes by path, and one that is slower than the grace time. A generation holds
 * one version of both files. tests/model/readers.sh checks the claims with spin(1), and that each
 * line marked GUARD is needed.
 */

#define LAST 4
#define GONE 0

byte first[5], second[5];	/* by generation: the version that it is, or GONE */
byte link = 1;			/* ..data */
byte pinned[5];			/* readers at work in it, no longer than the grace time */

inline wipe(g) {
	first[g] = GONE;
	second[g] = GONE
}

active proctype Filler()
{
	byte version = 2, g, before = 1;

	do
	:: version <= LAST ->
		g = version;					/* GUARD a number is used once */
		first[g] = version;
		second[g] = version;				/* GUARD written before the swap */
		link = g;
		pinned[before] == 0;				/* GUARD the grace time */
		wipe(before);					/* GUARD only the one before */
		before = g;
		version++
	:: else -> break
	od
}

init {
	first[1] = 1;
	second[1] = 1
}

/* Opens the directory and reads both files in it, within the grace time. */
active proctype Pinning()
{
	byte g, a, b;

	first[1] != GONE && second[1] != GONE || link > 1;
	do
	:: atomic { g = link; pinned[g]++ };
		a = first[g];
		b = second[g];
		assert(a != GONE && b != GONE);			/* CLAIM whole_set */
		assert(a == b);					/* CLAIM never_torn */
		pinned[g]--
	:: break
	od
}

/* Opens one file by its path: the kernel follows the link, then looks into the directory. */
active proctype ByPath()
{
	byte g, a;

	first[1] != GONE && second[1] != GONE || link > 1;
	do
	:: atomic { g = link; pinned[g]++ };
		a = second[g];
		assert(a != GONE);				/* CLAIM never_missing */
		pinned[g]--
	:: break
	od
}

/* Has the directory open for ever: files may go, but it never gets those of two versions. */
active proctype Slow()
{
	byte g, a, b;

	first[1] != GONE && second[1] != GONE || link > 1;
	g = link;
	a = first[g];
	b = second[g];
	assert(a == GONE || b == GONE || a == b)		/* CLAIM never_mixed */
}
