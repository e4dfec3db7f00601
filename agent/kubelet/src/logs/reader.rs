//! Reads a container's log, and goes on reading while the container runs when asked to.

use super::filter::{Filter, LogOptions};
use bytes::Bytes;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

const CHUNK_BYTES: usize = 64 << 10;
/// A line of the runtime is at most 16 KiB and a header; what is longer is no log line.
const LINE_BYTES_MAX: usize = 1 << 20;
/// How soon a follower sees a new line.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);

/// Streams the log at `path` into `out` until its end, or, when following, until `running` says no.
pub async fn read(
    path: PathBuf,
    options: LogOptions,
    running: impl Fn() -> bool,
    out: mpsc::Sender<Bytes>,
) -> std::io::Result<()> {
    let mut file = File::open(&path)?;
    if let Some(lines) = options.tail_lines {
        seek_to_tail(&mut file, lines)?;
    }
    let mut filter = Filter::new(&options);
    let mut pending: Vec<u8> = Vec::new();
    loop {
        // Asked before the read: what was written before the end is read after it.
        let alive = running();
        if !drain(&mut file, &mut pending, &mut filter, &out).await? {
            return Ok(());
        }
        if !options.follow || out.is_closed() {
            return Ok(());
        }
        if let Some(next) = rotated(&path, &file) {
            drain(&mut file, &mut pending, &mut filter, &out).await?;
            pending.clear();
            file = next;
            continue;
        }
        if !alive {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_PAUSE) => {}
            () = out.closed() => return Ok(()),
        }
    }
}

/// Sends everything up to the file's end; false when nothing more is wanted.
async fn drain(
    file: &mut File,
    pending: &mut Vec<u8>,
    filter: &mut Filter,
    out: &mpsc::Sender<Bytes>,
) -> std::io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(true);
        }
        pending.extend_from_slice(&chunk[..count]);
        let end = pending.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let mut text = Vec::new();
        let mut more = true;
        for raw in pending[..end].split_inclusive(|b| *b == b'\n') {
            more = filter.push(raw, &mut text);
            if !more {
                break;
            }
        }
        pending.drain(..end);
        if pending.len() > LINE_BYTES_MAX {
            pending.clear();
        }
        if !text.is_empty() && out.send(Bytes::from(text)).await.is_err() {
            return Ok(false);
        }
        if !more {
            return Ok(false);
        }
    }
}

/// The new file at `path` when the one that is open has been moved away.
fn rotated(path: &Path, open: &File) -> Option<File> {
    let next = File::open(path).ok()?;
    let (old, new) = (open.metadata().ok()?, next.metadata().ok()?);
    (old.ino() != new.ino() || old.dev() != new.dev()).then_some(next)
}

/// Puts the file's position before its last `lines` lines.
fn seek_to_tail(file: &mut File, lines: u64) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(());
    }
    let mut at = length;
    let mut found = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    while at > 0 {
        let size = at.min(CHUNK_BYTES as u64);
        at -= size;
        file.seek(SeekFrom::Start(at))?;
        let block = &mut chunk[..usize::try_from(size).unwrap_or(CHUNK_BYTES)];
        file.read_exact(block)?;
        for index in (0..block.len()).rev() {
            let position = at + index as u64;
            // The newline that ends the file belongs to its last line.
            if block[index] == b'\n' && position + 1 < length {
                found += 1;
                if found == lines {
                    file.seek(SeekFrom::Start(position + 1))?;
                    return Ok(());
                }
            }
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn log_line(text: &str) -> String {
        format!("2026-01-01T00:00:00Z stdout F {text}\n")
    }

    async fn check(tail: Option<u64>, expect: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, ["a", "b", "c"].map(log_line).concat()).unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        read(path, LogOptions { tail_lines: tail, ..Default::default() }, || true, sender).await.unwrap();
        let mut text = Vec::new();
        while let Some(bytes) = receiver.recv().await {
            text.extend_from_slice(&bytes);
        }
        assert_eq!(String::from_utf8(text).unwrap(), expect);
    }

    #[tokio::test]
    async fn tails() {
        check(None, "a\nb\nc\n").await;
        check(Some(0), "").await;
        check(Some(1), "c\n").await;
        check(Some(3), "a\nb\nc\n").await;
        check(Some(9), "a\nb\nc\n").await;
    }

    #[tokio::test]
    async fn follows_over_a_rotation_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, log_line("one")).unwrap();
        let running = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&running);
        let (sender, mut receiver) = mpsc::channel(16);
        let options = LogOptions { follow: true, ..Default::default() };
        let task = tokio::spawn(read(path.clone(), options, move || flag.load(Ordering::SeqCst), sender));
        assert_eq!(receiver.recv().await.unwrap(), "one\n");
        File::options().append(true).open(&path).unwrap().write_all(log_line("two").as_bytes()).unwrap();
        assert_eq!(receiver.recv().await.unwrap(), "two\n");
        std::fs::rename(&path, dir.path().join("0.log.1")).unwrap();
        std::fs::write(&path, log_line("three")).unwrap();
        assert_eq!(receiver.recv().await.unwrap(), "three\n");
        File::options().append(true).open(&path).unwrap().write_all(log_line("four").as_bytes()).unwrap();
        running.store(false, Ordering::SeqCst);
        assert_eq!(receiver.recv().await.unwrap(), "four\n");
        assert!(receiver.recv().await.is_none());
        task.await.unwrap().unwrap();
    }
}
