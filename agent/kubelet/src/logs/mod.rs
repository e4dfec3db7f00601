//! Container logs in CRI's format: `TIME STREAM P|F TEXT` per line.

pub mod filter;
pub mod line;
pub mod reader;
pub(crate) mod rotate;

use line::Line;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The text of a log's last lines, at most `lines_max` lines and `bytes_max` bytes; empty when there is none.
pub fn tail_text(path: &Path, lines_max: usize, bytes_max: usize) -> String {
    // Each line carries a time and a stream besides its text.
    let window = u64::try_from(bytes_max + lines_max * 64).unwrap_or(u64::MAX);
    let Ok(mut file) = std::fs::File::open(path) else { return String::new() };
    let length = file.metadata().map_or(0, |m| m.len());
    let mut bytes = Vec::new();
    let from = SeekFrom::Start(length.saturating_sub(window));
    if file.seek(from).is_err() || file.take(window).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let mut text: Vec<u8> = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n').filter_map(Line::parse) {
        text.extend_from_slice(line.text);
        if !line.partial {
            text.push(b'\n');
        }
    }
    let text = &text[text.len().saturating_sub(bytes_max)..];
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines[lines.len().saturating_sub(lines_max)..].concat()
}
