//! What the files of the suite share. An attack is a function that tries one
//! thing and returns what the kernel answered: below zero it was refused, and
//! `errno` says how. A file names its group before it includes this one.
//!
//! PREPARE is called by the arena before the attack, outside of any sandbox,
//! and lays out what it needs beyond the usual. WITNESS is called by the arena
//! after it, and tells whether it had its effect, where the attacker can't know
//! or where only an effect outside of the sandbox counts.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// For whom an attack is one: what only root may do anyway is none of others.
enum { ROOT = 1, ORDINARY = 2, BOTH = 3 };

// An attempt whose child has spoken already.
#define SPOKEN 1000000

struct attack {
    const char *name, *group, *line;
    int whom;
    long (*attempt)(void);
};

struct hook {
    const char *name, *kind;
    long (*call)(void);
};

#define ATTACK(attack_name, attack_whom, attack_line)                                             \
    static long attack_name##_attempt(void);                                                      \
    static const struct attack attack_name##_attack = {#attack_name, GROUP, attack_line,          \
                                                       attack_whom, attack_name##_attempt};       \
    __attribute__((used, section("attacks"))) static const struct attack *attack_name##_listed =  \
        &attack_name##_attack;                                                                    \
    static long attack_name##_attempt(void)

#define HOOK(hook_kind, hook_name)                                                                \
    static long hook_name##_##hook_kind(void);                                                    \
    static const struct hook hook_name##_##hook_kind##_hook = {#hook_name, #hook_kind,            \
                                                               hook_name##_##hook_kind};          \
    __attribute__((used, section("hooks"))) static const struct hook                              \
        *hook_name##_##hook_kind##_listed = &hook_name##_##hook_kind##_hook;                      \
    static long hook_name##_##hook_kind(void)

#define PREPARE(name) HOOK(prepare, name)
#define WITNESS(name) HOOK(witness, name)

extern const struct attack *__start_attacks[], *__stop_attacks[];
extern const struct hook *__start_hooks[], *__stop_hooks[];

// Where everything is: known to the attacker by its arguments, to the arena
// because it made it.
struct scene {
    const char *base;    // folder of all that follows
    int port;            // a listener's, on loopback
    pid_t victim, mate;  // processes of the same user; mate is in the same process group
    void *secret;        // in the victim's memory
    // The arena's alone.
    uid_t user;
    int input;           // the plugin's standard input, if not empty
    int terminal;        // it is a terminal
    int udp;             // the socket at the port for datagrams
    void (*visit)(void); // what somebody outside does, again and again
    int mask;            // the host's umask, if not the usual
    const char *folder;  // the plugin's working folder, if not the base
    // How each ended: as of waitpid(2); of the host, a signal that it got.
    struct { int plugin, mate, host, victim; } report;
};
extern struct scene scene;

// Paths in the scene's folders.
char *at(const char *folder, const char *name);
#define readable(name) at("in", name)
#define writable(name) at("out", name)
#define outside(name) at("outside", name)
#define product(name) at("", name)
// A file of a process in /proc.
char *of_process(pid_t pid, const char *name);

// The kernel's own code answered: with success, or with the error that these
// harmless arguments get from it.
long answered(long answer, int expected);
// Calls code that returns 42.
long runs(const void *code);
extern const unsigned char returns_42[6];
// Opens and closes a file.
long opens(const char *path, int flags);
long fails_with(int error);
// Whoever listens gets a visitor.
void visit_listeners(void);
// For witnesses: whether a path exists, and a datagram arrived.
int exists(const char *path);
int received(void);
// Makes a file with this text, or copies one.
void put(const char *path, const char *text, int mode);
void copy(const char *from, const char *to, int mode);
// The address of a UNIX socket; abstract names begin with "@".
socklen_t unix_address(struct sockaddr_un *address, const char *name);
int arena(int count, char **words);
