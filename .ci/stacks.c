/*
 * Keeps the stacks of threads that have ended for the next ones, in the process that it is preloaded into. Loom maps,
 * protects and unmaps a stack for each thread of each execution: a third of the time of the models. The system calls
 * stay the same for all other memory. A kept stack still has its guard page.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 16 };

/* The stacks that the calling thread has mapped. */
static __thread struct stack {
    void *bottom;
    size_t size;
    enum { NONE, USED, KEPT } state;
    int guarded;
} stacks[MOST];

static struct stack *mapped_at(void *bottom) {
    for (struct stack *it = stacks; it < stacks + MOST; it++) {
        if (it->state == USED && it->bottom == bottom) return it;
    }
    return NULL;
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    struct stack *unused = NULL;
    if (at == NULL && (flags & MAP_STACK)) {
        for (struct stack *it = stacks; it < stacks + MOST; it++) {
            if (it->state == NONE) unused = it;
            if (it->state == KEPT && it->size == size) {
                it->state = USED;
                return it->bottom;
            }
        }
    }
    void *bottom = (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
    if (unused != NULL && bottom != MAP_FAILED) *unused = (struct stack){bottom, size, USED, 0};
    return bottom;
}

int mprotect(void *at, size_t size, int protection) {
    struct stack *stack = mapped_at(at);
    if (stack != NULL && stack->guarded && protection == PROT_NONE) return 0;
    if (stack != NULL) stack->guarded = protection == PROT_NONE;
    return (int)syscall(SYS_mprotect, at, size, protection);
}

/* Without a guard page there is no proof that a stack is as a fresh one. */
int munmap(void *at, size_t size) {
    struct stack *stack = mapped_at(at);
    if (stack != NULL && stack->size == size && stack->guarded) {
        stack->state = KEPT;
        return 0;
    }
    if (stack != NULL) stack->state = NONE;
    return (int)syscall(SYS_munmap, at, size);
}
