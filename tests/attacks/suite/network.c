//! The network: reach who listens nearby, and be reached; only who is outside
//! of the sandbox counts. And sockets of other families.
#define GROUP "network"
#include "suite.h"
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static struct sockaddr_in loopback(void) {
    return (struct sockaddr_in){AF_INET, htons(scene.port), {htonl(INADDR_LOOPBACK)}};
}
static struct sockaddr_in6 loopback6(const char *text) {
    struct sockaddr_in6 address = {AF_INET6, htons(scene.port)};
    inet_pton(AF_INET6, text, &address.sin6_addr);
    return address;
}
static long reach(int type, int protocol) {
    struct sockaddr_in address = loopback();
    int fd = socket(AF_INET, type, protocol);
    return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof address);
}
static long reach6(int type, const char *text) {
    struct sockaddr_in6 address = loopback6(text);
    int fd = socket(AF_INET6, type, 0);
    return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof address);
}
static long datagram(int connected) {
    struct sockaddr_in address = loopback();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address)) return -1;
    return connected ? send(fd, "x", 1, 0) : write(fd, "x", 1);
}
enum { SENDTO, SENDMSG, SENDMMSG };
static long fast(int how) {
    struct sockaddr_in address = loopback();
    struct iovec bytes = {"x", 1};
    struct mmsghdr message = {{&address, sizeof address, &bytes, 1}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    if (how == SENDTO) return sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&address, sizeof address);
    if (how == SENDMSG) return sendmsg(fd, &message.msg_hdr, MSG_FASTOPEN);
    return sendmmsg(fd, &message, 1, MSG_FASTOPEN);
}
static long reach_unix(int type, const char *name) {
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name);
    int fd = socket(AF_UNIX, type, 0);
    return fd < 0 ? -1 : connect(fd, (void *)&address, length);
}
// Waits for the arena's visitor.
static long visited(int fd) {
    struct pollfd polled = {fd, POLLIN};
    if (listen(fd, 4)) return -1;
    return poll(&polled, 1, 1000) == 1 ? accept(fd, NULL, NULL) : fails_with(ETIMEDOUT);
}
static long serve(int family, int bound) {
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct sockaddr_in any = {AF_INET};
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    if (bound && (family == AF_INET ? bind(fd, (void *)&any, sizeof any) : bind(fd, (void *)&any6, sizeof any6)))
        return -1;
    return visited(fd);
}
static long serve_unix(const char *name) {
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (void *)&address, length)) return -1;
    return chmod(name, 0666) && *name == '/' && errno != EPERM ? -1 : visited(fd);
}
static long with_visits(void) {
    scene.visit = visit_listeners;
    return 0;
}

ATTACK(tcp, BOTH, "reach a TCP port") { return reach(SOCK_STREAM, 0); }
ATTACK(tcp6, BOTH, "by IPv6") { return reach6(SOCK_STREAM, "::1"); }
ATTACK(tcp_mapped, BOTH, "by IPv6 with an address of IPv4") { return reach6(SOCK_STREAM, "::ffff:127.0.0.1"); }
ATTACK(tcp_nonblocking, BOTH, "without waiting") {
    struct sockaddr_in address = loopback();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
    socklen_t length = sizeof error;
    struct pollfd polled = {fd, POLLOUT};
    if (fd < 0 || (connect(fd, (void *)&address, sizeof address) && errno != EINPROGRESS)) return -1;
    if (poll(&polled, 1, 500) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length)) return -1;
    return error ? fails_with(error) : 0;
}
ATTACK(tcp_fast_open, BOTH, "by fast open") { return fast(SENDTO); }
ATTACK(tcp_fast_open_message, BOTH, "by fast open of a message") { return fast(SENDMSG); }
ATTACK(tcp_fast_open_messages, BOTH, "by fast open of messages") { return fast(SENDMMSG); }
ATTACK(tcp_fast_open_lazy, BOTH, "by fast open of a later write") {
    struct sockaddr_in address = loopback();
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one)) return -1;
    return connect(fd, (void *)&address, sizeof address) ? -1 : write(fd, "x", 1);
}
ATTACK(mptcp, BOTH, "by MPTCP") { return reach(SOCK_STREAM, 262); }
ATTACK(sctp, BOTH, "by SCTP") { return reach(SOCK_STREAM, 132); }
ATTACK(udp, BOTH, "reach a UDP port") { return datagram(0); }
WITNESS(udp) { return received(); }
ATTACK(udp_sent, BOTH, "by send") { return datagram(1); }
WITNESS(udp_sent) { return received(); }
ATTACK(udp_unconnected, BOTH, "by sendto") {
    struct sockaddr_in address = loopback();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd < 0 || sendto(fd, "x", 1, 0, (void *)&address, sizeof address) < 0 ? -1 : 0;
}
WITNESS(udp_unconnected) { return received(); }
ATTACK(udp6, BOTH, "by IPv6") {
    struct sockaddr_in6 address = loopback6("::1");
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    return fd < 0 || connect(fd, (void *)&address, sizeof address) ? -1 : write(fd, "x", 1);
}
WITNESS(udp6) { return received(); }
ATTACK(serve_tcp, BOTH, "be reached on TCP") { return serve(AF_INET, 1); }
PREPARE(serve_tcp) { return with_visits(); }
ATTACK(serve_tcp_unbound, BOTH, "without binding first") { return serve(AF_INET, 0); }
PREPARE(serve_tcp_unbound) { return with_visits(); }
ATTACK(serve_tcp6, BOTH, "by IPv6") { return serve(AF_INET6, 1); }
PREPARE(serve_tcp6) { return with_visits(); }
ATTACK(ping, BOTH, "ping") {
    struct sockaddr_in address = loopback();
    unsigned char echo[8] = {8};
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    return fd < 0 ? -1 : sendto(fd, echo, sizeof echo, 0, (void *)&address, sizeof address);
}
ATTACK(unix_stream, BOTH, "reach a UNIX socket") { return reach_unix(SOCK_STREAM, outside("stream")); }
ATTACK(unix_datagram, BOTH, "one of datagrams") { return reach_unix(SOCK_DGRAM, outside("datagram")); }
ATTACK(unix_packet, BOTH, "one of packets") { return reach_unix(SOCK_SEQPACKET, outside("packet")); }
ATTACK(unix_abstract, BOTH, "an abstract one") { return reach_unix(SOCK_STREAM, "@stream"); }
ATTACK(unix_abstract_datagram, BOTH, "an abstract one of datagrams") { return reach_unix(SOCK_DGRAM, "@datagram"); }
ATTACK(unix_link, BOTH, "through a symbolic link of its own") {
    return symlink(outside("stream"), writable("way")) ? -1 : reach_unix(SOCK_STREAM, writable("way"));
}
ATTACK(unix_pair, BOTH, "from one end of a pair of datagram sockets") {
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, outside("datagram"));
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)) return -1;
    return sendto(ends[0], "x", 1, 0, (void *)&address, length);
}
ATTACK(unix_pair_message, BOTH, "by a message from one end of a pair") {
    struct sockaddr_un to;
    struct iovec bytes = {"x", 1};
    int ends[2];
    struct msghdr message = {&to, unix_address(&to, "@datagram"), &bytes, 1};
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) ? -1 : sendmsg(ends[0], &message, 0);
}
ATTACK(serve_unix, BOTH, "be reached in its own folder") { return serve_unix(writable("served")); }
PREPARE(serve_unix) { return with_visits(); }
ATTACK(serve_abstract, BOTH, "be reached by an abstract name") { return serve_unix("@served"); }
PREPARE(serve_abstract) { return with_visits(); }

// Their making counts: what they reach is code of the kernel's.
#undef GROUP
#define GROUP "kernel surface"
static int a_pair(void) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? -1 : ends[0];
}
ATTACK(socket_filter, BOTH, "put code on a socket's way, whose memory all filters share") {
    struct sock_filter accept = {6, 0, 0, 0xffff};
    struct sock_fprog program = {1, &accept};
    return setsockopt(a_pair(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}
ATTACK(socket_option_unknown, BOTH, "lock a socket's filter") {
    return setsockopt(a_pair(), SOL_SOCKET, SO_LOCK_FILTER, &(int){0}, sizeof(int));
}
ATTACK(socket_peer, BOTH, "take a pidfd of a socket's peer") {
    int peer;
    socklen_t length = sizeof peer;
    return getsockopt(a_pair(), SOL_SOCKET, 77, &peer, &length);
}
ATTACK(socket_urgent, BOTH, "send an urgent byte") { return send(a_pair(), "x", 1, MSG_OOB); }
ATTACK(interfaces_list, BOTH, "list interfaces by a pair of sockets") {
    struct ifreq all[8];
    struct ifconf list = {sizeof all, {(void *)all}};
    return ioctl(a_pair(), SIOCGIFCONF, &list);
}
ATTACK(interfaces_settings, BOTH, "ask for an interface's settings") {
    struct ethtool_value link = {ETHTOOL_GLINK};
    struct ifreq loopback = {.ifr_name = "lo", .ifr_data = (void *)&link};
    return ioctl(a_pair(), SIOCETHTOOL, &loopback);
}
ATTACK(interfaces_bridges, BOTH, "ask for bridges") {
    unsigned long list[4] = {0};
    return answered(ioctl(a_pair(), SIOCGIFBR, list), ENOPKG);
}
ATTACK(smc, BOTH, "by SMC") { return socket(43, SOCK_STREAM, 0); }
ATTACK(raw, ROOT, "raw IP") { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
ATTACK(raw6, ROOT, "raw IPv6") { return socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6); }
ATTACK(packet, ROOT, "see every packet") { return socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)); }
ATTACK(packet_cooked, ROOT, "see every packet without its header") {
    return socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
}
ATTACK(netlink_route, BOTH, "ask the kernel for its interfaces") {
    struct { struct nlmsghdr head; struct ifinfomsg body; } ask = {
        {sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP}, {AF_UNSPEC}};
    char answer[8192];
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    return fd < 0 || send(fd, &ask, sizeof ask, 0) < 0 ? -1 : recv(fd, answer, sizeof answer, 0);
}
ATTACK(netlink_diagnosis, BOTH, "ask who is connected") { return socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG); }
ATTACK(netlink_events, BOTH, "hear of the machine's devices") {
    struct sockaddr_nl all = {AF_NETLINK, 0, 0, 1};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
    return fd < 0 ? -1 : bind(fd, (void *)&all, sizeof all);
}
ATTACK(netlink_netfilter, BOTH, "speak to the packet filter") { return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER); }
ATTACK(netlink_generic, BOTH, "speak to generic families") { return socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC); }
ATTACK(vsock, BOTH, "speak to the machine beneath") { return socket(AF_VSOCK, SOCK_STREAM, 0); }
ATTACK(xdp, ROOT, "sockets of XDP") { return socket(AF_XDP, SOCK_RAW, 0); }
ATTACK(alg, BOTH, "the kernel's cryptography") { return socket(AF_ALG, SOCK_SEQPACKET, 0); }
