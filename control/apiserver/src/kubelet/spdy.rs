//! SPDY/3.1 frames, as far as one who opens a few streams to a runtime's streaming server needs them. Header blocks
//! are written and never read: the replies to our streams say nothing in them. Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

const VERSION: u16 = 3;
/// The bit of a frame's first word that makes it a control frame.
const CONTROL: u32 = 1 << 31;
/// Flag of the last frame that a side sends on a stream.
const FIN: u8 = 1;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
/// Bytes of a frame's head: type or stream, flags, length.
const HEAD: usize = 8;
/// Bytes of a frame that is taken; a streaming server sends what it read at once, some 32 KiB.
const FRAME_MAX: usize = 1 << 20;
/// Bytes of a frame that is sent; the length has 24 bits.
const PIECE_MAX: usize = 64 * 1024;

/// What a server says that is no SPDY.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpdyError {
    #[error("a frame of SPDY version {0}, not 3")]
    Version(u16),
    #[error("a frame of {0} bytes, more than {FRAME_MAX}")]
    Long(usize),
    #[error("a frame of type {0} with {1} bytes, which is too short")]
    Short(u16, usize),
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// The stream is taken.
    Reply {
        stream: u32,
        fin: bool,
    },
    Data {
        stream: u32,
        fin: bool,
        bytes: Bytes,
    },
    /// The stream is over, in whatever way.
    Reset {
        stream: u32,
    },
    /// Asks for an echo; or is one, when the number is odd.
    Ping {
        id: u32,
    },
    /// Nothing comes any more.
    GoAway,
    /// Settings, windows and the like: nobody heeds windows here, and neither does the server.
    Other,
}

/// Takes the next frame off what was received; `None` when it is not whole yet.
pub fn decode(received: &mut BytesMut) -> Result<Option<Frame>, SpdyError> {
    if received.len() < HEAD {
        return Ok(None);
    }
    let mut head = &received[..HEAD];
    let (first, second) = (head.get_u32(), head.get_u32());
    let (flags, length) = (second.to_be_bytes()[0], (second & 0x00ff_ffff) as usize);
    if length > FRAME_MAX {
        return Err(SpdyError::Long(length));
    }
    let version = (first >> 16) as u16 & 0x7fff;
    if first & CONTROL != 0 && version != VERSION {
        return Err(SpdyError::Version(version));
    }
    if received.len() < HEAD + length {
        return Ok(None);
    }
    received.advance(HEAD);
    let body = received.split_to(length).freeze();
    let fin = flags & FIN != 0;
    if first & CONTROL == 0 {
        return Ok(Some(Frame::Data { stream: first, fin, bytes: body }));
    }
    control(first as u16, fin, &body).map(Some)
}

fn control(kind: u16, fin: bool, body: &[u8]) -> Result<Frame, SpdyError> {
    let first = || body.get(..4).map(|mut word| word.get_u32()).ok_or(SpdyError::Short(kind, body.len()));
    let stream = || first().map(|word| word & !CONTROL);
    Ok(match kind {
        SYN_REPLY => Frame::Reply { stream: stream()?, fin },
        RST_STREAM => Frame::Reset { stream: stream()? },
        PING => Frame::Ping { id: first()? },
        GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    })
}

fn control_head(out: &mut BytesMut, kind: u16, length: usize) {
    out.put_u32(CONTROL | u32::from(VERSION) << 16 | u32::from(kind));
    // No flags; what is sent here is far below 2^24 bytes.
    out.put_u32(length as u32 & 0x00ff_ffff);
}

/// Opens streams. Their headers are one compressed text, to which each stream adds.
pub struct Opener(Compress);

impl Opener {
    /// The dictionary that SPDY has for headers is not used: who reads zlib is told so by its head.
    pub fn new() -> Self {
        Self(Compress::new(Compression::fast(), true))
    }

    /// Opens stream number `stream` with one header.
    pub fn open(&mut self, out: &mut BytesMut, stream: u32, name: &str, value: &str) {
        let mut headers = Vec::new();
        headers.put_u32(1);
        for text in [name, value] {
            headers.put_u32(text.len() as u32);
            headers.put_slice(text.as_bytes());
        }
        // Room for the zlib head and for a block that cannot be made smaller, so that one call takes all.
        let mut packed = Vec::with_capacity(headers.len() + 256);
        let taken = self.0.compress_vec(&headers, &mut packed, FlushCompress::Sync);
        debug_assert!(taken.is_ok(), "compression has no input that it refuses");
        control_head(out, SYN_STREAM, packed.len() + 10);
        out.put_u32(stream);
        // No stream that this belongs to, the highest priority, no credential.
        out.put_u32(0);
        out.put_u16(0);
        out.put_slice(&packed);
    }
}

/// Data on a stream, in as many frames as it takes.
pub fn data(out: &mut BytesMut, stream: u32, bytes: &[u8]) {
    for piece in bytes.chunks(PIECE_MAX) {
        out.put_u32(stream);
        out.put_u32(piece.len() as u32);
        out.put_slice(piece);
    }
}

/// The end of what this side sends on a stream.
pub fn finish(out: &mut BytesMut, stream: u32) {
    out.put_u32(stream);
    out.put_u32(u32::from(FIN) << 24);
}

/// The echo of a ping.
pub fn ping(out: &mut BytesMut, id: u32) {
    control_head(out, PING, 4);
    out.put_u32(id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    fn frames(bytes: &[u8]) -> Result<Vec<Frame>, SpdyError> {
        let mut received = BytesMut::from(bytes);
        let mut out = Vec::new();
        while let Some(frame) = decode(&mut received)? {
            out.push(frame);
        }
        Ok(out)
    }

    #[test]
    fn what_is_received() {
        let check = |bytes: &[u8], want: Result<Vec<Frame>, SpdyError>| assert_eq!(frames(bytes), want);
        let data = |stream, fin, bytes: &'static [u8]| Frame::Data { stream, fin, bytes: Bytes::from(bytes) };
        check(&[], Ok(vec![]));
        check(&[0, 0, 0, 5, 0, 0, 0, 2, b'h'], Ok(vec![]));
        check(&[0, 0, 0, 5, 0, 0, 0, 2, b'h', b'i'], Ok(vec![data(5, false, b"hi")]));
        check(&[0, 0, 0, 5, 1, 0, 0, 0], Ok(vec![data(5, true, b"")]));
        check(
            &[0x80, 3, 0, 2, 0, 0, 0, 6, 0, 0, 0, 7, 9, 9, 0x80, 3, 0, 2, 1, 0, 0, 4, 0, 0, 0, 9],
            Ok(vec![Frame::Reply { stream: 7, fin: false }, Frame::Reply { stream: 9, fin: true }]),
        );
        check(&[0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 5], Ok(vec![Frame::Reset { stream: 3 }]));
        check(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2], Ok(vec![Frame::Ping { id: 2 }]));
        check(&[0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], Ok(vec![Frame::GoAway]));
        check(&[0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0], Ok(vec![Frame::Other]));
        check(&[0x80, 2, 0, 2, 0, 0, 0, 4], Err(SpdyError::Version(2)));
        check(&[0x80, 3, 0, 3, 0, 0, 0, 2, 0, 0], Err(SpdyError::Short(3, 2)));
        check(&[0, 0, 0, 1, 0, 0x10, 0, 1], Err(SpdyError::Long(0x10_0001)));
        check(b"HTTP/1.1 400 Bad Request", Err(SpdyError::Long(0x31_2e31)));
    }

    #[test]
    fn what_is_sent() {
        let mut out = BytesMut::new();
        data(&mut out, 3, b"ab");
        finish(&mut out, 3);
        ping(&mut out, 4);
        assert_eq!(
            &out[..],
            [
                &[0, 0, 0, 3, 0, 0, 0, 2, b'a', b'b'][..],
                &[0, 0, 0, 3, 1, 0, 0, 0],
                &[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 4],
            ]
            .concat()
        );
        let much = vec![7; PIECE_MAX + 1];
        let mut out = BytesMut::new();
        data(&mut out, 5, &much);
        let sent = frames(&out).unwrap();
        let lengths: Vec<_> =
            sent.iter().map(|f| matches!(f, Frame::Data { bytes, .. } if !bytes.is_empty())).collect();
        assert_eq!(lengths, [true, true]);
        assert_eq!(out.len(), much.len() + 2 * HEAD);
    }

    /// The headers of all streams are one zlib text, each part of which can be read when it is there.
    #[test]
    fn streams_are_opened() {
        let (mut opener, mut reader) = (Opener::new(), Decompress::new(true));
        for (stream, value) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
            let mut out = BytesMut::new();
            opener.open(&mut out, stream, "streamtype", value);
            assert_eq!(out[..4], [0x80, 3, 0, 1]);
            let length = u32::from_be_bytes(out[4..8].try_into().unwrap()) as usize;
            assert_eq!(out.len(), HEAD + length);
            assert_eq!(out[8..12], u32::to_be_bytes(stream));
            assert_eq!(out[12..18], [0; 6]);
            let mut plain = Vec::with_capacity(256);
            reader.decompress_vec(&out[18..], &mut plain, FlushDecompress::Sync).unwrap();
            let mut want = vec![0, 0, 0, 1, 0, 0, 0, 10];
            want.extend_from_slice(b"streamtype");
            want.extend_from_slice(&(value.len() as u32).to_be_bytes());
            want.extend_from_slice(value.as_bytes());
            assert_eq!(plain, want, "{value}");
        }
    }

    proptest! {
        /// Whatever comes is frames or an error, however it is cut.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64), cut in 0_usize..64) {
            let whole = frames(&bytes);
            let mut received = BytesMut::from(&bytes[..cut.min(bytes.len())]);
            let mut parts = Vec::new();
            let mut drain = |received: &mut BytesMut| loop {
                match decode(received) {
                    Ok(Some(frame)) => parts.push(frame),
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(error),
                }
            };
            let first = drain(&mut received);
            received.extend_from_slice(&bytes[cut.min(bytes.len())..]);
            let got = first.and_then(|()| drain(&mut received)).map(|()| parts);
            prop_assert_eq!(got, whole);
        }
    }
}
