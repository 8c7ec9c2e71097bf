/* Prints the kernel's Landlock ABI, 0 for none: asked for without secure-exec. */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long abi = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* version */);
    printf("%ld\n", abi < 0 ? 0 : abi);
    return 0;
}
