//! The audit log: who may write when, and what is left when a writer dies.
//!
//! There is no daemon. Every launch opens three files of the log's folder: the
//! log, the writers' state, and the head where it is signed.
//!
//! # One record
//!
//! 1. Lock byte 0 of the state ([`lock`](secure_exec_sys::lock)).
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
//! two locks more: byte 1, so that there is one at a time, and byte 2, which
//! launches share from right before confinement until exec. They can open
//! nothing from then on, and must still write what was enforced: no file is
//! exchanged under them. Were byte 2 taken alone, launches that share it one
//! after the other could keep a rotation off for ever; they pass byte 1 first.
//!
//! Rename, then create, then write the first record: a rotation that was
//! interrupted is recognised by the inode in the state, and finished.
//!
//! # What is a proof
//!
//! The chain alone shows any change that does not rewrite all that follows.
//! The state shows a cut end to the next writer, but whoever may write the log
//! may write the state. The signed head shows a cut end and a rewritten chain
//! to whoever has the public key; a second sink shows them without any key.
