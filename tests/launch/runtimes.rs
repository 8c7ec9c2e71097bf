//! Programs with a runtime of their own: C with glibc and musl, Go.

use crate::kit::{EVERYONE, Host, program};

#[test]
fn a_dynamic_and_a_static_c_program_run_alike() {
    let source = r#"#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static volatile sig_atomic_t rang;
static void ring(int signal) { rang = signal; }
static void *sum(void *from) {
    long total = 0;
    for (long i = (long)from; i < 1000; i += 4) total += i;
    return (void *)total;
}
int main(void) {
    pthread_t thread[4];
    long total = 0;
    for (long i = 0; i < 4; i++) if (pthread_create(&thread[i], 0, sum, (void *)i)) return 1;
    for (int i = 0; i < 4; i++) { void *part; pthread_join(thread[i], &part); total += (long)part; }
    timer_t timer;
    struct itimerspec soon = { .it_value = { .tv_nsec = 1000000 } };
    sigset_t alarm, before;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, &before);
    signal(SIGALRM, ring);
    if (timer_create(CLOCK_MONOTONIC, 0, &timer) || timer_settime(timer, 0, &soon, 0)) return 2;
    while (!rang) sigsuspend(&before);
    char *big = malloc(64 << 20);
    if (!big) return 3;
    memset(big, 1, 64 << 20);
    printf("%ld %d\n", total, rang);
    fflush(stdout);
    raise(SIGTERM);
    return 4;
}"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        for (name, built) in [
            ("dynamic", program::c(source)),
            ("static", program::static_c(source)),
        ] {
            host.install_copy(name, built);
            host.list(name, &[]);
            let outcome = host.launch(name).run();
            assert_eq!(
                (outcome.status, &*outcome.stdout),
                (128 + 15, "499500 14\n")
            );
            assert_eq!(outcome.stderr, "");
        }
    }
}

/// Each part prints a line, so that a missing one names itself.
const GO: &str = r#"package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	debug.SetGCPercent(5)
	var group sync.WaitGroup
	var total int64
	for i := 0; i < 2000; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			garbage := make([]byte, 10000)
			atomic.AddInt64(&total, int64(i+len(garbage)-10000))
		}(i)
	}
	group.Wait()
	runtime.GC()
	fmt.Println("goroutines", total)

	// Threads: each blocks in a call of its own.
	var pipes [32][2]int
	var blocked sync.WaitGroup
	for i := range pipes {
		if err := syscall.Pipe(pipes[i][:]); err != nil {
			panic(err)
		}
		blocked.Add(1)
		go func(fd int) {
			runtime.LockOSThread()
			syscall.Read(fd, make([]byte, 1))
			blocked.Done()
		}(pipes[i][0])
	}
	for i := range pipes {
		syscall.Write(pipes[i][1], []byte{1})
	}
	blocked.Wait()
	fmt.Println("threads", len(pipes))

	// A loop without calls holds its processor until the runtime signals the
	// thread; stopping the world for a collection needs that.
	runtime.GOMAXPROCS(2)
	var stop int64
	started := make(chan bool)
	go func() {
		close(started)
		for atomic.LoadInt64(&stop) == 0 {
		}
	}()
	<-started
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	atomic.StoreInt64(&stop, 1)
	fmt.Println("preempted")

	ticker := time.NewTicker(time.Millisecond)
	<-ticker.C
	<-ticker.C
	<-time.After(time.Millisecond)
	fmt.Println("timers")

	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-got)

	_, err := os.ReadFile("/etc/passwd")
	fmt.Println(err)
	fmt.Println(exec.Command("/bin/true").Run())
	os.Exit(5)
}
"#;

#[test]
fn a_go_program_schedules_collects_and_is_preempted_by_its_own_signals() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::go(GO));
        host.list("p", &[]);
        let own = "goroutines 1999000\nthreads 32\npreempted\ntimers\nuser defined signal 1\n";
        let bare = host.bare(host.path("plugins/p"), &[]);
        assert_eq!(bare.status, 5, "{bare:#?}");
        assert_eq!(bare.stdout, format!("{own}<nil>\n<nil>\n"));
        let confined = host.launch("p").run();
        assert_eq!(confined.status, 5, "{confined:#?}");
        let refused = "open /etc/passwd: permission denied\n\
                       fork/exec /bin/true: operation not permitted\n";
        assert_eq!(confined.stdout, format!("{own}{refused}"));
        assert_eq!(confined.stderr, "");
    }
}
