//! Which arguments are admitted of the calls of sockets. Each function is the
//! rule of a row of the table.

use super::Request;
use super::checks::{Admits, Ranges, Test, Values, all, equals, int, masked, null, only_bits};
use super::kernel::*;
use Admits::{Any, Never, When};

const fn only_if(granted: bool) -> Admits {
    if granted { Any } else { Never }
}

const fn kind(values: Values) -> Test {
    masked(1, SOCK_TYPE_MASK, values)
}

/// Stream and sequenced-packet sockets know one peer; those of datagrams send to
/// any address of their family.
const fn unix(with_datagrams: bool) -> [Test; 2] {
    let kinds = if with_datagrams {
        EVERY_UNIX
    } else {
        CONNECTED
    };
    [equals(0, AF_UNIX), kind(Values::In(kinds))]
}

pub(super) fn socket(request: &Request<'_>) -> Admits {
    let sockets = &request.sockets;
    let internet = |one: u32, protocols: Ranges| {
        let families = int(0, Values::In(INTERNET));
        let protocols = int(2, Values::In(protocols));
        vec![families, kind(Values::One(one)), protocols]
    };
    let mut rules = Vec::new();
    if sockets.tcp {
        rules.push(internet(SOCK_STREAM, IPPROTO_TCP));
    }
    if sockets.udp {
        rules.push(internet(SOCK_DGRAM, IPPROTO_UDP));
    }
    if sockets.icmp {
        let kinds = if sockets.icmp_raw {
            MESSAGES
        } else {
            DATAGRAMS
        };
        for (family, protocol) in [(AF_INET, IPPROTO_ICMP), (AF_INET6, IPPROTO_ICMPV6)] {
            let kind = kind(Values::In(kinds));
            rules.push(vec![equals(0, family), kind, equals(2, protocol)]);
        }
    }
    if sockets.unix {
        rules.push(unix(sockets.unix_connect).into());
    }
    if sockets.netlink {
        rules.push(vec![
            equals(0, AF_NETLINK),
            kind(Values::In(MESSAGES)),
            equals(2, NETLINK_ROUTE),
        ]);
    }
    if rules.is_empty() { Never } else { When(rules) }
}

/// Where addresses are admitted nowhere, a pair of datagrams has none either.
pub(super) fn pair(request: &Request<'_>) -> Admits {
    let sockets = &request.sockets;
    all(unix(sockets.is_none() || sockets.unix_connect))
}

pub(super) const fn connect(request: &Request<'_>) -> Admits {
    only_if(request.sockets.may_connect())
}

pub(super) const fn bind(request: &Request<'_>) -> Admits {
    only_if(request.sockets.may_bind())
}

/// listen(2) on an unbound socket binds it to some port by itself.
pub(super) const fn listen(request: &Request<'_>) -> Admits {
    only_if(request.sockets.may_serve())
}

const fn flags(request: &Request<'_>, argument: u8) -> Test {
    let urgent = if request.sockets.tcp { MSG_OOB } else { 0 };
    only_bits(argument, MSG_ADMITTED | urgent)
}

pub(super) fn send(request: &Request<'_>) -> Admits {
    let mut rule = vec![flags(request, 3)];
    if request.sockets.is_none() {
        rule.extend(null(4));
    }
    all(rule)
}

/// A datagram socket that was inherited as a standard stream would send to
/// anybody.
pub(super) fn send_message(request: &Request<'_>) -> Admits {
    if request.sockets.is_none() {
        return Never;
    }
    all([flags(request, 2)])
}

pub(super) fn send_messages(request: &Request<'_>) -> Admits {
    if request.sockets.is_none() {
        return Never;
    }
    all([flags(request, 3)])
}

pub(super) fn set_option(request: &Request<'_>) -> Admits {
    let netlink = request.sockets.netlink.then_some(SET_NETLINK);
    options(SET.iter().chain(&netlink).chain(icmp(request)))
}

pub(super) fn get_option(request: &Request<'_>) -> Admits {
    let netlink = request.sockets.netlink.then_some(GET_NETLINK);
    options(GET.iter().chain(&netlink).chain(icmp(request)))
}

fn icmp(request: &Request<'_>) -> &'static [Options] {
    if request.sockets.icmp { OF_ICMP } else { &[] }
}

type Options = (u32, Ranges);

fn options<'a>(levels: impl Iterator<Item = &'a Options>) -> Admits {
    let rule = |(level, names): &Options| vec![equals(1, *level), int(2, Values::In(names))];
    When(levels.map(rule).collect())
}

/// Levels and names (`asm-generic/socket.h`, `linux/in.h`, `in6.h`, `tcp.h`,
/// `udp.h`, `netlink.h`) of what concerns the socket alone. Code that is put on
/// a socket's way, its state set by hand and other protocols on top of it are
/// not among them.
const SET: &[Options] = &[
    (
        SOL_SOCKET,
        &[
            (2, 2),   // REUSEADDR
            (5, 10),  // DONTROUTE, BROADCAST, SNDBUF, RCVBUF, KEEPALIVE, OOBINLINE
            (13, 13), // LINGER
            (15, 16), // REUSEPORT, PASSCRED
            (18, 18), // RCVLOWAT
            (20, 21), // RCVTIMEO, SNDTIMEO
            (29, 29), // TIMESTAMP
            (35, 35), // TIMESTAMPNS
            (66, 67), // RCVTIMEO_NEW, SNDTIMEO_NEW
        ],
    ),
    (
        SOL_TCP,
        &[
            (1, 1),   // NODELAY
            (3, 9),   // CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, LINGER2, DEFER_ACCEPT
            (12, 12), // QUICKACK
            (18, 18), // USER_TIMEOUT
            (25, 25), // NOTSENT_LOWAT
        ],
    ),
    (
        SOL_IP,
        &[
            (1, 2),   // TOS, TTL
            (8, 8),   // PKTINFO
            (10, 13), // MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS
            (24, 24), // BIND_ADDRESS_NO_PORT
            (32, 36), // MULTICAST_IF, TTL, LOOP, ADD_MEMBERSHIP, DROP_MEMBERSHIP
            (49, 49), // MULTICAST_ALL, which the JVM clears
        ],
    ),
    (
        SOL_IPV6,
        &[
            (16, 21), // UNICAST_HOPS, MULTICAST_IF, HOPS, LOOP, JOIN_GROUP, LEAVE_GROUP
            (23, 23), // MTU_DISCOVER
            (25, 26), // RECVERR, V6ONLY
            (29, 29), // MULTICAST_ALL
            (49, 49), // RECVPKTINFO
            (51, 51), // RECVHOPLIMIT
            (62, 62), // DONTFRAG
            (66, 67), // RECVTCLASS, TCLASS
        ],
    ),
    // SEGMENT, GRO
    (SOL_UDP, &[(103, 104)]),
];
/// Memberships, ERROR, ENOBUFS; CAP_ACK, EXT_ACK, STRICT_CHK.
const SET_NETLINK: Options = (SOL_NETLINK, &[(1, 2), (4, 5), (10, 12)]);

/// Left out: the program that is attached (`SO_GET_FILTER`), a process to hold
/// on to (`SO_PEERPIDFD`) and what is newer, memory that is mapped
/// (`TCP_ZEROCOPY_RECEIVE`), tables of the packet filter (from 64 on at the
/// levels of IP).
const GET: &[Options] = &[
    (SOL_SOCKET, &[(1, 25), (28, 76)]),
    (SOL_TCP, &[(1, 34)]),
    (SOL_IP, &[(1, 51)]),
    (SOL_IPV6, &[(16, 62), (66, 67)]),
    (SOL_UDP, &[(103, 104)]),
];
/// ICMP_FILTER (`linux/icmp.h`), ICMPV6_FILTER (`linux/icmpv6.h`): kinds of
/// messages that the socket does without. IP_RECVRETOPTS: the way that an echo
/// went. Not IP_HDRINCL, with which a raw socket would send any protocol.
const OF_ICMP: &[Options] = &[
    (SOL_RAW, &[(1, 1)]),
    (SOL_ICMPV6, &[(1, 1)]),
    (SOL_IP, &[(7, 7)]),
];
const GET_NETLINK: Options = (SOL_NETLINK, &[(1, 12)]);

const SOL_IP: u32 = 0;
const SOL_SOCKET: u32 = 1;
const SOL_TCP: u32 = 6;
const SOL_UDP: u32 = 17;
const SOL_IPV6: u32 = 41;
const SOL_ICMPV6: u32 = 58;
const SOL_RAW: u32 = 255;
const SOL_NETLINK: u32 = 270;
