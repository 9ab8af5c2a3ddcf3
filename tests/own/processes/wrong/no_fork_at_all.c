// as: fork_values
// fails: no_child
// says: ended with status 0
#include <stdio.h>

int gval = 10;

int main(void)
{
	int lval = 20;

	gval++, lval += 5;
	printf("Child Proc: [%d, %d] \n", gval + 2, lval + 2);
	gval -= 2, lval -= 2;
	printf("Parent Proc: [%d, %d] \n", gval, lval);
	return 0;
}
