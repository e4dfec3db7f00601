//! A runtime's streaming server behind the kubelet. It models what one of CRI's does with SPDY: it waits for every
//! stream that was asked for before it takes any, drops what comes before that, reads the streams' headers as one
//! compressed text, asks for an echo, tells on the error stream how a command ended, and then resets all.

use axum::body::Body;
use flate2::{Decompress, FlushDecompress};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How its only failing command ends.
pub const STATUS: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;

type Stream = TokioIo<hyper::upgrade::Upgraded>;

/// The command in a path that this runtime knows.
pub fn command(path: &str) -> Option<&'static str> {
    let (verb, query) = path.strip_prefix('/')?.split_once("/t/p/c?")?;
    if verb == "attach" {
        return query.contains("input=1").then_some("shout");
    }
    let name = query.strip_prefix("command=")?.split('&').next()?;
    ["shout", "count", "vanish", "refuse", "deaf"].into_iter().find(|known| *known == name)
}

/// Runs a command on the streams that the request opens.
pub fn run(command: &'static str, mut request: Request<Incoming>) -> Response<Body> {
    assert_eq!(request.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    if command == "refuse" {
        return Response::builder().status(500).body(Body::from("container not found (\"c\")\n")).unwrap();
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move { serve(command, &query, TokioIo::new(upgrade.await.unwrap())).await });
    let reply = Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1")
        .header("x-stream-protocol-version", "v4.channel.k8s.io");
    reply.body(Body::empty()).unwrap()
}

/// A frame: its type, 0 for data; its stream; whether it is the stream's last; the rest.
type Read = (u8, u32, bool, Vec<u8>);

async fn read(stream: &mut Stream) -> Option<Read> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
    if head[0] & 0x80 == 0 {
        return Some((0, word(&head), head[4] == 1, body));
    }
    assert_eq!(head[..3], [0x80, 3, 0], "SPDY 3");
    Some((head[3], word(&body), head[4] == 1, body.split_off(4)))
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 3, 0, kind];
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = stream.to_be_bytes().to_vec();
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

async fn opened(query: &str, stream: &mut Stream) -> HashMap<String, u32> {
    let flags = ["input=1", "output=1", "error=1", "tty=1"];
    // The error stream is there always.
    let expected = 1 + flags.iter().filter(|flag| query.split('&').any(|pair| pair == **flag)).count();
    let (mut streams, mut headers) = (HashMap::new(), Decompress::new(true));
    while streams.len() < expected {
        let (kind, number, _, rest) = read(stream).await.expect("a stream");
        assert_eq!(kind, 1, "streams before anything else");
        let mut plain = Vec::with_capacity(256);
        headers.decompress_vec(&rest[6..], &mut plain, FlushDecompress::Sync).unwrap();
        assert_eq!(plain[..18], *b"\0\0\0\x01\0\0\0\x0astreamtype");
        streams.insert(String::from_utf8(plain[22..].to_vec()).unwrap(), number);
    }
    let early = tokio::time::timeout(Duration::from_millis(100), read(stream)).await;
    assert!(early.is_err(), "data before the streams are taken is dropped: {early:?}");
    let mut numbers: Vec<u32> = streams.values().copied().collect();
    numbers.sort_by_key(|number| std::cmp::Reverse(*number));
    for number in numbers {
        stream.write_all(&frame(2, &number.to_be_bytes())).await.unwrap();
    }
    streams
}

async fn serve(command: &str, query: &str, mut stream: Stream) {
    let streams = opened(query, &mut stream).await;
    let to = |name: &str| streams.get(name).copied();
    stream.write_all(&data(to("stdout").unwrap(), b"ready ")).await.unwrap();
    match command {
        "vanish" => return,
        // Ends although there is more to read.
        "deaf" => {}
        "count" => count(&streams, &mut stream).await,
        _ => shout(&streams, &mut stream).await,
    }
    if let Some(stderr) = to("stderr") {
        stream.write_all(&data(stderr, b"over\n")).await.unwrap();
    }
    stream.write_all(&data(to("error").unwrap(), STATUS.as_bytes())).await.unwrap();
    for number in streams.values() {
        let reset = [number.to_be_bytes(), 5_u32.to_be_bytes()].concat();
        stream.write_all(&frame(3, &reset)).await.unwrap();
    }
    let _ = stream.write_all(&frame(7, &[0; 8])).await;
    let _ = stream.shutdown().await;
    // What is not read yet must not cost the caller what was written.
    while read(&mut stream).await.is_some() {}
}

/// Says the input in capitals, and new sizes of the terminal, until the input ends and the ping has its echo.
async fn shout(streams: &HashMap<String, u32>, stream: &mut Stream) {
    stream.write_all(&frame(6, &2_u32.to_be_bytes())).await.unwrap();
    let (mut echoed, mut ended) = (false, false);
    while !(echoed && ended) {
        // A caller that goes away is the end of it.
        let Some((kind, number, last, bytes)) = read(stream).await else { return };
        let name = streams.iter().find(|(_, one)| **one == number).map(|(name, _)| name.as_str());
        let said = match (kind, name) {
            (6, _) => {
                assert_eq!(number, 2);
                echoed = true;
                continue;
            }
            (0, Some("stdin")) => bytes.to_ascii_uppercase(),
            (0, Some("resize")) => [b"size ".as_slice(), &bytes].concat(),
            other => panic!("{other:?}"),
        };
        ended |= last && name == Some("stdin");
        if !said.is_empty() {
            stream.write_all(&data(streams["stdout"], &said)).await.unwrap();
        }
    }
}

/// Says how many bytes of input there were; takes them slowly.
async fn count(streams: &HashMap<String, u32>, stream: &mut Stream) {
    let (mut bytes, mut ended) = (0, false);
    while !ended {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let Some((0, number, last, some)) = read(stream).await else { return };
        assert_eq!(number, streams["stdin"]);
        bytes += some.len();
        ended = last;
    }
    stream.write_all(&data(streams["stdout"], bytes.to_string().as_bytes())).await.unwrap();
}
