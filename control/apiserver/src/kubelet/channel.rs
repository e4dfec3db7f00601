//! `v5.channel.k8s.io`: the messages of an exec or attach over a WebSocket. The first byte of a message is its channel;
//! 255 in its place says that the channel named by the next byte ends (KEP-4006). Pure.

use bytes::{BufMut, Bytes, BytesMut};

/// The subprotocol. The older ones have no end of input; runtimes speak them themselves.
pub const V5: &str = "v5.channel.k8s.io";
/// Says that a channel ends.
const CLOSE: u8 = 255;

/// The streams of a command, by the numbers that they have as channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// How the command ended, as a Status.
    Error = 3,
    /// New sizes of the terminal.
    Resize = 4,
}

impl Channel {
    fn parse(number: u8) -> Option<Self> {
        Some(match number {
            0 => Channel::Stdin,
            1 => Channel::Stdout,
            2 => Channel::Stderr,
            3 => Channel::Error,
            4 => Channel::Resize,
            _ => return None,
        })
    }

    /// The stream's name in SPDY.
    pub fn stream_type(self) -> &'static str {
        match self {
            Channel::Stdin => "stdin",
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
            Channel::Error => "error",
            Channel::Resize => "resize",
        }
    }

    /// Whether it leads from the client to the command.
    pub fn leads_in(self) -> bool {
        matches!(self, Channel::Stdin | Channel::Resize)
    }
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Data(Channel, Bytes),
    Close(Channel),
    /// Empty, or for a channel that there is not.
    Nothing,
}

/// A message that breaks the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the end of a channel is 255 and the channel's number, 0 to 4, not {0:?}")]
pub struct BadClose(Bytes);

/// Reads a message of a client.
pub fn read(message: Bytes) -> Result<Said, BadClose> {
    match message[..] {
        [] => Ok(Said::Nothing),
        [CLOSE, number] => match Channel::parse(number) {
            Some(channel) => Ok(Said::Close(channel)),
            None => Err(BadClose(message)),
        },
        [CLOSE, ..] => Err(BadClose(message.slice(..message.len().min(8)))),
        [number, ..] => {
            Ok(Channel::parse(number)
                .map_or(Said::Nothing, |channel| Said::Data(channel, message.slice(1..))))
        }
    }
}

/// A message for a client.
pub fn write(channel: Channel, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(channel as u8);
    message.put_slice(bytes);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let check = |message: &'static [u8], want: Result<Said, BadClose>| {
            assert_eq!(read(Bytes::from_static(message)), want, "{message:?}");
        };
        let data = |channel, bytes: &'static [u8]| Ok(Said::Data(channel, Bytes::from_static(bytes)));
        let bad = |bytes: &'static [u8]| Err(BadClose(Bytes::from_static(bytes)));
        check(b"", Ok(Said::Nothing));
        check(b"\0ls\n", data(Channel::Stdin, b"ls\n"));
        check(b"\0", data(Channel::Stdin, b""));
        check(b"\x04{}", data(Channel::Resize, b"{}"));
        // Nobody speaks on these from this side; it is for the session to know.
        check(b"\x01x", data(Channel::Stdout, b"x"));
        check(b"\x05x", Ok(Said::Nothing));
        check(b"\xfex", Ok(Said::Nothing));
        check(b"\xff\0", Ok(Said::Close(Channel::Stdin)));
        check(b"\xff\x04", Ok(Said::Close(Channel::Resize)));
        check(b"\xff", bad(b"\xff"));
        check(b"\xff\x05", bad(b"\xff\x05"));
        check(b"\xff\0\0", bad(b"\xff\0\0"));
        check(b"\xff12345678", bad(b"\xff1234567"));
        assert_eq!(write(Channel::Stdout, b"a")[..], [1, b'a']);
        assert_eq!(write(Channel::Error, b"")[..], [3]);
    }
}
