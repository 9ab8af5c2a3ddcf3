// as: fork_values
// fails: memory_of_its_own
// says: the parent's 9 and 23 are not in one line
#include <stdio.h>
#include <unistd.h>

int gval = 10;

int main(void)
{
	pid_t pid;
	int lval = 20;

	gval++, lval += 5;
	gval += 2, lval += 2;
	pid = fork();
	if (pid == 0)
		printf("Child Proc: [%d, %d] \n", gval, lval);
	else
		printf("Parent Proc: [%d, %d] \n", gval, lval);
	return 0;
}
