/* SPDX-License-Identifier: ISC */
/*
 * The least that a hook can cost: a static program that ends at once. The benchmarks' base line;
 * it reads nothing and does nothing.
 */
int main(void)
{
	return 0;
}
