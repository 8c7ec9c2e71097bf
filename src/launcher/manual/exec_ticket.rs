//! How the filter lets the launch's own exec through, and none after it.
//!
//! The filter is installed before exec, by the process that will be the
//! plugin, so it has to admit one exec. A seccomp filter sees the numbers a
//! call is made with: descriptor, addresses of path, arguments and environment,
//! flags. [`secure_exec_sys::exec`] lays the three memory areas at addresses
//! drawn with getrandom(2), and the filter compares all five numbers
//! ([`secure_exec_core::filter::ExecTicket`]).
//!
//! After exec that memory is gone. To use the ticket again a plugin would have
//! to map memory at three addresses that it does not know; the addresses stand
//! nowhere in its memory, its environment or `/proc/self`, and each wrong guess
//! is an `EPERM` and one of more than 2^120 possibilities. Reading the filter
//! back needs `CAP_SYS_ADMIN` and ptrace, which kills.
//!
//! `execve` is refused outright. A profile that grants `execute` gives up the
//! ticket: exec is then Landlock's to decide.
