//! One request and one reply over the agent's socket.

use keelson_proto::cni::{Error, MESSAGE_MAX, Reply, Request, code};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than the agent takes to give up on a pod that it does not know yet.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks the agent. That it is not there is temporary: the runtime tries again.
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, Error> {
    let bytes = exchange(socket, request).map_err(|error| {
        let message = format!("the agent does not answer on {}: {error}", socket.display());
        Error::new(code::TRY_AGAIN, message)
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(code::DECODING_FAILURE, format!("the agent's reply: {error}")))
}

fn exchange(socket: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&serde_json::to_vec(request)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    stream.take(MESSAGE_MAX).read_to_end(&mut reply)?;
    Ok(reply)
}
