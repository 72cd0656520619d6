//! Questions to the kernel about sockets (sock_diag(7)), and listening TCP sockets as it tells them. It goes through the listening sockets only; behind the last
//! of them /proc/net/tcp goes through the whole table of connections, which costs milliseconds also while it is empty.

use std::io::{Error, ErrorKind, Read, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use super::{LISTEN, SOCKETS, Socket};

/// An answer comes at once; a kernel that is in trouble is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The kernel fills no more than it is offered, and at least a page.
const BUFFER: usize = 16 << 10;
/// Bytes of `struct nlmsghdr` (netlink(7)), and of `struct inet_diag_req_v2` and `struct inet_diag_msg` (sock_diag(7)).
const HEADER: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;
/// SOCK_DIAG_BY_FAMILY (linux/sock_diag.h).
const BY_FAMILY: u16 = 20;

/// The listening sockets of one family, `libc::AF_INET` or `libc::AF_INET6`.
///
/// # Errors
/// The kernel has no such interface, or does not let us ask.
pub(super) fn listening(family: i32, sockets: &mut Vec<Socket>) -> Result<()> {
    let family = u8::try_from(family).map_err(Error::other)?;
    let mut wanted = vec![family, libc::IPPROTO_TCP.to_ne_bytes()[0], 0, 0];
    wanted.extend((1_u32 << LISTEN).to_ne_bytes());
    wanted.resize(REQUEST, 0); // any address and port
    ask(&wanted, &mut |message| {
        sockets.push(socket(message)?);
        Some(sockets.len() < SOCKETS)
    })
}

/// Asks for all sockets that a request describes, and hands each answer to `each`: `Some(false)` is enough, `None` means
/// that it makes no sense.
pub(super) fn ask(wanted: &[u8], each: &mut dyn FnMut(&[u8]) -> Option<bool>) -> Result<()> {
    let kernel = socket2::Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::DGRAM.cloexec(),
        Some(Protocol::from(libc::NETLINK_SOCK_DIAG)),
    )?;
    kernel.set_read_timeout(Some(PATIENCE))?;
    kernel.send(&request(wanted))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = (&kernel).read(&mut buffer)?;
        if take(buffer.get(..length).unwrap_or_default(), each)? {
            return Ok(());
        }
    }
}

/// A question about all that there are.
fn request(wanted: &[u8]) -> Vec<u8> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or_default();
    let length = u32::try_from(HEADER + wanted.len()).unwrap_or_default();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]); // number and sender: there is one question on this socket
    bytes.extend(wanted);
    bytes
}

/// Takes the messages of one answer (netlink(7)) and hands what each holds to `each`, as [`ask`] does. `true`: it was the last
/// that is needed.
///
/// # Errors
/// It is damaged, is the kernel's word of an error, or makes no sense to `each`.
pub fn take(mut bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Option<bool>) -> Result<bool> {
    while !bytes.is_empty() {
        let damaged = || Error::from(ErrorKind::InvalidData);
        let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let kind = bytes.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        let length = usize::try_from(number(0).ok_or_else(damaged)?).map_err(Error::other)?;
        if length < HEADER {
            return Err(damaged());
        }
        let message = bytes.get(HEADER..length).ok_or_else(damaged)?;
        match kind.map(i32::from).ok_or_else(damaged)? {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let code = message.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
                return Err(code.map_or_else(damaged, |code| Error::from_raw_os_error(code.saturating_neg())));
            }
            _ => {
                if !each(message).ok_or_else(damaged)? {
                    return Ok(true);
                }
            }
        }
        // messages begin at multiples of four (NLMSG_ALIGN)
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// From `struct inet_diag_msg` (sock_diag(7)): family, state, two bytes, `struct inet_diag_sockid`, four numbers, the inode.
/// `None`: it is too short, or of another family than IPv4 and IPv6.
#[must_use]
pub fn socket(message: &[u8]) -> Option<Socket> {
    let message: &[u8; ANSWER] = message.first_chunk()?;
    let number = |at: usize| Some(u32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?));
    let address = match i32::from(message[0]) {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(&message[8..12]).map(Ipv4Addr::from).ok()?),
        libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(&message[8..24]).map(Ipv6Addr::from).ok()?),
        _ => return None,
    };
    let port = u16::from_be_bytes([message[4], message[5]]);
    let (waiting, uid, inode) = (number(56)?, number(64)?, number(68)?.into());
    Some(Socket { protocol: "tcp", address, port, uid, inode, waiting })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;

    fn inode(listener: &TcpListener) -> u64 {
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(listener);
        std::fs::metadata(format!("/proc/self/fd/{descriptor}")).unwrap().ino()
    }

    #[test]
    fn the_kernel_tells_a_listening_socket_of_this_machine_and_no_connection() {
        for (family, address) in [(libc::AF_INET, "127.0.0.1:0"), (libc::AF_INET6, "[::1]:0")] {
            let listener = TcpListener::bind(address).unwrap();
            let local = listener.local_addr().unwrap();
            let _connection = std::net::TcpStream::connect(local).unwrap();
            let mut sockets = Vec::new();
            listening(family, &mut sockets).unwrap();
            let ours: Vec<_> = sockets.into_iter().filter(|each| each.port == local.port()).collect();
            let uid = nix::unistd::getuid().as_raw();
            let (address, port, inode) = (local.ip(), local.port(), inode(&listener));
            let expected = Socket { protocol: "tcp", address, port, uid, inode, waiting: 1 };
            assert_eq!(ours, [expected]);
        }
    }

    #[test]
    fn an_error_of_the_kernel_is_one() {
        let mut answer = Vec::new();
        answer.extend(20_u32.to_ne_bytes());
        answer.extend(2_u16.to_ne_bytes());
        answer.extend([0; 10]);
        answer.extend((-libc::ENOENT).to_ne_bytes());
        let error = take(&answer, &mut |_| Some(true)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    proptest! {
        #[test]
        fn an_answer_of_any_bytes_is_survived(bytes: Vec<u8>, length in 0_u32..200) {
            let _ = take(&bytes, &mut |message| socket(message).map(|_| true));
            let whole = [&length.to_ne_bytes()[..], &20_u16.to_ne_bytes(), &bytes].concat();
            let _ = take(&whole, &mut |message| socket(message).map(|_| true));
        }
    }
}
