//! Shared memory, semaphores and queues, of System V and of POSIX: those that
//! others made, and what would stay behind.
#define GROUP "IPC"
#include "suite.h"
#include <mqueue.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { THEIRS = 0x5ec0de, OWN = 0xdec0de };

ATTACK(shared_attach, BOTH, "attach another's shared memory") {
    char *bytes = shmat(shmget(THEIRS, 0, 0), NULL, 0);
    return bytes == (void *)-1 ? -1 : strcmp(bytes, "secret");
}
// Another's segment, whose number is small: the kernel counts from 0, and adds
// 32768 each time that it takes a number again.
static long guesses(int flags) {
    for (int id = 0; id < 4 * 32768; id = id % 32768 < 63 ? id + 1 : id - 63 + 32768) {
        char *bytes = shmat(id, NULL, flags);
        if (bytes != (void *)-1) return strcmp(bytes, "secret");
        if (errno != EINVAL && errno != EIDRM && errno != EACCES) return -1;
    }
    return -1;
}
ATTACK(shared_guess, BOTH, "attach it by a number that it guesses") { return guesses(0); }
ATTACK(shared_guess_read, BOTH, "the same to read") { return guesses(SHM_RDONLY); }
ATTACK(shared_remove, BOTH, "remove it") {
    int segment = shmget(THEIRS, 0, 0);
    return segment < 0 ? -1 : shmctl(segment, IPC_RMID, NULL);
}
ATTACK(shared_list, BOTH, "list all shared memory") {
    struct shmid_ds status;
    for (int index = 0; index < 16; index++)
        if (shmctl(index, SHM_STAT, &status) >= 0 && status.shm_segsz == 4096) return 0;
    return -1;
}
ATTACK(shared_leave, BOTH, "leave shared memory behind") { return shmget(OWN, 4096, IPC_CREAT | 0600); }
WITNESS(shared_leave) { return shmget(OWN, 0, 0) >= 0; }
ATTACK(semaphore_change, BOTH, "change another's semaphore") {
    struct sembuf up = {0, 1, 0};
    int set = semget(THEIRS, 0, 0);
    return set < 0 ? -1 : semop(set, &up, 1);
}
ATTACK(semaphore_leave, BOTH, "leave semaphores behind") { return semget(OWN, 1, IPC_CREAT | 0600); }
WITNESS(semaphore_leave) { return semget(OWN, 0, 0) >= 0; }
ATTACK(queue_read, BOTH, "take another's message") {
    struct { long type; char text[8]; } message;
    int queue = msgget(THEIRS, 0);
    return queue < 0 ? -1 : msgrcv(queue, &message, 8, 0, IPC_NOWAIT);
}
ATTACK(queue_leave, BOTH, "leave a queue behind") { return msgget(OWN, IPC_CREAT | 0600); }
WITNESS(queue_leave) { return msgget(OWN, 0) >= 0; }
ATTACK(posix_queue_read, BOTH, "take another's message from a POSIX queue") {
    char text[8192];
    mqd_t queue = mq_open("/secret", O_RDONLY | O_NONBLOCK);
    return queue < 0 ? -1 : mq_receive(queue, text, sizeof text, NULL);
}
ATTACK(posix_queue_remove, BOTH, "remove a POSIX queue") { return mq_unlink("/secret"); }
ATTACK(posix_queue_leave, BOTH, "leave a POSIX queue behind") {
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 8};
    return mq_open("/own", O_RDWR | O_CREAT, 0600, &small);
}
WITNESS(posix_queue_leave) { return mq_open("/own", O_RDONLY) >= 0; }
ATTACK(posix_memory_read, BOTH, "open another's POSIX shared memory") { return shm_open("/secret", O_RDONLY, 0); }
ATTACK(posix_memory_remove, BOTH, "remove it") { return shm_unlink("/secret"); }
ATTACK(posix_semaphore_leave, BOTH, "leave a POSIX semaphore behind") {
    return sem_open("/own", O_CREAT, 0600, 0) == SEM_FAILED ? -1 : 0;
}
WITNESS(posix_semaphore_leave) { return exists("/dev/shm/sem.own"); }
