//! A reply's body as messages of a WebSocket: a log by the piece, a watch by the event.

use super::{Asked, Opening, Source};
use crate::respond::Reply;
use crate::server::Core;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::StatusCode;
use keelson_api::status::Status;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Subprotocols of one stream of bytes towards the client; without any it is the first.
const BYTES: [&str; 3] = ["binary.k8s.io", "base64.binary.k8s.io", ""];

/// How bytes become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As they come.
    Binary,
    /// Each piece for itself, as text.
    Base64,
    /// A text for each line, which the newline ends.
    Lines,
}

/// Sends a body of bytes, in the form that the client chose. A reply that is no success stays what it is.
pub fn bytes(asked: Asked, reply: Reply, core: &Arc<Core>) -> Result<Reply, Status> {
    let protocol = asked.choose(&BYTES)?;
    let form = if protocol == "base64.binary.k8s.io" { Form::Base64 } else { Form::Binary };
    Ok(send(asked, protocol, form, reply, core))
}

/// Sends a body of lines. A subprotocol would mean nothing: the first one offered is agreed to.
pub fn lines(asked: Asked, reply: Reply, core: &Arc<Core>) -> Reply {
    let protocol = asked.offered.first().cloned().unwrap_or_default();
    send(asked, &protocol, Form::Lines, reply, core)
}

fn send(asked: Asked, protocol: &str, form: Form, reply: Reply, core: &Arc<Core>) -> Reply {
    if reply.status() != StatusCode::OK {
        return reply;
    }
    let (opening, switching) = asked.grant(protocol);
    tokio::spawn(pump(opening, form, reply.into_body(), Arc::clone(core)));
    switching
}

async fn pump(opening: Opening, form: Form, body: Body, core: Arc<Core>) {
    let Some((mut sink, mut source)) = opening.open().await else { return };
    let all = async {
        let (mut cutter, mut body) = (Cutter::new(form), body.into_data_stream());
        if form != Form::Lines {
            // Tells that the connection is made, before there is anything to say.
            sink.send(form.message(&Bytes::new())).await?;
        }
        while let Some(Ok(piece)) = body.next().await {
            cutter.push(piece);
            while let Some(message) = cutter.next() {
                sink.send(message).await?;
            }
        }
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    };
    let sent = tokio::select! {
        sent = all => sent.is_ok(),
        () = gone(&mut source) => false,
        () = core.shutdown.cancelled() => true,
    };
    if sent {
        super::close(sink, source).await;
    }
}

/// Waits until the client is gone. What it says is of no matter.
async fn gone(source: &mut Source) {
    while let Some(Ok(_)) = source.next().await {}
}

impl Form {
    fn message(self, bytes: &Bytes) -> Message {
        match self {
            Form::Binary => Message::Binary(bytes.clone()),
            Form::Base64 => Message::Text(STANDARD.encode(bytes).into()),
            Form::Lines => Message::Text(String::from_utf8_lossy(bytes).into_owned().into()),
        }
    }
}

/// Makes messages of pieces.
struct Cutter {
    form: Form,
    rest: BytesMut,
}

impl Cutter {
    fn new(form: Form) -> Self {
        Self { form, rest: BytesMut::new() }
    }

    fn push(&mut self, piece: Bytes) {
        self.rest.extend_from_slice(&piece);
    }

    /// The next whole message.
    fn next(&mut self) -> Option<Message> {
        let end = match self.form {
            Form::Binary | Form::Base64 => self.rest.len(),
            Form::Lines => self.rest.iter().position(|byte| *byte == b'\n')? + 1,
        };
        (end > 0).then(|| self.form.message(&self.rest.split_to(end).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: Form, pieces: &[&'static str], want: &[&str]) {
        let mut cutter = Cutter::new(form);
        let mut got = Vec::new();
        for piece in pieces {
            cutter.push(Bytes::from_static(piece.as_bytes()));
            while let Some(message) = cutter.next() {
                assert_eq!(message.is_binary(), form == Form::Binary);
                got.push(String::from_utf8(message.into_data().to_vec()).unwrap());
            }
        }
        assert_eq!(got, want, "{form:?} {pieces:?}");
    }

    #[test]
    fn pieces_become_messages() {
        check(Form::Binary, &["one\ntwo", "", "three"], &["one\ntwo", "three"]);
        check(Form::Base64, &["one", "four"], &["b25l", "Zm91cg=="]);
        check(Form::Lines, &["{\"a\":1}\n{\"b\"", ":2}\n", "rest"], &["{\"a\":1}\n", "{\"b\":2}\n"]);
    }
}
