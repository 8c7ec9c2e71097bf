//! The audit log: who may write when, and what is left when a writer dies.
//!
//! There is no daemon. Every launch opens four files of the log's folder: the
//! log, the writers' state, their locks, and the head where it is signed.
//!
//! # One record
//!
//! 1. Lock byte 0 of the locks ([`lock`](secure_exec_sys::lock)).
//! 2. Read the state: number and hash of the last record, inode and size of
//!    the log. Compare with what the log is now.
//! 3. Seal the line ([`Line::seal`](secure_exec_core::audit::line::Line::seal)),
//!    append it in one write, sign the head if it is due, write the state.
//! 4. Unlock; sync where that is asked, so that others may write meanwhile and
//!    one sync serves several.
//!
//! A writer may die between any two of these. Before the append nothing
//! happened. After it the state is behind the log, which the next writer sees
//! by the size, and reads the log's end. Within it the log ends without a line
//! feed, and the next writer cuts that off: the record was not acknowledged.
//!
//! # A new file
//!
//! Whoever finds the log too large, too old, damaged, or under another inode
//! takes the slow way, which repairs, rotates, and only then appends. It holds
//! more locks: byte 1, so that there is one at a time, and a long row of bytes,
//! of which each launch keeps one from right before confinement until exec.
//! They can open nothing from then on, may have become another user, and must
//! still write what was enforced: no file is exchanged under them. Launches that
//! keep a byte one after the other could keep a rotation off for ever; so they
//! pass byte 1 first.
//!
//! One that is stopped there is not waited for: the log grows beyond its size,
//! and a log that another program renamed is written to under its new name.
//!
//! A byte for each, and not one that they share: to share a lock takes the
//! right to read alone, which a profile may give to a plugin, and who shares
//! it keeps out who needs it alone. The file of locks can't be read, so that
//! nobody who may not write it can lock it.
//!
//! Rename, then create, then write the first record: a rotation that was
//! interrupted is recognised by the inode in the state, and finished.
//!
//! # What is a proof
//!
//! The chain alone shows any change that does not rewrite all that follows.
//! The state shows a cut end to the next writer, but whoever may write the log
//! may write the state. The signed head shows a cut end and a rewritten chain
//! to whoever has the public key, until a launch signs what was left of both;
//! an older head kept elsewhere shows it after that, and a second sink without
//! any key.
