//! One launch, as types. [`crate::run`] is the table of contents.
//!
//! ```text
//! Arguments ─▶ Listed ─▶ Opened ─▶ Examined ─▶ Authorized │ refused
//!                                                 └▶ Prepared ─▶ Confined ─▶ exec
//! ```
//!
//! Each stage consumes the one before, has one constructor, and a file of its
//! own.
//!
//! - [`Listed`](crate::listed::Listed): whitelist, entry, policy, profile. Nothing
//!   of the plugin was touched.
//! - [`Opened`](crate::opened::Opened): the plugin's descriptor. No path is opened
//!   again after it.
//! - [`Examined`](crate::examined::Examined): the bytes are fixed and hashed, the
//!   interpreter, script and libraries verified, the sandbox planned, the entry's
//!   arguments searched for code that nothing pins, what the caller hands
//!   over looked at; all violations are known.
//! - [`Authorized`](crate::authorized::Authorized): the judgement. It holds the
//!   proof needed for exec: the digest that matched, or the waivers of a policy
//!   that overlooks something. Strict makes no waiver.
//! - [`Prepared`](crate::prepared::Prepared): every path opened, the filter
//!   compiled, the exec call laid out.
//! - [`Confined`](crate::confined::Confined): the plan is carried out, and the
//!   canaries have shown that it holds.
//!
//! Preparing takes an [`AuditReceipt`](crate::audit::AuditReceipt) for the
//! decision, and exec one for what was applied. Only a completed write makes
//! one, or a policy that lets a launch go on without.
//!
//! To open a file that decides something takes a [`Trail`](crate::trail::Trail),
//! also where the file may be absent. Before there are rules, each path on it is
//! compared with what the plugin may write: by device and inode of the folders
//! on the way, links included, and by where it lies in its file system, since
//! one folder can be mounted twice. The default places are compared as well: a
//! launch that names others must not prepare one that does not.
//!
//! From the Landlock step on nothing is allocated until exec: the records are
//! rendered before it.
