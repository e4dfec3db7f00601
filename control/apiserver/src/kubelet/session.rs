//! A command's streams on their way between a WebSocket and SPDY: which there are, which are open, what becomes of a
//! message or frame. Pure.

use super::channel::{self, BadClose, Channel, Said};
use super::spdy::{self, Frame, Opener};
use crate::request::query;
use bytes::{Bytes, BytesMut};

/// The streams that a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    /// From the query of an exec or attach.
    pub fn parse(query: &str) -> Self {
        let flag = |name: &str| query::first(query, name).is_some_and(|value| query::truthy(&value));
        Self { stdin: flag("stdin"), stdout: flag("stdout"), stderr: flag("stderr"), tty: flag("tty") }
    }

    /// The channels that a runtime waits for. A terminal has one output, and alone has a size.
    fn channels(self) -> impl Iterator<Item = Channel> {
        let wanted = [
            (true, Channel::Error),
            (self.stdin, Channel::Stdin),
            (self.stdout, Channel::Stdout),
            (self.stderr && !self.tty, Channel::Stderr),
            (self.tty, Channel::Resize),
        ];
        wanted.into_iter().filter_map(|(wanted, channel)| wanted.then_some(channel))
    }

    /// What tells a client that the connection is made: nothing, on the first channel that leads to it.
    pub fn greeting(self) -> Bytes {
        let channel = match self {
            Streams { stdout: true, .. } => Channel::Stdout,
            Streams { stderr: true, .. } => Channel::Stderr,
            _ => Channel::Error,
        };
        channel::write(channel, &[])
    }
}

/// The numbers that the streams have in SPDY: odd ones, as this side opens them.
fn number(index: usize) -> u32 {
    2 * index as u32 + 1
}

fn channels(streams: Streams) -> Vec<Channel> {
    streams.channels().collect()
}

/// The way in: what the client says becomes frames.
pub struct Inward {
    channels: Vec<Channel>,
    closed: Vec<Channel>,
}

impl Inward {
    pub fn new(streams: Streams) -> Self {
        Self { channels: channels(streams), closed: Vec::new() }
    }

    /// Opens all streams.
    pub fn open(&self, out: &mut BytesMut) {
        let mut opener = Opener::new();
        for (index, channel) in self.channels.iter().enumerate() {
            opener.open(out, number(index), "streamtype", channel.stream_type());
        }
    }

    /// What a message of the client becomes, appended to `out`. What leads nowhere becomes nothing.
    pub fn take(&mut self, message: Bytes, out: &mut BytesMut) -> Result<(), BadClose> {
        match channel::read(message)? {
            Said::Data(channel, bytes) => {
                if let Some(stream) = self.stream(channel) {
                    spdy::data(out, stream, &bytes);
                }
            }
            Said::Close(channel) => {
                if let Some(stream) = self.stream(channel) {
                    spdy::finish(out, stream);
                    self.closed.push(channel);
                }
            }
            Said::Nothing => {}
        }
        Ok(())
    }

    /// The stream that is open for what the client says on a channel.
    fn stream(&self, channel: Channel) -> Option<u32> {
        let open = channel.leads_in() && !self.closed.contains(&channel);
        self.channels.iter().position(|one| open && *one == channel).map(number)
    }
}

/// What a frame is to the client or to the other way.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    Message(Bytes),
    /// The runtime has taken every stream: what is sent earlier it drops.
    Ready,
    /// To be echoed.
    Ping(u32),
    Nothing,
}

struct Outlet {
    channel: Channel,
    replied: bool,
    ended: bool,
}

/// The way out: frames become messages.
pub struct Outward {
    outlets: Vec<Outlet>,
    told: bool,
    gone: bool,
}

impl Outward {
    pub fn new(streams: Streams) -> Self {
        let outlet = |channel| Outlet { channel, replied: false, ended: false };
        Self { outlets: streams.channels().map(outlet).collect(), told: false, gone: false }
    }

    pub fn take(&mut self, frame: Frame) -> Came {
        match frame {
            Frame::Reply { stream, fin } => self.reply(stream, fin),
            Frame::Data { stream, fin, bytes } => self.data(stream, fin, &bytes),
            Frame::Reset { stream } => {
                self.end(stream);
                Came::Nothing
            }
            // Odd ones would be echoes of ours, and there are none.
            Frame::Ping { id } if id % 2 == 0 => Came::Ping(id),
            Frame::GoAway => {
                self.gone = true;
                Came::Nothing
            }
            Frame::Ping { .. } | Frame::Other => Came::Nothing,
        }
    }

    fn reply(&mut self, stream: u32, fin: bool) -> Came {
        let waited = !self.is_ready();
        if let Some(outlet) = self.outlet(stream) {
            outlet.replied = true;
            outlet.ended |= fin;
        }
        if waited && self.is_ready() { Came::Ready } else { Came::Nothing }
    }

    fn data(&mut self, stream: u32, fin: bool, bytes: &[u8]) -> Came {
        let Some(outlet) = self.outlet(stream).filter(|outlet| !outlet.ended) else { return Came::Nothing };
        outlet.ended = fin;
        let channel = outlet.channel;
        if bytes.is_empty() || channel.leads_in() {
            return Came::Nothing;
        }
        self.told |= channel == Channel::Error;
        Came::Message(channel::write(channel, bytes))
    }

    fn end(&mut self, stream: u32) {
        if let Some(outlet) = self.outlet(stream) {
            outlet.ended = true;
        }
    }

    fn outlet(&mut self, stream: u32) -> Option<&mut Outlet> {
        self.outlets
            .iter_mut()
            .enumerate()
            .find(|(index, _)| number(*index) == stream)
            .map(|(_, outlet)| outlet)
    }

    fn is_ready(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.replied)
    }

    /// Whether nothing comes any more: every stream towards the client has ended.
    pub fn is_over(&self) -> bool {
        self.gone || self.outlets.iter().all(|outlet| outlet.ended || outlet.channel.leads_in())
    }

    /// Whether the runtime has told how the command ended.
    pub fn is_told(&self) -> bool {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_a_query() {
        let check = |query: &str, want: &[&str], greeting: u8| {
            let streams = Streams::parse(query);
            let got: Vec<_> = streams.channels().map(Channel::stream_type).collect();
            assert_eq!((got.as_slice(), &streams.greeting()[..]), (want, &[greeting][..]), "{query}");
        };
        check("command=ls&stdout=true&stderr=1", &["error", "stdout", "stderr"], 1);
        check("stdin=true&stdout=true&stderr=true&tty=true", &["error", "stdin", "stdout", "resize"], 1);
        check("stdin=true&stderr=true&stdout=false", &["error", "stdin", "stderr"], 2);
        check("stdin=1&tty=0", &["error", "stdin"], 3);
    }

    #[test]
    fn the_way_in() {
        let mut inward = Inward::new(Streams::parse("stdin=1&stdout=1&tty=1"));
        let mut check = |message: &'static [u8], want: &[u8]| {
            let mut out = BytesMut::new();
            inward.take(Bytes::from_static(message), &mut out).unwrap();
            assert_eq!(out[..], *want, "{message:?}");
        };
        check(b"\0ls", &[0, 0, 0, 3, 0, 0, 0, 2, b'l', b's']);
        check(b"\x04{", &[0, 0, 0, 7, 0, 0, 0, 1, b'{']);
        check(b"\0", b"");
        check(b"\x01no", b"");
        check(b"\x03no", b"");
        check(b"\xff\x01", b"");
        check(b"\xff\0", &[0, 0, 0, 3, 1, 0, 0, 0]);
        // After its end a channel is silent, and ends once.
        check(b"\0ls", b"");
        check(b"\xff\0", b"");
        check(b"\x04}", &[0, 0, 0, 7, 0, 0, 0, 1, b'}']);
        assert!(inward.take(Bytes::from_static(b"\xff\x09"), &mut BytesMut::new()).is_err());
        // What was not asked for leads nowhere.
        let mut out = BytesMut::new();
        Inward::new(Streams::parse("stdout=1")).take(Bytes::from_static(b"\0ls"), &mut out).unwrap();
        assert!(out.is_empty());
    }

    fn data(stream: u32, fin: bool, bytes: &'static [u8]) -> Frame {
        Frame::Data { stream, fin, bytes: Bytes::from_static(bytes) }
    }

    fn message(bytes: &'static [u8]) -> Came {
        Came::Message(Bytes::from_static(bytes))
    }

    #[test]
    fn the_way_out() {
        // error 1, stdin 3, stdout 5, stderr 7
        let mut outward = Outward::new(Streams::parse("stdin=1&stdout=1&stderr=1"));
        let mut check = |frame: Frame, want: Came, over: bool, told: bool| {
            let shown = format!("{frame:?}");
            assert_eq!(outward.take(frame), want, "{shown}");
            assert_eq!((outward.is_over(), outward.is_told()), (over, told), "{shown}");
        };
        for stream in [1, 5, 3, 3, 99] {
            check(Frame::Reply { stream, fin: false }, Came::Nothing, false, false);
        }
        check(Frame::Reply { stream: 7, fin: false }, Came::Ready, false, false);
        check(Frame::Reply { stream: 7, fin: false }, Came::Nothing, false, false);
        check(data(5, false, b"out"), message(b"\x01out"), false, false);
        check(data(7, true, b"err"), message(b"\x02err"), false, false);
        check(data(7, false, b"late"), Came::Nothing, false, false);
        check(data(3, true, b"echo"), Came::Nothing, false, false);
        check(data(9, false, b"x"), Came::Nothing, false, false);
        check(Frame::Ping { id: 2 }, Came::Ping(2), false, false);
        check(Frame::Ping { id: 3 }, Came::Nothing, false, false);
        check(Frame::Other, Came::Nothing, false, false);
        check(data(1, false, b"{}"), message(b"\x03{}"), false, true);
        check(Frame::Reset { stream: 5 }, Came::Nothing, false, true);
        check(Frame::Reset { stream: 1 }, Came::Nothing, true, true);
    }

    #[test]
    fn what_ends_early() {
        let mut outward = Outward::new(Streams::parse("stdout=1"));
        assert_eq!(outward.take(Frame::GoAway), Came::Nothing);
        assert!(outward.is_over() && !outward.is_told());
        // A runtime that refuses the streams.
        let mut outward = Outward::new(Streams::parse("stdin=1&stdout=1"));
        outward.take(Frame::Reset { stream: 1 });
        assert!(!outward.is_over());
        outward.take(Frame::Reset { stream: 5 });
        assert!(outward.is_over() && !outward.is_told());
    }
}
